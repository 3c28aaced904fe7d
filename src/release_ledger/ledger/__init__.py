"""The application: one method per command and per question."""

from .ledger import Ledger
from .recording import Caller

__all__ = ["Caller", "Ledger"]
