"""What ran where, from when to when: each one SELECT on read models, or folded."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import Final

from ..environment import Environment
from ..projection import environment_stream
from ..store import Head, Row, Source
from ..store.store import as_head, stream_names
from . import answers, moments, running_selects
from .answers import Answer
from .asking import NotLive, ask, picked, require, require_newest, require_page, require_row, state_in
from .environment_questions import EnvironmentQuestions
from .moments import Moment
from .project_questions import Lazily, Page

_NEVER: Final = "9999-12-31T23:59:59.999999+00:00"  # no moment of the ledger is later
_NEEDED: Final = ("running_periods", "deployments")


class RunningQuestions(EnvironmentQuestions):
    """What can be asked of the past of what runs."""

    def running(
        self,
        project_name: str,
        environment_name: str,
        *,
        page: int = 1,
        per_page: int = 10,
        begins: str | None = None,
        ends: str | None = None,
        now: str | None = None,
        moment: Moment | None = None,
    ) -> Page:
        """A page of the periods that overlap a range of reported time, newest first.

        The range is [`begins`, `ends`), all until `now` where they are None. A period of no time is in the range that
        its moment is in.
        """
        stream = environment_stream(project_name, environment_name)
        skipped, given_now = (page - 1) * per_page, now
        params = {"stream": stream, "before": ends or _NEVER, "skipped": skipped, "rows": per_page + 1}

        def question(source: Source, now: str) -> Page | None:
            rows = source.read(running_selects.RUNNING, params)
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            _state(source, head, rows[0])
            found = [row for row in rows if row["period_number"] is not None]
            require_page(head, "running_periods", len(found), max(0, _last(head, rows[0]) - skipped), 1, per_page + 1)
            shown = [
                period
                for row, period in [(row, _period(source, head, row)) for row in found]
                if begins is None or row["period_reported_from"] >= begins or _end(row, given_now or now) > begins
            ]
            return Page(items=shown[:per_page], version=head.version, more=len(shown) > per_page)

        return self._of_environment(project_name, self._at(stream, moment, question))

    def exposure(self, project_name: str, commit: str, now: str | None = None) -> Answer:
        """Where and for how long a commit has been running, by reported time until `now`: per environment, and in all.

        A commit that never ran here has an empty list.
        """
        prefix = environment_stream(project_name, "")
        params = {"first": prefix, "beyond": prefix + "\U0010ffff", "commit": commit}
        now = now or moments.now()

        def question(source: Source) -> list[Answer] | None:
            rows = source.read(running_selects.EXPOSURE, params)
            streams = groupby(rows, key=lambda row: str(row["head_stream"]))
            found = [_in_environment(source, stream, list(of_stream), now) for stream, of_stream in streams]
            return [each for each in found if each is not None] if rows else None

        environments = ask(self.store, Lazily(lambda: stream_names(self.store, prefix)), question)
        if environments is None:
            self.project(project_name)
        return answers.exposure(commit, environments or [])


def _in_environment(source: Source, stream: str, rows: list[Row], now: str) -> Answer | None:
    """An environment in which the commit has run, with its periods; None where it has not."""
    head = as_head(stream, picked(rows[0], "head"))
    state = _state(source, head, rows[0])
    found = [row for row in rows if row["period_number"] is not None]
    if not found:
        return None
    periods = [_period(source, head, row) for row in found]
    counted = [row for row, period in zip(found, periods, strict=True) if not period["corrected"]]
    seconds = sum((_seconds(row, now) for row in counted), 0.0)
    return answers.exposed(state, periods, running=found[0]["period_recorded_to"] is None, seconds=seconds)


def _state(source: Source, head: Head, row: Row) -> Environment:
    """The environment; its newest period is that of the deployment that runs."""
    state: Environment = state_in(source, head, row, "environments", "environment")
    require(source, head, *_NEEDED)
    newest = picked(row, "newest")
    running = state.running.number if state.running else None
    require_newest(source, head, running, newest if newest["number"] is not None else None)
    return state


def _last(head: Head, row: Row) -> int:
    """The number of the last period that begins in time; the next one does not, or it was lost, or looked over."""
    last = picked(row, "begun")["number"] or 0
    newest = row["newest_number"] or 0
    if last < newest and picked(row, "next")["number"] is None:
        raise NotLive(head.stream, "running_periods")
    return int(last)


def _period(source: Source, head: Head, row: Row) -> Answer:
    deployment, period = picked(row, "deployment"), picked(row, "period")
    require_row(source, head, "deployments", deployment["status"])
    corrected = bool(period["taken_back"]) or deployment["status"] != "success"
    return answers.period(period, deployment["release_version"], row["actor_email"], corrected=corrected)


def _end(row: Row, now: str) -> str:
    return str(row["period_reported_to"] or now)


def _seconds(row: Row, now: str) -> float:
    """How long a period lasted, or has lasted."""
    began, ended = (datetime.fromisoformat(moment) for moment in (row["period_reported_from"], _end(row, now)))
    return max(0.0, (ended - began).total_seconds())
