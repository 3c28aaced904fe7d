"""What changed in an environment between two moments, as the ledger knew it at the second."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..environment import DeploymentRef, Environment
from ..errors import InvalidRequest
from ..projection import environment_stream
from ..store import Source
from ..store.store import as_head
from . import answers, event_selects, selects
from .answers import Answer
from .as_of import ask_then
from .asking import NotLive, picked, require, state_in
from .event_selects import AT_ONCE, some
from .moments import Moment, Then, head_at, newest_by, now, then_of
from .running_questions import RunningQuestions

SHOWN: Final = AT_ONCE


class Standing(NamedTuple):
    """An environment at a moment: its state, and what ran."""

    state: Environment
    running: Answer | None


class Comparisons(RunningQuestions):
    """What can be asked of two moments."""

    def compare(
        self, project_name: str, environment_name: str, *, begins: str, ends: str | None = None
    ) -> tuple[Answer, int]:
        """What ran at both moments (the second: now), what was requested and ended, and which candidates ran."""
        stream = environment_stream(project_name, environment_name)
        ends, this_moment = ends or now(), now()
        if ends > this_moment:
            raise InvalidRequest(to=["Must not be later than now."])
        if begins > ends:
            raise InvalidRequest(**{"from": ["Must not be after to."]})
        then = self._of_environment(project_name, then_of(self.store, stream, Moment(at=ends)))
        version = newest_by(self.store, then.live, begins)
        before: Standing | None = None
        if version:
            first = Then(then.live, head_at(self.store, then.live, version), begins)
            before = ask_then(self.store, first, None, lambda source, _: _standing(source, stream))

        def question(source: Source, _: str) -> Answer:
            after = _standing(source, stream)
            requested, ended = _between(before.state if before else None, after.state)
            return {
                "from": {"at": begins, "version": version, "running": before.running if before else None},
                "to": {"at": ends, "version": then.head.version, "running": after.running},
                "requested": _shown(source, stream, environment_name, requested),
                "requested_total": len(requested),
                "ended": _shown(source, stream, environment_name, ended),
                "ended_total": len(ended),
            }

        found = ask_then(self.store, then, None, question)
        moment = Moment(version=then.head.version)
        ran = self.running(
            project_name, environment_name, per_page=SHOWN, begins=begins, ends=ends, now=ends, moment=moment
        )
        return found | {"ran": ran.items, "ran_more": ran.more}, then.head.version


def _standing(source: Source, stream: str) -> Standing:
    row = source.read(selects.ENVIRONMENT, {"stream": stream})[0]
    state: Environment = state_in(source, as_head(stream, picked(row, "head")), row, "environments", "environment")
    running = picked(row, "running")
    if running["number"] is None:
        return Standing(state, None)
    return Standing(state, answers.deployment(running, state.environment_name, row["actor_email_of_running"]))


def _between(before: Environment | None, after: Environment) -> tuple[range, list[int]]:
    """The numbers of the deployments that were requested, and of those that ended, newest first."""
    requested = range(after.deployments, before.deployments if before else 0, -1)
    still = _numbers(after.unfinished)
    were = sorted(_numbers(before.unfinished) if before else (), reverse=True)
    return requested, [number for number in (*requested, *were) if number not in still]


def _numbers(unfinished: tuple[DeploymentRef, ...]) -> set[int]:
    return {ref.number for ref in unfinished}


def _shown(source: Source, stream: str, environment_name: str, numbers: range | list[int]) -> list[Answer]:
    """The newest of these deployments."""
    asked = list(numbers[:SHOWN])
    if not asked:
        return []
    head = as_head(stream, picked(source.read(selects.ENVIRONMENT, {"stream": stream})[0], "head"))
    require(source, head, "deployments")
    rows = source.read(event_selects.SOME, {"of_stream": stream, **some("number", asked)})
    if len(rows) != len(asked):
        raise NotLive(stream, "deployments")
    return [answers.deployment(picked(row, "deployment"), environment_name, row["actor_email"]) for row in rows]
