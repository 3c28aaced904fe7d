"""The kinds of workflows, behind one small interface: each is one file beside this one, and a line in `registry`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from ..events import Json
from ..github import GitHub, Started
from ..ledger.outbox_questions import Wish
from ..outgoing import Outgoing, Trouble
from ..settings import Settings
from ..workflows import Standing

__all__ = [
    "Found",
    "Kind",
    "Means",
    "SettingKey",
    "Standing",
    "Started",
    "kind_of",
    "known_kind",
    "known_values",
    "own_inputs",
]


class SettingKey(NamedTuple):
    """One key of a workflow in a setting, beside those that all kinds have. It is a text of 1 to `longest` characters.

    `wrong` says in a sentence what is wrong with a text, `pattern` the same to clients, in ECMA's words.
    """

    name: str
    longest: int
    description: str
    pattern: str | None = None
    wrong: Callable[[str], str | None] = lambda _: None
    required: bool = True


class Means(NamedTuple):
    """What a kind may use. `github`: None where no token is set; `is_ours`: whether an id is of this ledger."""

    settings: Settings
    outgoing: Outgoing
    github: GitHub | None
    is_ours: Callable[[str], bool]


class Found(NamedTuple):
    """What looking for a run came to. `recognisable`: were there one, it would have been found."""

    run: Standing | None
    recognisable: bool


class Kind(ABC):
    """How workflows of one kind are set, started, found again, looked at and canceled. Calls raise `outgoing.Trouble`.

    Only `start` must be there. A kind whose workflows become runs that can be looked at says so by `has_runs`.
    """

    name: ClassVar[str]
    title: ClassVar[str]  # who is asked, in messages
    keys: ClassVar[tuple[SettingKey, ...]]
    has_runs: ClassVar[bool] = False

    def __init__(self, means: Means) -> None:
        self.means = means

    @classmethod
    def refusals(cls, workflow: Json, settings: Settings) -> dict[str, str]:  # noqa: ARG003 - not for all kinds
        """What is wrong, by key, with a setting whose keys are right one by one, on a server with these settings."""
        return {}

    @abstractmethod
    def start(self, wish: Wish, begin_by: float) -> Started:
        """Start the workflow; its run, where that is known at once.

        No call of it begins after `begin_by` (of `time.monotonic`): another worker may have the wish then.
        """

    def find(self, wish: Wish) -> Found:  # noqa: ARG002 - there may be nobody to ask
        """Look for the run of a start whose answer was lost."""
        return Found(None, False)

    def look(self, wish: Wish) -> Standing | None:  # noqa: ARG002 - there may be nobody to ask
        """How the run stands; None where there is none of this id (any more)."""
        return None

    def cancel(self, wish: Wish) -> bool:  # noqa: ARG002 - there may be nobody to ask
        """Ask the run to end; False where it had ended."""
        raise Trouble(f"A workflow of kind {self.name} cannot be canceled from here.", final=True)


def kind_of(kinds: Mapping[str, Kind], wish: Wish) -> Kind:
    """The kind of its workflow. Raises `Trouble` where there is none, of a plug-in that is gone, say."""
    kind = known_kind(kinds, wish)
    if kind is None:
        raise Trouble(f"There is no kind of workflow {wish.workflow}.", final=True)
    return kind


def known_kind(kinds: Mapping[str, Kind], wish: Wish | None) -> Kind | None:
    """The kind of its workflow, if it has one of a kind that there is."""
    workflow = wish.workflow if wish is not None else None
    return kinds.get((workflow or {}).get("kind", ""))


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
