"""The kinds of workflows, behind one small interface: each is one file beside this one."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..github import Run, Started
from ..ledger.outbox_questions import Wish


class Found(NamedTuple):
    """What looking for a run came to. `recognisable`: were there one, it would have been found."""

    run: Run | None
    recognisable: bool


class Kind(Protocol):
    """How workflows of one kind are started, found again, looked at and canceled. All raise `outgoing.Trouble`."""

    def start(self, wish: Wish, begin_by: float) -> Started:
        """Start the workflow; its run, where that is known at once.

        No call of it begins after `begin_by` (of `time.monotonic`): another worker may have the wish then.
        """
        ...

    def find(self, wish: Wish) -> Found:
        """Look for the run of a start whose answer was lost."""
        ...

    def run(self, wish: Wish) -> Run | None:
        """How the run stands; None where there is none of this id (any more)."""
        ...

    def cancel(self, wish: Wish) -> bool:
        """Ask the run to end; False where it had ended."""
        ...


def own_inputs(wish: Wish) -> dict[str, str]:
    """What every workflow is told, by the names that Aviator's workflows know."""
    its_id = "release_cut_id" if wish.kind == "build" else "deployment_id"
    return {
        its_id: wish.subject,
        "release_cut_commit_hash": wish.commit or "",
        "release_candidate_version": wish.release_candidate_version,
    }


def known_values(wish: Wish) -> dict[str, str]:
    """What `${…}` in a parameter stands for."""
    return {
        "commit": wish.commit or "",
        "environment": wish.environment_name,
        "kind": wish.target or wish.kind,
        "release_candidate_version": wish.release_candidate_version,
        "release_version": wish.release_version or "",
    }
