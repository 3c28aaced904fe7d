"""Questions about one deployment: how it stands, and every attempt, answer and decision that led there, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from ..errors import DeploymentNotFound
from ..events import DeploymentEvent, DeploymentRequested, Event
from ..projection import environment_stream
from ..projections.deployment_events import DeploymentEvents
from ..store import Head, Row, Source, Statement
from ..store.codec import decode
from ..store.schema import EVENTS
from ..store.store import as_head, person
from . import answers, selects
from .answers import Answer
from .asking import NotLive, ask, here, labelled, picked, require
from .environment_questions import EnvironmentQuestions

EVENTS_SHOWN: Final = 200
_AT_ONCE: Final = 50
V = DeploymentEvents.table
_OF_IT = (*here(V, "of_stream"), V.c.number == bindparam("number"), V.c.version <= bindparam("upto"))
_VERSIONS = Statement(select(*labelled(V, "event")).where(*_OF_IT).order_by(V.c.version.desc()).limit(EVENTS_SHOWN))
_TOTAL = Statement(select(func.count().label("total")).select_from(V).where(*_OF_IT))
_STORED = Statement(
    select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state).where(
        EVENTS.c.stream == bindparam("stream"),
        EVENTS.c.version.in_([bindparam(f"version_{place}") for place in range(_AT_ONCE)]),
    )
)
# Said of the deployment itself, or of the event beside its `data`.
_SAID = frozenset({*(field.name for field in fields(DeploymentEvent)), "environment_name", "project_name"})


class DeploymentQuestions(EnvironmentQuestions):
    """What can be asked of one deployment."""

    def deployment_with_events(
        self, project_name: str, environment_name: str, deployment_id: str
    ) -> tuple[Answer, int]:
        """One deployment with its newest events, oldest first, and how many there are; its stream's version."""
        stream = environment_stream(project_name, environment_name)

        def question(source: Source) -> tuple[Answer, int] | None:
            rows = source.read(selects.DEPLOYMENT, {"stream": stream, "deployment_id": deployment_id})
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            require(source, head, "deployments", "deployment_events")
            if rows[0]["deployment_number"] is None:
                raise DeploymentNotFound()
            row = picked(rows[0], "deployment")
            answer = answers.deployment(row, environment_name, rows[0]["actor_email"])
            return answer | self._events(source, head, row["number"]), head.version

        return self._of_environment(project_name, ask(self.store, [stream], question))

    def _events(self, source: Source, head: Head, number: int) -> Answer:
        place = {"of_stream": head.stream, "number": number, "upto": head.version}
        found = [picked(row, "event")["version"] for row in source.read(_VERSIONS, place)]
        total = source.read(_TOTAL, place)[0]["total"] if len(found) == EVENTS_SHOWN else len(found)
        events = self._decoded(head.stream, found[::-1])
        is_whole = len(found) == EVENTS_SHOWN or (bool(events) and isinstance(events[0], DeploymentRequested))
        if not is_whole or [getattr(event, "number", None) for event in events] != [number] * len(found):
            raise NotLive(head.stream, "deployment_events")
        emails = self._emails(event.person_id for event in events)
        return {"events": [_event(event, emails) for event in events], "events_total": total}

    def _decoded(self, stream: str, versions: list[int]) -> list[Event]:
        rows: list[Row] = []
        for first in range(0, len(versions), _AT_ONCE):
            asked = versions[first : first + _AT_ONCE]
            asked += asked[-1:] * (_AT_ONCE - len(asked))
            binds = {f"version_{place}": version for place, version in enumerate(asked)}
            rows += self.store.read(_STORED, {"stream": stream} | binds)
        return [decode(stream, row) for row in sorted(rows, key=lambda row: int(row["version"]))]

    def _emails(self, people: Iterable[str | None]) -> dict[str | None, str]:
        known = {each: person(self.store, each) for each in set(people) if each is not None}
        return {each: row["email"] for each, row in known.items() if row is not None}


def _event(event: Event, emails: dict[str | None, str]) -> Answer:
    kind: Any = type(event)
    return {
        "version": event.originator_version,
        "type": event.TOPIC,
        "at": event.recorded_at,
        "occurred_at": event.occurred_at,
        "actor": emails.get(event.person_id),
        "recorded_by": event.recorded_by,
        "data": {name: getattr(event, name) for name in _own(kind)},
    }


@cache
def _own(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in _SAID)
