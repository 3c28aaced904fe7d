"""A question about a version, answered as it would have been then: by the same statements, over the rows of then.

Before each statement the rows that it will read are brought. Where they cannot be had from live rows, the stream is
folded up to the version instead: slower, never wrong. See `docs/decisions/0013-as-of.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from ..deployment import UNFINISHED
from ..projection import fold_streams, kept_beside
from ..projection.folded import not_answerable
from ..projections.running_periods import Period
from ..store import Params, ReadModelBroken, Row, Source, Statement, Store
from ..store.store import head_of
from . import event_selects, running_selects, selects, view_selects
from .asking import NotLive
from .event_selects import AT_ONCE
from .moments import Then, head_at
from .past_rows import PastRows, project_version

T = TypeVar("T")


def ask_then(store: Store, then: Then, project_stream: str | None, question: Callable[[Source, str], T]) -> T:
    """The answer as it would have been; a question about the project, too, where its stream is named."""
    try:
        with closing(AsOfSource(store, then)) as source:
            return question(source, then.now)
    except (NotLive, ReadModelBroken):
        pass
    heads = [then.head]
    if project_stream is not None:
        live = head_of(store, project_stream)
        heads.append(head_at(store, live, project_version(store, live, then.now)))
    with kept_beside(store).turn_for(heads), closing(fold_streams(store, heads)) as folded:
        try:
            return question(folded, then.now)
        except NotLive as still:
            raise not_answerable(still.stream, [still.name]) from still


class AsOfSource(PastRows):
    """One environment as it was; before each statement, the rows that it will read are brought."""

    def read(self, statement: Statement, params: Params) -> list[Row]:
        bring = _BRING.get(statement)
        if bring is None:
            raise NotLive(self.head.stream, "as of a version")
        return super().read(statement, bring(self, params))


def _environment(source: AsOfSource, params: Params) -> Params:
    source.deployments(ref.number for ref in (source.state.running, source.state.latest) if ref is not None)
    return params


def _page(source: AsOfSource, params: Params) -> Params:
    last = source.state.deployments - params["skipped"]
    source.deployments(range(last, max(0, last - params["per_page"]), -1))
    return params


def _filtered(source: AsOfSource, params: Params) -> Params:
    """Only the page itself is brought, so that nothing is skipped among the rows that are here."""
    status, version = params.get("status"), params.get("release_candidate_version")
    if status in UNFINISHED:
        source.deployments(ref.number for ref in source.state.unfinished)
        return params
    source.deployments(source.numbers_by(params["skipped"], params["one_more"], status, version))
    return {**params, "skipped": 0}


def _one(source: AsOfSource, params: Params) -> Params:
    source.deployments(source.by_id(params["deployment_id"]))
    return params


def _some_of_them(source: AsOfSource, params: Params) -> Params:
    source.deployments(params[f"number_{place}"] for place in range(AT_ONCE))
    return params


def _history(source: AsOfSource, params: Params) -> Params:
    source.deployments(range(params["before"] - view_selects.HISTORY_PAGE, params["before"]))
    return params


def _success_of(source: AsOfSource, params: Params) -> Params:
    source.deployments(source.success_of(params["version"]))
    return params


def _view(source: AsOfSource, params: Params) -> Params:
    source.project(params["project_stream"], params["version"])
    return params


def _running(source: AsOfSource, params: Params) -> Params:
    """The page, and what it is told by: the newest period, the last that begins in time, the one after that."""
    newest = source.newest_period()
    if newest is None:
        return params
    last = source.begun_before(params["before"], newest)
    top, over = last - params["skipped"], newest["number"] - 1
    bottom = max(0, top - params["rows"])
    found = [*source.periods(bottom, min(top, over)), *source.periods(max(0, last - 1), min(last + 1, over)), newest]
    rows: dict[tuple[int], Period] = {(period["slot"],): period for period in found}
    source.put(source.heads[params["stream"]], "running_periods", rows)
    source.deployments(row["deployment_number"] for row in rows.values() if bottom < row["number"] <= top)
    return params


_BRING: dict[Statement, Callable[[AsOfSource, Params], Params]] = {
    selects.ENVIRONMENT: _environment,
    selects.ALL: _page,
    **dict.fromkeys(selects.FILTERED.values(), _filtered),
    selects.DEPLOYMENT: _one,
    view_selects.HISTORY: _history,
    view_selects.SUCCESS_OF: _success_of,
    view_selects.ENVIRONMENT_VIEW: _view,
    view_selects.CANDIDATE_VIEW: _view,
    running_selects.RUNNING: _running,
    event_selects.SOME: _some_of_them,
}
