"""The order of what is wished: of each environment the oldest first, and over all whatever has waited for longest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import inf

from ..ledger.outbox_questions import Wish
from ..outgoing import origin_of
from ..versions import read_moment
from .github_actions import GitHubActions


@dataclass(kw_only=True)
class Held:
    """A wish that one worker holds the lease of: `due` is when it is tried (again), infinite while it is carried out.

    `is_done`: nothing is left to be done of it. It is kept for a moment, so that an older list does not begin it again.
    """

    wish: Wish
    due: float = inf
    in_doubt: bool = False
    is_done: bool = False


def next_of(wanted: Iterable[Wish], holds_s: float, lets_pass: Callable[[Wish], bool]) -> Iterator[Wish]:
    """What may be carried out now: cancels first, the rest of an environment in order, after its cancels.

    But a cancel holds others back for so many seconds only, and so does a call in doubt for a deployment that has
    ended: an incident's rollback waits for neither. `lets_pass`: whether what follows a wish need not wait for it.
    """
    ordered = sorted(wanted, key=lambda wish: (wish.stream, wish.kind != "cancel", wish.wanted_version))
    for _, of_stream in groupby(ordered, key=lambda wish: wish.stream):
        wishes = list(of_stream)
        cancels = [wish for wish in wishes if wish.kind == "cancel"]
        yield from cancels
        if not wishes[0].environment_name:
            yield from _of_project(wishes)
            continue
        held_from = min((each.wanted_version for each in cancels if waited_s(each) <= holds_s), default=inf)
        for wish in wishes[len(cancels) :]:
            if wish.wanted_version > held_from:
                break
            yield wish
            if wish is wishes[-1] or not lets_pass(wish):
                break


def _of_project(wishes: Iterable[Wish]) -> Iterator[Wish]:
    """Each is about one candidate and waits for none, but those that deploy: to each environment the oldest first."""
    targets = set()
    for wish in wishes:
        if wish.kind != "deploy" or wish.target not in targets:
            yield wish
        if wish.kind == "deploy":
            targets.add(wish.target)


def by_waiting(wishes: Iterable[Wish], due: Callable[[Wish], float]) -> list[Wish]:
    """Cancels first, then whatever was due first: so what hangs, and is tried again and again, starves nothing new."""
    return sorted(wishes, key=lambda wish: (wish.kind != "cancel", due(wish), wish.wanted_at))


def waited_s(wish: Wish) -> float:
    """For how long it has been wished; not negative where the clock of whoever recorded it is ahead."""
    return max((datetime.now(UTC) - read_moment(wish.wanted_at)).total_seconds(), 0.0)


def called_for(wish: Wish) -> str | None:
    """Whom carrying it out calls: an origin, or the name of what all such wishes call; None: nobody.

    Cancels have a name of their own: they do not wait for starts that hang.
    """
    workflow = wish.workflow or {}
    if wish.kind in ("deploy", "cancel"):
        return "cancel" if wish.kind == "cancel" else None
    try:
        return origin_of(workflow["url"])
    except (KeyError, ValueError):
        return str(workflow.get("kind", GitHubActions.name))
