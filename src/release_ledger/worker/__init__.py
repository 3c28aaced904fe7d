"""The worker: it carries out what the ledger wishes to be done in the world, and tells the ledger what came of it.

Nothing is open in the database while it calls out. Any number of workers may run, and each may be killed at any time.
"""

from .timing import Timing
from .worker import Worker

__all__ = ["Timing", "Worker"]
