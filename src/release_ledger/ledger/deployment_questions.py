"""Questions about one deployment: how it stands, and every attempt, answer and decision that led there, in order."""

from __future__ import annotations

from ..errors import DeploymentNotFound
from ..projection import environment_stream
from ..store import Head, Row, Source
from ..store.store import as_head
from . import answers, selects
from .answers import Answer
from .asking import picked, require
from .environment_questions import EnvironmentQuestions
from .event_answers import deployment_event
from .event_selects import EVENTS_SHOWN
from .moments import Moment
from .named_events import events_of, versions_of
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
            require(source, head, "deployments")
            if rows[0]["deployment_number"] is None:
                self._require_no_such_id(source, head, rows[0], deployment_id)
                raise DeploymentNotFound()
            row = picked(rows[0], "deployment")
            answer = answers.deployment(row, environment_name, rows[0]["actor_email"])
            return answer | self._events(head, row), head.version

        return self._of_environment(project_name, self._at(stream, moment, question))

    def _events(self, head: Head, row: Row) -> Answer:
        events = events_of(self.store, head.stream, {row["number"]: versions_of(row)[-EVENTS_SHOWN:]})
        emails = emails_of(self.store, {event.person_id for event in events})
        return {
            "events": [deployment_event(event, emails) for event in events],
            "events_total": row["event_count"],
        }
