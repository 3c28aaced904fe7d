"""The report of a project's deployments: who, why, against which freeze, how it ended, and how a failure was mended.

What was asked is read from the events, a piece at a time; how it stands, from the read model; so a report of a month
costs that month, and a long one no more memory than a short one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from sqlalchemy import bindparam, select

from ..deployment import Deployment
from ..events import DeploymentRequested
from ..projection import environment_stream
from ..projections.deployments import Deployments
from ..store import Head, Source, Statement
from ..store.codec import decode
from ..store.store import events_after, head_of, stream_names
from ..versions import read_moment
from .answers import Answer
from .asking import NotLive, ask, here, labelled, picked, require
from .moments import newest_by
from .people import emails_of
from .project_questions import ProjectQuestions

AT_ONCE: Final = 200
FAILED: Final = frozenset({"failure", "error"})
D = Deployments.table
_NUMBERED = Statement(
    select(*labelled(D, "deployment"))
    .where(*here(D, "of_stream"), D.c.number >= bindparam("first"), D.c.number <= bindparam("last"))
    .order_by(D.c.number)
)
_NEXT_SUCCESS = Statement(
    select(*labelled(D, "deployment"))
    .where(*here(D, "of_stream"), D.c.status == "success", D.c.number > bindparam("number"))
    .order_by(D.c.number)
    .limit(1)
)
COLUMNS: Final = (
    "environment",
    "number",
    "id",
    "requested_at",
    "release_candidate_version",
    "commit",
    "kind",
    "from_release_candidate_version",
    "actor",
    "recorded_by",
    "reason",
    "force",
    "broke_freeze",
    "status",
    "deploy_start_at",
    "deploy_end_at",
    "error_message",
    "restored_by",
    "restored_by_id",
    "restored_by_kind",
    "restored_at",
    "restored_after_s",
)


class Stretch(NamedTuple):
    """The events of an environment that were recorded in a range of time: those after a version, up to another."""

    environment_name: str
    head: Head
    after: int
    upto: int


class DeploymentReports(ProjectQuestions):
    """What auditors ask of all deployments of a project."""

    def stretches(self, project_name: str, begins: str | None, ends: str | None) -> list[Stretch]:
        """The environments of a project that is there, with what was recorded from one moment until before another."""
        self.project(project_name)
        prefix = environment_stream(project_name, "")
        found = []
        for stream in stream_names(self.store, prefix):
            head = head_of(self.store, stream)
            after = newest_by(self.store, head, _before(begins)) if begins else 0
            upto = newest_by(self.store, head, _before(ends)) if ends else head.version
            found.append(Stretch(stream.removeprefix(prefix), head, after, upto))
        return found

    def reported(self, stretch: Stretch) -> Iterator[tuple[int, list[Answer]]]:
        """The deployments that were requested in a stretch, oldest first: how many events on, and some of them."""
        requests: list[DeploymentRequested] = []
        events = 0
        for row in events_after(self.store, stretch.head.stream, stretch.after, stretch.upto):
            events += 1
            if row["topic"] == DeploymentRequested.TOPIC:
                requests.append(cast(DeploymentRequested, decode(stretch.head.stream, row)))
            if len(requests) == AT_ONCE or events == 10 * AT_ONCE:
                yield events, self._reported(stretch, requests)
                requests, events = [], 0
        yield events, self._reported(stretch, requests)

    def _reported(self, stretch: Stretch, requests: list[DeploymentRequested]) -> list[Answer]:
        if not requests:
            return []
        stream = stretch.head.stream

        def question(source: Source) -> list[Answer]:
            require(source, head_of(source, stream), "deployments")
            place = {"of_stream": stream, "first": requests[0].number, "last": requests[-1].number}
            rows = {row["deployment_number"]: picked(row, "deployment") for row in source.read(_NUMBERED, place)}
            if any(request.number not in rows for request in requests):
                raise NotLive(stream, "deployments")
            found = ((request, cast(Deployment, rows[request.number])) for request in requests)
            return [_line(request, row, _restored(source, stream, row)) for request, row in found]

        lines = ask(self.store, [stream], question)
        emails = emails_of(self.store, (request.person_id for request in requests))
        actors = (emails.get(request.person_id) for request in requests)
        return [
            {name: (line | {"environment": stretch.environment_name, "actor": actor})[name] for name in COLUMNS}
            for line, actor in zip(lines, actors, strict=True)
        ]


def _restored(source: Source, stream: str, row: Deployment) -> Deployment | None:
    """The success that came next after a failure."""
    if row["status"] not in FAILED:
        return None
    rows = source.read(_NEXT_SUCCESS, {"of_stream": stream, "number": row["number"]})
    return cast(Deployment, picked(rows[0], "deployment")) if rows else None


def _line(request: DeploymentRequested, row: Deployment, restored: Deployment | None) -> Answer:
    own = {name: cast(Answer, row)[name] for name in COLUMNS if name in row}
    asked = {"force": request.force, "broke_freeze": request.broke_freeze, "reason": request.reason}
    restored_at = restored["deploy_end_at"] if restored else None
    return (
        own
        | asked
        | {
            "restored_by": restored["release_candidate_version"] if restored else None,
            "restored_by_id": restored["id"] if restored else None,
            "restored_by_kind": restored["kind"] if restored else None,
            "restored_at": restored_at,
            "restored_after_s": _seconds(row["deploy_end_at"], restored_at),
        }
    )


def _seconds(since: str | None, until: str | None) -> float | None:
    """From a failure to the success; nothing where that one had come before the failure was told."""
    if since is None or until is None:
        return None
    return max(0.0, round((read_moment(until) - read_moment(since)).total_seconds(), 6))


def _before(moment: str) -> str:
    """What sorts after all earlier moments and before this one: they are texts of one length."""
    return moment.removesuffix("+00:00")
