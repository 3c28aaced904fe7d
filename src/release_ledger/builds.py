"""The decisions on builds: a candidate is `pending` until its build has ended, then `ready` or `failed`.

Pure. As for deployments, any order and any repetition of the same reports ends in the same candidate: the newest
report of an end counts, by the time it tells of, then by rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

from .events import BuildReported, ProjectEvent, ReleaseCandidateChecked
from .project import UNCHECKED, UNKNOWN, Candidate, Project

STATUSES: Final = ("pending", "failed", "ready")
RANK: Final = {status: rank for rank, status in enumerate(STATUSES)}
Status = Literal["pending", "failed", "ready"]


@dataclass(frozen=True, kw_only=True)
class ReportBuild:
    """What is told of a candidate's build; `build_id` None: of its newest."""

    status: str
    build_id: str | None = None
    build_url: str | None = None
    error_message: str | None = None
    occurred_at: str | None = None
    run_attempt: int | None = None


def report(state: Project, known: Candidate, command: ReportBuild, now: str) -> tuple[ProjectEvent, ...]:
    """It is told how a build stands. What changes nothing, or is of an older build, records nothing."""
    if command.build_id is not None and command.build_id != known["build_id"]:
        return ()
    at = min(command.occurred_at or now, now)
    after = with_build(known, command.status, at, command.build_url, command.error_message)
    is_timed = command.occurred_at is not None and command.occurred_at <= now
    keys = {} if is_timed else {"build_key": known["build_key"], "build_url_key": known["build_url_key"]}
    if {**after, **keys} == known:
        return ()
    becomes_ready = known["status"] != "ready" and after["status"] == "ready"
    reported = BuildReported(
        number=known["number"],
        release_candidate_version=known["release_candidate_version"],
        build_id=known["build_id"] or "",
        status=cast(Status, command.status),
        outcome=after["status"],
        build_url=command.build_url,
        error_message=command.error_message,
        run_attempt=command.run_attempt,
        deploy_to=state.deploy_after_build if becomes_ready else None,
    )
    return (reported,)


def checked(known: Candidate, found: bool, error_message: str | None) -> tuple[ProjectEvent, ...]:
    """GitHub was asked for the commit after all; once is enough."""
    if known["commit_check"] != UNCHECKED:
        return ()
    return (
        ReleaseCandidateChecked(
            number=known["number"],
            release_candidate_version=known["release_candidate_version"],
            found=found,
            error_message=error_message,
        ),
    )


def with_build(known: Candidate, status: str, at: str, url: str | None, error_message: str | None) -> Candidate:
    """The candidate after a report on its build."""
    after, key = known.copy(), f"{at} {RANK[status]}"
    if url is not None and (known["build_url_key"] or "", known["build_url"] or "") < (key, url):
        after["build_url"], after["build_url_key"] = url, key
    if status != "pending" and (known["build_key"] or "") < key and known["commit_check"] != UNKNOWN:
        after["status"], after["build_key"] = status, key
        after["error_message"] = error_message if status == "failed" else None
    return after
