"""Questions about the outbox: what is still to be done in the world, and whose run a run is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, select

from ..deployment import Deployment
from ..environment import Environment
from ..projection import FoldedSource, environment_stream, fold_streams, installed, listed, project_stream
from ..projections.deployments import Deployments
from ..projections.environments import NOW, Environments
from ..projections.outbox import WANTED, Outbox
from ..projections.release_candidates import ReleaseCandidates
from ..store import ReadModelBroken, Row, Source, Statement
from ..store.schema import STREAMS
from .asking import HEAD_COLUMNS, NotLive, belongs, here, labelled, picked
from .environment_questions import EnvironmentQuestions

MOST_WISHES: Final = 1000
W, D, E, C = Outbox.table, Deployments.table, Environments.table, ReleaseCandidates.table
_HEAD = STREAMS.alias("head")
_HEADS = (_HEAD.c.stream.label("head_stream"), *labelled(_HEAD, "head", *HEAD_COLUMNS))


def _rows(*conditions: ColumnElement[bool]) -> Statement:
    return Statement(
        select(*_HEADS, *labelled(W, "wish"))
        .select_from(W.join(_HEAD, belongs(W, _HEAD)))
        .where(*conditions)
        .order_by(W.c.wanted_at, W.c.stream, W.c.wanted_version)
        .limit(MOST_WISHES)
    )


_WANTED = _rows(W.c.status == WANTED)
_BY_SUBJECT = _rows(W.c.subject == bindparam("subject"))
_BY_RUN = _rows(W.c.run_id == bindparam("run_id"))
_ONE = Statement(
    select(*labelled(W, "wish")).where(
        *here(W, "of_stream"), W.c.kind == bindparam("kind"), W.c.number == bindparam("number")
    )
)
_FOLDED = Statement(select(STREAMS.c.stream, STREAMS.c.folded))
_UNFINISHED = Statement(
    select(*_HEADS, *labelled(D, "deployment"), *labelled(E, "environment"), *labelled(W, "wish"))
    .select_from(
        D.join(_HEAD, belongs(D, _HEAD))
        .join(E, belongs(E, _HEAD) & (E.c.slot == NOW))
        .outerjoin(W, and_(belongs(W, _HEAD), W.c.kind == "trigger", W.c.number == D.c.number))
    )
    .where(D.c.finished == 0)
)
_BUILDING = Statement(
    select(*_HEADS, *labelled(C, "candidate"), *labelled(W, "wish"))
    .select_from(W.join(_HEAD, belongs(W, _HEAD)).join(C, and_(belongs(C, _HEAD), C.c.build_id == W.c.subject)))
    .where(W.c.kind == "build", W.c.status == "done", C.c.status == "pending")
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One row of the outbox, and whose it is."""

    stream: str
    kind: str
    number: int
    status: str
    wanted_version: int
    wanted_at: str
    subject: str
    release_candidate_version: str
    release_version: str | None
    commit: str | None
    repo: str | None
    workflow: dict[str, Any] | None
    target: str | None
    attempts: int
    run_id: str | None
    run_url: str | None
    settled_at: str | None

    @property
    def project_name(self) -> str:
        return self.stream.split("/")[1]

    @property
    def environment_name(self) -> str:
        """Empty for a wish about a project's candidate."""
        return self.stream.split("/")[2] if self.stream.startswith("environment/") else ""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """An unfinished deployment, its environment, and what was to be triggered for it, if anything was."""

    stream: str
    deployment: Deployment
    environment: Environment
    wish: Wish | None


