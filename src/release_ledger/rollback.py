"""Where a rollback goes: one pure rule over an environment's deployments, newest first.

The POST, its preview and every answer about the past call `choose` with the same iterator, so they cannot disagree.
Sources: "Rollback" and its table in section 3 of the contract; `docs/rollback.md` explains the two strategies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from .deployment import Deployment

STRATEGIES: Final = ("previous", "walk_back")
CONSIDERED_LIMIT: Final = 100
_NOWHERE: Final = {
    "previous": "There is no earlier success of another version.",
    "walk_back": "There is no success of a version that is neither running nor was left.",
    "to": "The version that was asked for never succeeded here.",
}


@dataclass(frozen=True, kw_only=True)
class Considered:
    """One deployment that the rule looked at, and what it made of it."""

    release_candidate_version: str
    id: str
    verdict: Literal["chosen", "skipped"]
    why: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The target (None: there is nowhere to go back to), why, and which versions would be left by going there."""

    target: Deployment | None
    strategy: str
    explanation: str
    considered: tuple[Considered, ...] = ()
    leaves: tuple[str, ...] = ()


Why = Callable[[Deployment], str]


def choose(history: Iterable[Deployment], strategy: str, running: str | None) -> Choice:
    """The target of a rollback. `history` is read only as far as needed; `running` is the newest success's version."""
    search = _Search(running=running)
    return _walk_back(history, search) if strategy == "walk_back" else _previous(history, search)


def choose_version(success: Deployment | None, history: Iterable[Deployment], running: str | None) -> Choice:
    """The rollback `to` a version, whose newest success here is given (None: it never succeeded)."""
    search = _Search(running=running)
    next((deployment for deployment in history if search.looks_at(deployment)), None)
    search.seen.clear()
    return search.choice(
        "to", success, "the version that was asked for, and it was deployed here with success", _status
    )


def is_left_out(deployment: Deployment, running: str | None) -> bool:
    """Twice in a hurry is the same wish twice: an unfinished rollback, or the running version under way again."""
    return not deployment["finished"] and (
        deployment["kind"] == "rollback" or deployment["release_candidate_version"] == running
    )


@dataclass(kw_only=True)
class _Search:
    """What was seen so far, newest first."""

    running: str | None
    newest: Deployment | None = None
    seen: list[Deployment] = field(default_factory=list)

    def looks_at(self, deployment: Deployment) -> bool:
        """Note a deployment; False when it is left out of the choice."""
        if len(self.seen) < CONSIDERED_LIMIT:
            self.seen.append(deployment)
        if is_left_out(deployment, self.running):
            return False
        self.newest = self.newest or deployment
        return True

    def newest_succeeded(self) -> bool:
        return self.newest is not None and self.newest["status"] == "success"

    def choice(self, strategy: str, target: Deployment | None, why: str, why_not: Why) -> Choice:
        if target is None:
            skipped = tuple(self._skipped(deployment, why_not) for deployment in self.seen)
            return Choice(target=None, strategy=strategy, explanation=_NOWHERE[strategy], considered=skipped)
        newer = [deployment for deployment in self.seen if deployment["number"] > target["number"]]
        skipped = tuple(self._skipped(deployment, why_not) for deployment in newer[: CONSIDERED_LIMIT - 1])
        version = _version(target)
        chosen = Considered(release_candidate_version=version, id=target["id"], verdict="chosen", why=f"It is {why}.")
        left = {self.running, _version(self.newest) if self.newest else None} - {None, version}
        return Choice(
            target=target,
            strategy=strategy,
            explanation=f"{version} is {why}.",
            considered=(*skipped, chosen),
            leaves=tuple(sorted(filter(None, left))),
        )

    def _skipped(self, deployment: Deployment, why_not: Why) -> Considered:
        left_out = is_left_out(deployment, self.running)
        why = "it is unfinished and wishes the same: it is left out of the choice" if left_out else why_not(deployment)
        version = _version(deployment)
        return Considered(
            release_candidate_version=version, id=deployment["id"], verdict="skipped", why=f"{why[0].upper()}{why[1:]}."
        )


def _previous(history: Iterable[Deployment], search: _Search) -> Choice:
    """The documented rule: the success before the newest deployment."""

    def why_not(deployment: Deployment) -> str:
        same = "it is the version of the newest deployment, which is a success"
        return same if deployment["status"] == "success" else _status(deployment)

    for deployment in history:
        if not search.looks_at(deployment) or deployment["status"] != "success" or search.newest is None:
            continue
        if not search.newest_succeeded():
            why = "the newest success, and the newest deployment is not one"
            return search.choice("previous", deployment, why, why_not)
        if _version(deployment) != _version(search.newest):
            return search.choice("previous", deployment, "the newest earlier success of another version", why_not)
    return search.choice("previous", None, "", why_not)


def _walk_back(history: Iterable[Deployment], search: _Search) -> Choice:
    """Further back with every press: never to a version left before, until it is deployed forward again."""
    left: set[str] = set()
    forward: set[str] = set()
    open_questions: dict[str, Deployment] = {}

    def why_not(deployment: Deployment) -> str:
        if deployment["status"] != "success":
            return _status(deployment)
        if _version(deployment) in left:
            return "the environment was asked to leave this version, and it was not deployed forward since"
        return "it is the running version"

    for deployment in history:
        if deployment["kind"] == "rollback":
            left |= set(json.loads(deployment["leaves"] or "[]")) - forward
        if search.looks_at(deployment) and deployment["status"] == "success":
            if deployment["kind"] != "rollback":
                forward.add(_version(deployment))
            if _version(deployment) != search.running or not search.newest_succeeded():
                open_questions.setdefault(_version(deployment), deployment)
        target = _settled(open_questions, left, forward)
        if target is not None:
            return search.choice("walk_back", target, _why_walked_to(target, search), why_not)
    target = next(iter(open_questions.values()), None)  # what was left is not among them any more
    return search.choice("walk_back", target, _why_walked_to(target, search), why_not)


def _settled(open_questions: dict[str, Deployment], left: set[str], forward: set[str]) -> Deployment | None:
    """The newest success that may be gone back to, once the history read so far settles it.

    An older rollback may still turn out to have left a version, but none older than its own forward success.
    """
    for version in list(open_questions):
        if version not in left:
            return open_questions[version] if version in forward else None
        del open_questions[version]
    return None


def _why_walked_to(target: Deployment | None, search: _Search) -> str:
    if target is not None and _version(target) == search.running:
        return "the running version, and the newest deployment is not a success"
    return "the newest success of a version that is neither running nor was left"


def _version(deployment: Deployment) -> str:
    return deployment["release_candidate_version"]


def _status(deployment: Deployment) -> str:
    would = "" if deployment["finished"] else ", and a rollback cancels it"
    return f"its status is {deployment['status']}{would}"
