"""The read models of the ledger, one file each: a table and a fold. See `projections/README.md`."""