class OutboxQuestions(EnvironmentQuestions):
    """What can be asked of the outbox."""

    def wanted(self) -> list[Wish]:
        """What is still to be done, the oldest first, at most `MOST_WISHES`; of streams whose outbox is live.

        Where a row of it is not as it was written, its stream is folded: nothing that is wanted is passed over.
        """
        damaged: set[str] = set()
        found = self._wishes(self.store, _WANTED, {}, damaged)
        whole = [wish for wish in found if wish.stream not in damaged]
        return whole + self._folded(damaged, _WANTED, {})

    def wanted_elsewhere(self) -> list[Wish]:
        """The same of the streams whose outbox is not live: these are folded."""
        return self._folded(self._not_live(), _WANTED, {})

    def wishes_of(self, subject: str) -> list[Wish]:
        """What was to be done for a deployment or a build, by its id; of streams whose outbox is live."""
        return self._wishes(self.store, _BY_SUBJECT, {"subject": subject})

    def wishes_elsewhere_of(self, subject: str) -> list[Wish]:
        """The same of the streams whose outbox is not live: these are folded."""
        return self._folded(self._not_live(), _BY_SUBJECT, {"subject": subject})

    def wishes_of_run(self, run_id: str) -> list[Wish]:
        """What a run was started for."""
        return self._wishes(self.store, _BY_RUN, {"run_id": run_id})

    def unfinished(self) -> list[Watched]:
        """The unfinished deployments of all environments whose read models are live."""

        def watched(row: Row) -> Watched:
            wish = picked(row, "wish")
            return Watched(
                stream=row["head_stream"],
                deployment=cast(Deployment, picked(row, "deployment")),
                environment=installed()["environments"].load(picked(row, "environment")),
                wish=_wish(row["head_stream"], wish) if wish["kind"] is not None else None,
            )

        needed = ("deployments", "environments", "outbox")
        return self._live(self.store, _UNFINISHED, {}, needed, watched)

    def building(self) -> list[Wish]:
        """The builds that were triggered and have not ended."""
        return self._wishes(self.store, _BUILDING, {})

    def _not_live(self) -> list[str]:
        return [
            row["stream"]
            for row in self.store.read(_FOLDED, {})
            if row["stream"].startswith(_PREFIXES) and not listed(row["folded"], "outbox")
        ]

    def _folded(self, streams: Iterable[str], statement: Statement, params: dict[str, Any]) -> list[Wish]:
        found: list[Wish] = []
        for stream in streams:
            with closing(fold_streams(self.store, [stream])) as folded:
                found += self._wishes(folded, statement, params)
        return found

    def _wishes(
        self, source: Source, statement: Statement, params: dict[str, Any], damaged: set[str] | None = None
    ) -> list[Wish]:
        def wish(row: Row) -> Wish:
            return _wish(row["head_stream"], picked(row, "wish"))

        return self._live(source, statement, params, ("outbox",), wish, damaged)

    def _live(
        self,
        source: Source,
        statement: Statement,
        params: dict[str, Any],
        needed: Iterable[str],
        made: Callable[[Row], Any],
        damaged: set[str] | None = None,
    ) -> list[Any]:
        """What is made of the rows of streams that are live; those with a damaged row are named, or passed over."""
        found, damaged = [], set() if damaged is None else damaged
        try:
            rows = source.read(statement, params)
        except ReadModelBroken:
            return []
        for row in rows:
            try:
                if isinstance(source, FoldedSource) or all(listed(row["head_folded"], name) for name in needed):
                    found.append(made(row))
            except NotLive:
                damaged.add(row["head_stream"])
        return found


_PREFIXES: Final = (environment_stream("", "").partition("/")[0] + "/", project_stream("").partition("/")[0] + "/")


def wish_row(source: Source, stream: str, kind: str, number: int) -> Row | None:
    """The row of one wish; read after the head, in whose place an append will find whether it has moved."""
    rows = source.read(_ONE, {"of_stream": stream, "kind": kind, "number": number})
    return picked(rows[0], "wish") if rows else None


def _wish(stream: str, row: Row) -> Wish:
    known = {name: row[name] for name in Wish.__dataclass_fields__ if name not in ("stream", "workflow")}
    workflow = msgspec.json.decode(row["workflow"]) if row["workflow"] is not None else None
    return Wish(stream=stream, workflow=workflow, **known)
