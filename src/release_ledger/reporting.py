"""The decision on a report: CI tells how a deployment stands, and it is never refused by a rule.

Pure, like `decide`. Sources: "Which deployment a PATCH means" and what follows, in section 3 of the HTTP contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from .decide import Events, requested
from .deployment import TERMINAL, Deployment, Report, begins_again, changes, is_late, with_report
from .environment import UNFINISHED_LIMIT, Environment, ref_of
from .events import DeploymentGivenUp, DeploymentReported, Kind
from .project import Deployable
from .versions import read_moment

SIGNS_OF_LIFE: Final = 4  # at most so many repetitions are recorded in the time after which silence counts as stuck


@dataclass(frozen=True, kw_only=True)
class ReportStatus:
    """What CI says of a deployment; `id` None: the rules find which one is meant."""

    deployment_id: str
    id: str | None
    status: str
    occurred_at: str | None = None
    error_message: str | None = None
    external_url: str | None = None
    run_attempt: int | None = None


def report(
    state: Environment,
    candidate: Deployable,
    target: Deployment | None,
    command: ReportStatus,
    now: str,
    history: Iterable[Deployment],
) -> Events:
    """CI tells how a deployment stands. Never refused by a rule: it reports what happened.

    `target` is the deployment meant (named by id, else the newest unfinished one of the version, else its newest).
    """
    said = _said(command, now)
    if target is None or (command.id is None and begins_again(target, said)):
        return _observed(state, candidate, command, said)
    after = with_report(target, said)
    if not changes(target, after, said) and not _is_sign_of_life(state, target, now):
        return ()
    resumed = bool(target["finished"]) and not after["finished"]
    reported = DeploymentReported(
        number=target["number"],
        deployment_id=target["id"],
        release_candidate_version=target["release_candidate_version"],
        commit=target["commit"],
        kind=as_kind(target["kind"]),
        status=command.status,
        outcome=after["status"],
        late=is_late(target, command.status),
        error_message=command.error_message,
        external_url=command.external_url,
        falls_back_to=_fallback(state, target, after, history),
        run_attempt=command.run_attempt,
        run_id=target["run_id"] if resumed else None,
    )
    return (*(room_for_one_more(state) if resumed else ()), reported)


def _said(command: ReportStatus, now: str) -> Report:
    return Report(
        status=command.status,
        at=min(command.occurred_at or now, now),
        timed=command.occurred_at is not None and command.occurred_at <= now,
        error_message=command.error_message,
        external_url=command.external_url,
    )


def _is_sign_of_life(state: Environment, target: Deployment, now: str) -> bool:
    """Whether a repetition tells that an unfinished deployment is not stuck, and nothing has told so of late."""
    stuck_after_s = state.settings.stuck_after_s
    if target["finished"] or stuck_after_s is None:
        return False
    silent = read_moment(now) - read_moment(target["heard_at"] or target["requested_at"])
    return silent.total_seconds() > stuck_after_s / SIGNS_OF_LIFE


def _fallback(
    state: Environment, target: Deployment, after: Deployment, history: Iterable[Deployment]
) -> dict[str, Any] | None:
    """What the environment runs when the report takes the success from the running deployment."""
    if state.running is None or state.running.number != target["number"] or after["status"] == "success":
        return None
    earlier = (d for d in history if d["number"] < target["number"] and d["status"] == "success")
    return next((ref_of(deployment).plain for deployment in earlier), None)


def _observed(state: Environment, candidate: Deployable, command: ReportStatus, said: Report) -> Events:
    """A deployment that nobody asked the ledger for, seen in a report."""
    deployment = requested(state, candidate, command.deployment_id, "observed")
    reported = DeploymentReported(
        number=deployment.number,
        deployment_id=command.deployment_id,
        release_candidate_version=candidate["release_candidate_version"],
        commit=candidate["commit"],
        kind="observed",
        status=said["status"],
        outcome=said["status"],
        error_message=command.error_message,
        external_url=command.external_url,
    )
    room = room_for_one_more(state) if said["status"] not in TERMINAL else ()
    return (*room, deployment, reported)


def room_for_one_more(state: Environment) -> Events:
    """What has happened is never refused: the oldest unfinished deployment is given up where there is no room."""
    if len(state.unfinished) < UNFINISHED_LIMIT:
        return ()
    oldest = state.unfinished[0]
    return (
        DeploymentGivenUp(
            number=oldest.number,
            deployment_id=oldest.id,
            release_candidate_version=oldest.release_candidate_version,
            error_message=f"Given up: {UNFINISHED_LIMIT} newer deployments are unfinished. A report resumes it.",
        ),
    )


def as_kind(text: str) -> Kind:
    return "rollback" if text == "rollback" else "observed" if text == "observed" else "deploy"
