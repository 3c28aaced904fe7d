"""Checks for read models, ours and anybody's: see `projections/README.md`.

`check_projection` needs nothing but the ledger. `release_ledger.testing.histories` makes histories for it, by
Hypothesis, which the ledger itself does not bring along.
"""

from __future__ import annotations

from .checks import check_projection

__all__ = ["check_projection"]
