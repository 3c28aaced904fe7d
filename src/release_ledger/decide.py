"""The decisions on an environment: from state, rows, a command and the time to the events to record, or a refusal.

Pure: no clock, no store, no Flask. `now` is the moment at which the events will be recorded; `history` is the
environment's deployments, newest first, read only as far as a rule needs. Guards first, the events last.
Sources: sections 2 and 3 of the HTTP contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from .deployment import TERMINAL, Deployment, Report, begins_again, changes, is_late, with_report
from .environment import UNFINISHED_LIMIT, Environment, Settings, ref_of
from .errors import EnvironmentFrozen, InvalidRequest, NoRollbackTarget, ReleaseCandidateNotReady, TooManyUnfinished
from .events import (
    DeploymentCanceled,
    DeploymentGivenUp,
    DeploymentReported,
    DeploymentRequested,
    EnvironmentConfigured,
    EnvironmentEvent,
    EnvironmentWasFrozen,
    EnvironmentWasUnfrozen,
    Kind,
)
from .project import Candidate
from .rollback import Choice, choose, choose_version

Events = tuple[EnvironmentEvent, ...]


@dataclass(frozen=True, kw_only=True)
class RequestDeployment:
    """Deploy a candidate. The id is made before the first try, so that a retried append is the same append."""

    deployment_id: str
    force: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReportStatus:
    """What CI says of a deployment; `id` None: the rules find which one is meant."""

    deployment_id: str
    id: str | None
    status: str
    occurred_at: str | None = None
    error_message: str | None = None
    external_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class RollBack:
    """Go back: by a strategy (None: the environment's own), or `to` a version."""

    deployment_id: str
    force: bool = False
    reason: str | None = None
    strategy: str | None = None
    to: str | None = None


def configure(state: Environment | None, settings: Settings) -> Events:
    """The environment gets these settings; the same again records nothing."""
    if state is not None and state.settings == settings:
        return ()
    return (EnvironmentConfigured(**asdict(settings)),)


def freeze(state: Environment, reason: str, until: str | None, now: str) -> Events:
    """From now on commands are refused; the same freeze again records nothing."""
    if until is not None and until <= now:
        raise InvalidRequest(until="must be in the future")
    known = state.freeze_at(now)
    if known is not None and (known.reason, known.until) == (reason, until):
        return ()
    return (EnvironmentWasFrozen(reason=reason, until=until),)


def unfreeze(state: Environment) -> Events:
    """The freeze is lifted; without one nothing is recorded."""
    return (EnvironmentWasUnfrozen(),) if state.freeze is not None else ()


def request_deployment(state: Environment, candidate: Candidate, command: RequestDeployment, now: str) -> Events:
    """A candidate is to run here."""
    _refuse_if_frozen(state, command.force, now)
    if candidate["status"] != "ready":
        raise ReleaseCandidateNotReady(
            release_candidate_version=candidate["release_candidate_version"], status=candidate["status"]
        )
    if len(state.unfinished) >= UNFINISHED_LIMIT:
        raise TooManyUnfinished(limit=UNFINISHED_LIMIT)
    broke = state.freeze_at(now) is not None
    requested = _requested(state, candidate, command.deployment_id, "deploy", command.force, broke, command.reason)
    return (requested,)


def report(
    state: Environment,
    candidate: Candidate,
    target: Deployment | None,
    command: ReportStatus,
    now: str,
    history: Iterable[Deployment],
) -> Events:
    """CI tells how a deployment stands. Never refused by a rule: it reports what happened.

    `target` is the deployment meant (named by id, else the newest unfinished one of the version, else its newest).
    """
    said = Report(
        status=command.status,
        at=min(command.occurred_at or now, now),
        timed=command.occurred_at is not None and command.occurred_at <= now,
        error_message=command.error_message,
        external_url=command.external_url,
    )
    if target is None or (command.id is None and begins_again(target, said)):
        return _observed(state, candidate, command, said)
    after = with_report(target, said)
    if not changes(target, after, said):
        return ()
    running = state.running is not None and state.running.number == target["number"]
    fallback = None
    if running and after["status"] != "success":
        earlier = (d for d in history if d["number"] < target["number"] and d["status"] == "success")
        fallback = next((asdict(ref_of(deployment)) for deployment in earlier), None)
    reported = DeploymentReported(
        number=target["number"],
        deployment_id=target["id"],
        release_candidate_version=target["release_candidate_version"],
        commit=target["commit"],
        kind=_kind(target["kind"]),
        status=command.status,
        outcome=after["status"],
        late=is_late(target, command.status),
        error_message=command.error_message,
        external_url=command.external_url,
        falls_back_to=fallback,
    )
    resumed = bool(target["finished"]) and not after["finished"]
    return (*_room_for_one_more(state, resumed), reported)


def _observed(state: Environment, candidate: Candidate, command: ReportStatus, said: Report) -> Events:
    """A deployment that nobody asked the ledger for, seen in a report."""
    requested = _requested(state, candidate, command.deployment_id, "observed")
    reported = DeploymentReported(
        number=requested.number,
        deployment_id=command.deployment_id,
        release_candidate_version=candidate["release_candidate_version"],
        commit=candidate["commit"],
        kind="observed",
        status=said["status"],
        outcome=said["status"],
        error_message=command.error_message,
        external_url=command.external_url,
    )
    return (*_room_for_one_more(state, said["status"] not in TERMINAL), requested, reported)


def _room_for_one_more(state: Environment, needed: bool) -> Events:
    """A report is never refused: the oldest unfinished deployment is given up where there is no room."""
    if not needed or len(state.unfinished) < UNFINISHED_LIMIT:
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


def choice(state: Environment, history: Iterable[Deployment], success: Deployment | None, command: RollBack) -> Choice:
    """What a rollback would choose; `success` is the newest success of the version asked for with `to`."""
    running = state.running.release_candidate_version if state.running else None
    if command.to is not None:
        return choose_version(success, history, running)
    return choose(history, command.strategy or state.settings.rollback_strategy, running)


def roll_back(
    state: Environment, history: Iterable[Deployment], success: Deployment | None, command: RollBack, now: str
) -> Events:
    """Cancel what is unfinished, then deploy the target. A refusal cancels and records nothing."""
    _refuse_if_frozen(state, command.force, now)
    chosen = choice(state, history, success, command)
    if chosen.target is None:
        raise NoRollbackTarget()
    canceled = tuple(
        DeploymentCanceled(
            number=ref.number,
            deployment_id=ref.id,
            release_candidate_version=ref.release_candidate_version,
            by_deployment_id=command.deployment_id,
        )
        for ref in state.unfinished
    )
    target = chosen.target
    candidate = Candidate(
        release_candidate_version=target["release_candidate_version"],
        release_version=target["release_version"],
        commit=target["commit"],
        status="ready",
        created_at=target["candidate_cut_at"],
    )
    broke = state.freeze_at(now) is not None
    requested = _requested(
        state, candidate, command.deployment_id, "rollback", command.force, broke, command.reason, chosen
    )
    return (*canceled, requested)


def _refuse_if_frozen(state: Environment, force: bool, now: str) -> None:
    frozen = state.freeze_at(now)
    if frozen is not None and not force:
        raise EnvironmentFrozen(
            reason=frozen.reason,
            until=frozen.until,
            frozen_by=frozen.frozen_by,
            frozen_at=frozen.frozen_at,
            person_id=frozen.person_id,
        )


def _requested(
    state: Environment,
    candidate: Candidate,
    deployment_id: str,
    kind: Kind,
    force: bool = False,
    broke_freeze: bool = False,
    reason: str | None = None,
    chosen: Choice | None = None,
) -> DeploymentRequested:
    return DeploymentRequested(
        number=state.deployments + 1,
        deployment_id=deployment_id,
        release_candidate_version=candidate["release_candidate_version"],
        release_version=candidate["release_version"],
        commit=candidate["commit"],
        candidate_cut_at=candidate["created_at"],
        kind=kind,
        from_release_candidate_version=state.running.release_candidate_version if state.running else None,
        from_commit=state.running.commit if state.running else None,
        force=force,
        broke_freeze=broke_freeze,
        reason=reason,
        strategy=chosen.strategy if chosen else None,
        explanation=chosen.explanation if chosen else None,
        leaves=list(chosen.leaves) if chosen else None,
    )


def _kind(text: str) -> Kind:
    return "rollback" if text == "rollback" else "observed" if text == "observed" else "deploy"
