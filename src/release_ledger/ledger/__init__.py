"""The application: one method per command and per question."""

from .ledger import Ledger
from .recording import Caller
from .trusting import AccessMoved

__all__ = ["AccessMoved", "Caller", "Ledger"]
