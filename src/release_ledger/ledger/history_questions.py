"""The history itself: the events of a stream, oldest first, a page of them or all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import bindparam, select

from ..errors import EnvironmentNotFound, ProjectNotFound, Refusal
from ..projection import environment_stream, project_stream
from ..store import Head, Statement
from ..store.codec import decode
from ..store.schema import EVENTS
from ..store.store import head_of
from .answers import Answer
from .deployment_questions import DeploymentQuestions
from .event_answers import history_event
from .moments import Moment, then_of
from .people import emails_of

HISTORY_LIMIT: Final = 1000
_EVENTS = Statement(
    select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state, EVENTS.c.digest)
    .where(
        EVENTS.c.stream == bindparam("stream"),
        EVENTS.c.version > bindparam("after"),
        EVENTS.c.version <= bindparam("upto"),
    )
    .order_by(EVENTS.c.version)
    .limit(bindparam("limit"))
)


class HistoryQuestions(DeploymentQuestions):
    """What can be asked of the history of a project, or of one of its environments."""

    def history(
        self, project_name: str, environment_name: str | None = None, *, after: int = 0, limit: int = HISTORY_LIMIT
    ) -> tuple[list[Answer], int]:
        """The events after a version, oldest first, and the stream's version."""
        head = self._history_head(project_name, environment_name, None)
        return self._events_after(head, after, limit), head.version

    def whole_history(
        self,
        project_name: str,
        environment_name: str | None = None,
        *,
        after: int = 0,
        moment: Moment | None = None,
    ) -> tuple[Iterator[list[Answer]], int]:
        """All events up to the version that the stream is at now (or was at a moment), in pages, and that version.

        Events are never changed, so that pages read one after the other are of one state.
        """
        head = self._history_head(project_name, environment_name, moment)
        return self._pages(head, after), head.version

    def _history_head(self, project_name: str, environment_name: str | None, moment: Moment | None) -> Head:
        """The head of the stream of a project or an environment that is there."""
        if environment_name is None:
            stream = project_stream(project_name)
        else:
            stream = environment_stream(project_name, environment_name)
        if moment is None:
            head = head_of(self.store, stream)
        else:
            head = self._head_then(stream, moment, ProjectNotFound if environment_name is None else EnvironmentNotFound)
        if not head.version:
            self.project(project_name)
            raise EnvironmentNotFound()
        return head

    def _head_then(self, stream: str, moment: Moment, too_early: type[Refusal]) -> Head:
        try:
            then = then_of(self.store, stream, moment)
        except EnvironmentNotFound:
            raise too_early() from None
        return then.head if then is not None else Head(stream=stream)

    def _pages(self, head: Head, after: int) -> Iterator[list[Answer]]:
        while page := self._events_after(head, after, HISTORY_LIMIT):
            yield page
            after = page[-1]["version"]

    def _events_after(self, head: Head, after: int, limit: int) -> list[Answer]:
        place = {"stream": head.stream, "after": after, "upto": head.version, "limit": limit}
        rows = self.store.read(_EVENTS, place)
        events = [(decode(head.stream, row), bytes(row["digest"])) for row in rows]
        emails = emails_of(self.store, {event.person_id for event, _ in events})
        return [history_event(event, digest, emails) for event, digest in events]
