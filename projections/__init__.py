"""The read models of the ledger, one file each: a table, a fold, its queries. See `projections/README.md`."""
