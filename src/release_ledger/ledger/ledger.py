"""The ledger: one method per command and per question.

Each command looks, decides and appends; its answer is the row that was just written.
"""

from __future__ import annotations

from ..store import open_store
from .access_commands import AccessCommands
from .comparison import Comparisons
from .deployment_report import DeploymentReports
from .feed_questions import FeedQuestions
from .history_questions import HistoryQuestions
from .remembered import KnownToken
from .run_reports import RunReports
from .trusting import TrustingStore


class Ledger(RunReports, Comparisons, HistoryQuestions, FeedQuestions, DeploymentReports, AccessCommands):
    """All streams together, in one store."""

    @classmethod
    def open(cls, url: str, *, pool_size: int = 10) -> Ledger:
        """The ledger in the database at a URL; connects when first used."""
        return cls(open_store(url, pool_size=pool_size))

    def trusting(self, known: KnownToken) -> Ledger:
        """This ledger for one request, on the condition that the tokens stand as they did. Raises `AccessMoved`."""
        return Ledger(TrustingStore(self.store, known.mark), self.remembered)

    def confirm(self) -> None:
        """Raise `AccessMoved` where the condition does not hold; at once where it was found to hold before."""
        if isinstance(self.store, TrustingStore):
            self.store.confirm()

    def close(self) -> None:
        self.store.close()
