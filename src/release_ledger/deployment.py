"""One deployment: its statuses, and what a report does to it.

A deployment's state is the fold of its reports ordered by time, then by rank, whatever the order in which they
arrived (contract, section 3). The row keeps the newest report of each sort and the first moment, so any order and
any repetition of the same reports ends in the same row. What the ledger decided itself (`canceled` by a rollback,
given up) stands until a terminal report says what really happened.
"""

from __future__ import annotations

from typing import Final, Literal, TypedDict

UNFINISHED: Final = ("pending", "in_progress", "canceling", "unknown")
# The order among terminal statuses counts only between reports of the very same microsecond.
TERMINAL: Final = ("error", "canceled", "failure", "success")
STATUSES: Final = UNFINISHED + TERMINAL
RANK: Final = {status: rank for rank, status in enumerate(STATUSES)}

# `cancel`: it has not ended, and is being canceled.
EndedBy = Literal["report", "rollback", "ledger", "cancel"]


class Deployment(TypedDict):
    """A row of the read model `deployments`; moments are UTC strings, `finished` is 0 or 1.

    `heard_at` is when the newest report arrived. `reported_*` is the newest unfinished report, `*_key` says which
    report a message or URL came from (empty: the ledger itself). `event_versions` are the versions of its newest
    events, oldest first, and `event_count` how many it has; `status_version` is that of the event since which it has
    its status, and `corrected` is 1 once it had finished with another one.
    """

    number: int
    id: str
    release_candidate_version: str
    release_version: str
    commit: str
    candidate_cut_at: str
    kind: str
    status: str
    finished: int
    ended_by: str | None
    from_release_candidate_version: str | None
    deploy_start_at: str | None
    deploy_end_at: str | None
    reported_at: str | None
    reported_status: str | None
    last_report: str | None
    error_message: str | None
    error_key: str | None
    external_url: str | None
    external_url_key: str | None
    reason: str | None
    leaves: str | None
    recorded_by: str
    person_id: str | None
    requested_at: str
    run_id: str | None
    heard_at: str | None
    event_count: int
    event_versions: str
    status_version: int
    corrected: int


class Report(TypedDict):
    """What CI says of a deployment; `at` is the report's time, `timed` whether CI gave it."""

    status: str
    at: str
    timed: bool
    error_message: str | None
    external_url: str | None


def with_report(row: Deployment, report: Report) -> Deployment:
    """The deployment after this report."""
    status, at = report["status"], report["at"]
    after = row.copy()
    after["deploy_start_at"] = min(row["deploy_start_at"] or at, at)
    after["last_report"] = f"{at} {status}"
    key = f"{at} {RANK[status]}"
    if report["error_message"] is not None or row["error_key"] == "":
        after["error_message"], after["error_key"] = _newer(
            (report["error_message"], key), _reported_error(row, status)
        )
    if report["external_url"] is not None:
        after["external_url"], after["external_url_key"] = _newer(
            (report["external_url"], key), (row["external_url"], row["external_url_key"])
        )
    if status in TERMINAL:
        _finish(after, status, at)
    else:
        _go_on(after, status, at)
    return after


Said = tuple[str | None, str | None]


def _newer(said: Said, known: Said) -> Said:
    """The later of two texts (text, key of its report); of one report's moment and rank the greater text."""
    if said[0] is None or (known[1] or "", known[0] or "") >= (said[1] or "", said[0]):
        return known
    return said


def _reported_error(row: Deployment, status: str) -> Said:
    """What CI said went wrong. The ledger's own words (of no report's key) end with what it had decided."""
    if row["error_key"] == "" and not is_late(row, status):
        return None, None
    return row["error_message"], row["error_key"]


def _finish(row: Deployment, status: str, at: str) -> None:
    decided = row["ended_by"] == "report"
    if decided and (row["deploy_end_at"] or "", RANK[row["status"]]) >= (at, RANK[status]):
        return
    row["status"], row["deploy_end_at"], row["ended_by"], row["finished"] = status, at, "report", 1


def _go_on(row: Deployment, status: str, at: str) -> None:
    known = (row["reported_at"] or "", RANK[row["reported_status"] or "pending"])
    if (at, RANK[status]) > known:
        row["reported_at"], row["reported_status"] = at, status
        if not row["finished"] and row["ended_by"] != "cancel":
            row["status"] = status
    if row["ended_by"] == "ledger" and status in ("pending", "in_progress"):
        row["status"], row["finished"] = row["reported_status"] or status, 0
        row["deploy_end_at"], row["ended_by"] = None, None


def ended(row: Deployment, status: str, by: EndedBy, at: str, error_message: str | None = None) -> Deployment:
    """The deployment after the ledger ended it by itself; it adds a message only where CI brought none."""
    after = row.copy()
    after["status"], after["deploy_end_at"], after["ended_by"], after["finished"] = status, at, by, 1
    if error_message is not None and row["error_message"] is None:
        after["error_message"], after["error_key"] = error_message, ""
    return after


def canceling(row: Deployment) -> Deployment:
    """The deployment while its run is asked to end: it stays so until the run or the ledger says that it has."""
    after = row.copy()
    if not row["finished"]:
        after["status"], after["ended_by"] = "canceling", "cancel"
    return after


def triggered(row: Deployment, run_id: str | None, run_url: str | None) -> Deployment:
    """The deployment once its workflow was started: it shows the run, until CI reports another address."""
    after = row.copy()
    after["run_id"] = run_id or row["run_id"]
    if run_url is not None and row["external_url"] is None:
        after["external_url"], after["external_url_key"] = run_url, ""
    return after


def is_late(row: Deployment, status: str) -> bool:
    """Whether a report of this status is kept but cannot change that the deployment has finished."""
    resumes = row["ended_by"] == "ledger" and status in ("pending", "in_progress")
    return bool(row["finished"]) and status not in TERMINAL and not resumes


def begins_again(row: Deployment, report: Report) -> bool:
    """Whether the report is of a new deployment: the version was *reported* finished and is seen running again.

    A report of the very moment of the finish ranks before it, as in the fold: it is late, not a new beginning.
    """
    running = report["status"] in ("pending", "in_progress")
    return running and row["ended_by"] == "report" and report["at"] > (row["deploy_end_at"] or "")


def changes(row: Deployment, after: Deployment, report: Report) -> bool:
    """Whether a report is worth recording: a repetition changes nothing and is only answered.

    A report that CI did not time happened when it arrived, always later than the one before: it is a repetition
    when it says what is known already. One with a time of its own counts unless every key stays as it was.
    """
    late = is_late(row, report["status"])
    if report["timed"]:
        same = {**after, "last_report": row["last_report"]} == row
        return not same or (late and after["last_report"] != row["last_report"])
    known: str | None = row["status"]
    if late:  # the first since the end is news, whatever was said before it
        said_at, _, said = (row["last_report"] or "").partition(" ")
        known = said if said_at > (row["deploy_end_at"] or "") else None
    elif row["deploy_start_at"] is None or row["ended_by"] in ("rollback", "ledger"):
        known = None
    elif row["ended_by"] == "cancel":
        known = row["reported_status"]
    return (
        report["status"] != known
        or _brings(report["error_message"], row["error_message"])
        or _brings(report["external_url"], row["external_url"])
    )


def _brings(said: str | None, known: str | None) -> bool:
    return said is not None and said != known
