"""The HTTP contract, asked of the real application."""
