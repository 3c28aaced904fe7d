"""The migrations of the store's own tables, run by `release-ledger upgrade`. Read models are made from their folds."""
