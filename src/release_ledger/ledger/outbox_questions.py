"""Questions about the outbox: what is still to be done in the world, and whose run a run is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from ..deployment import Deployment
from ..environment import Environment
from ..projection import FoldedSource, environment_stream, fold_now, installed, listed, project_stream, relevant
from ..store import ReadModelBroken, Row, Source, Statement
from ..triggering import last_sign
from .asking import NotLive, picked
from .environment_questions import EnvironmentQuestions
from .outbox_selects import (
    BUILDING,
    BY_RUN,
    BY_SUBJECT,
    CANCELED_WITHOUT_RUN,
    EXACTLY,
    FOLDED,
    MOMENT,
    ONE,
    UNFINISHED,
    WANTED_WISHES,
    there,
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

    @property
    def silent_since(self) -> str:
        """When the last sign of it was seen."""
        settled_at = self.wish.settled_at if self.wish is not None else None
        return last_sign(self.deployment, {"settled_at": settled_at})


class OutboxQuestions(EnvironmentQuestions):
    """What can be asked of the outbox."""

    def wanted(self) -> list[Wish]:
        """What is still to be done, the oldest first, `OF_A_KIND` of a stream; of streams whose outbox is live.

        Where a row of it is not as it was written, its stream is folded: nothing that is wanted is passed over.
        """
        damaged: set[str] = set()
        found = self._wishes(self.store, WANTED_WISHES, {}, damaged)
        whole = [wish for wish in found if wish.stream not in damaged]
        return whole + self._folded(damaged, WANTED_WISHES, {})

    def wanted_elsewhere(self) -> list[Wish]:
        """The same of the streams whose outbox is not live, or all, where its table is not there: these are folded."""
        return self._folded(self._not_live("outbox"), WANTED_WISHES, {})

    def again(self, wish: Wish) -> Wish | None:
        """The wish as it stands now; None where it is another, or was carried out or dropped."""
        found = self.wish_for(wish.stream, wish.kind, wish.number)
        same = (wish.status, wish.subject, wish.wanted_version)
        is_same = found is not None and (found.status, found.subject, found.wanted_version) == same
        return found if is_same else None

    def wish_for(self, stream: str, kind: str, number: int) -> Wish | None:
        """What was to be done; also where it must be folded."""
        place = {"of_stream": stream, "kind": kind, "number": number}
        damaged: set[str] = set()
        found = self._wishes(self.store, EXACTLY, place, damaged)
        if damaged or not found:
            found = self._folded([stream], EXACTLY, place)
        return found[0] if found else None

    def wishes_of(self, subject: str) -> list[Wish]:
        """What was to be done for a deployment or a build, by its id; of streams whose outbox is live."""
        return self._wishes(self.store, BY_SUBJECT, {"subject": subject})

    def wishes_elsewhere_of(self, subject: str) -> list[Wish]:
        """The same of the streams whose outbox is not live: these are folded."""
        return self._folded(self._not_live("outbox"), BY_SUBJECT, {"subject": subject})

    def wishes_of_run(self, run_id: str) -> list[Wish]:
        """What a run was started for."""
        return self._wishes(self.store, BY_RUN, {"run_id": run_id})

    def unfinished(self, elsewhere: bool = False) -> list[Watched]:
        """The unfinished deployments of environments whose read models are live, or are not, and are folded."""
        return self._watched(UNFINISHED, {}, elsewhere)

    def canceled_without_run(self, since: str) -> list[Watched]:
        """The live deployments that were started, and canceled since then before their run was known."""
        return self._watched(CANCELED_WITHOUT_RUN, {"since": since}, elsewhere=False)

    def moment_of(self, stream: str, version: int) -> str:
        """When an event was recorded."""
        return str(self.store.read(MOMENT, {"of_stream": stream, "at": version})[0]["recorded_at"])

    def _watched(self, statement: Statement, params: dict[str, Any], elsewhere: bool) -> list[Watched]:
        def watched(row: Row) -> Watched:
            wish = picked(row, "wish")
            return Watched(
                stream=row["head_stream"],
                deployment=cast(Deployment, picked(row, "deployment")),
                environment=installed()["environments"].load(picked(row, "environment")),
                wish=_wish(row["head_stream"], wish) if wish["kind"] is not None else None,
            )

        needed = ("deployments", "environments", "outbox")
        if not elsewhere:
            return self._live(self.store, statement, params, needed, watched)
        found: list[Watched] = []
        for stream in self._not_live(*needed):
            with fold_now(self.store, [stream]) as source:
                found += self._live(source, statement, params, needed, watched)
        return found

    def building(self, elsewhere: bool = False) -> list[Wish]:
        """The builds whose workflow was started and that have not ended; of streams that are live, or are not."""
        if elsewhere:
            return self._folded(self._not_live("outbox", "release_candidates"), BUILDING, {})
        return self._wishes(self.store, BUILDING, {})

    def _not_live(self, *names: str) -> list[str]:
        """The streams in which one of these projections, of those that fold them, is not live, or has no table."""
        gone = {name for name in names if not self._is_there(name)}
        return [
            row["stream"]
            for row in self.store.read(FOLDED, {})
            if row["stream"].startswith(_PREFIXES)
            and any(
                name in gone or not listed(row["folded"], name)
                for name in names
                if any(projection.name == name for projection in relevant(row["stream"]))
            )
        ]

    def _is_there(self, name: str) -> bool:
        table = installed()[name].table
        try:
            self.store.read(there(table), {})
        except ReadModelBroken:
            return False
        return True

    def _folded(self, streams: Iterable[str], statement: Statement, params: dict[str, Any]) -> list[Wish]:
        found: list[Wish] = []
        for stream in streams:
            with fold_now(self.store, [stream]) as source:
                found += self._wishes(source, statement, params)
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
    """The row of one wish; read after the head, in whose place an append will find whether it has moved.

    It is of a wish that was found before, and such rows never go: where there is none, it was lost.
    """
    rows = source.read(ONE, {"of_stream": stream, "kind": kind, "number": number})
    if not rows and not isinstance(source, FoldedSource):
        raise NotLive(stream, "outbox")
    return picked(rows[0], "wish") if rows else None


def _wish(stream: str, row: Row) -> Wish:
    known = {name: row[name] for name in Wish.__dataclass_fields__ if name not in ("stream", "workflow")}
    workflow = msgspec.json.decode(row["workflow"]) if row["workflow"] is not None else None
    return Wish(stream=stream, workflow=workflow, **known)
