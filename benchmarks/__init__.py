"""Measurements of the ledger, and the large histories they need. Not shipped.

`python -m benchmarks` measures everything; `python -m benchmarks.history --help` makes a history for anybody's use.
"""
