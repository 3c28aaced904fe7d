"""Questions about one deployment: how it stands, and every attempt, answer and decision that led there, in order."""

from __future__ import annotations

from ..errors import DeploymentNotFound
from ..events import DeploymentRequested, Event
from ..projection import environment_stream
from ..store import Head, Row, Source
from ..store.codec import decode
from ..store.store import as_head
from . import answers, selects
from .answers import Answer
from .asking import NotLive, picked, require
from .environment_questions import EnvironmentQuestions
from .event_answers import deployment_event
from .event_selects import AT_ONCE, EVENTS_SHOWN, STORED, TOTAL, VERSIONS, some
from .moments import Moment
from .people import emails_of


class DeploymentQuestions(EnvironmentQuestions):
    """What can be asked of one deployment."""

    def deployment_with_events(
        self, project_name: str, environment_name: str, deployment_id: str, *, moment: Moment | None = None
    ) -> tuple[Answer, int]:
        """One deployment with its newest events, oldest first, and how many there are; its stream's version."""
        stream = environment_stream(project_name, environment_name)

        def question(source: Source, _: str) -> tuple[Answer, int] | None:
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

        return self._of_environment(project_name, self._at(stream, moment, question))

    def _events(self, source: Source, head: Head, number: int) -> Answer:
        place = {"of_stream": head.stream, "number": number, "upto": head.version}
        found = [picked(row, "event")["version"] for row in source.read(VERSIONS, place)]
        total = source.read(TOTAL, place)[0]["total"] if len(found) == EVENTS_SHOWN else len(found)
        events = self._decoded(head.stream, found[::-1])
        is_whole = len(found) == EVENTS_SHOWN or (bool(events) and isinstance(events[0], DeploymentRequested))
        if not is_whole or [getattr(event, "number", None) for event in events] != [number] * len(found):
            raise NotLive(head.stream, "deployment_events")
        emails = emails_of(self.store, {event.person_id for event in events})
        return {"events": [deployment_event(event, emails) for event in events], "events_total": total}

    def _decoded(self, stream: str, versions: list[int]) -> list[Event]:
        rows: list[Row] = []
        for first in range(0, len(versions), AT_ONCE):
            rows += self.store.read(STORED, {"stream": stream} | some("version", versions[first : first + AT_ONCE]))
        return [decode(stream, row) for row in sorted(rows, key=lambda row: int(row["version"]))]
