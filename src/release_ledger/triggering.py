"""The decisions on what was done in the world: workflows started and canceled, and deployments that went silent.

Pure, like `decide`. `wish` is the row of the outbox that was carried out, `target` the deployment it is for. Whatever
was recorded before is not recorded again, so that a worker may tell it as often as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from .decide import Events, cancel
from .deployment import Deployment, Report, with_report
from .environment import Environment
from .errors import LedgerUnavailable
from .events import (
    BuildTriggered,
    BuildTriggerFailed,
    DeployedAfterBuild,
    DeploymentCancelAnswered,
    DeploymentCanceled,
    DeploymentCancelRequested,
    DeploymentGivenUp,
    DeploymentReported,
    DeploymentTriggerDropped,
    DeploymentTriggered,
    DeploymentTriggerFailed,
    How,
    ProjectEvent,
)
from .project import Project
from .reporting import as_kind, room_for_one_more

Wish = Mapping[str, Any]
WANTED: Final = "wanted"
TOO_LATE: Final = "The deployment had ended before its run was known."
UNASKED: Final = "{} could not be asked to cancel the run, which may still go on."
UNHEARD: Final = "The run did not say in time that it had ended."


def triggered(
    state: Environment,
    project: Project,
    target: Deployment,
    wish: Wish,
    run_id: str | None,
    run_url: str | None,
    how: How,
    now: str,
) -> Events:
    """The workflow was started. The run of a deployment that was canceled meanwhile is canceled, too.

    One that the ledger had given up goes on: there is a run of it after all, which will say how it ends.
    """
    if not _is_news(wish, run_id):
        return ()
    events: Events = (DeploymentTriggered(**_of(target), run_id=run_id, run_url=run_url, how=how),)
    if run_id is not None and target["ended_by"] == "ledger":
        return (*events, *room_for_one_more(state), _resumed(target, run_id, now))
    if target["ended_by"] != "rollback" or run_id is None:
        return events
    too_late = DeploymentCancelRequested(
        **_of(target), run_id=run_id, repo=project.repo, by_deployment_id=None, reason=TOO_LATE
    )
    return (*events, too_late)


def trigger_failed(target: Deployment, wish: Wish, attempt: int, error_message: str, final: bool) -> Events:
    """A try to start the workflow came to nothing; for good, and the deployment is an `error`."""
    if wish["status"] != WANTED or (attempt <= wish["attempts"] and not final):
        return ()
    failed = DeploymentTriggerFailed(**_of(target), attempt=attempt, error_message=error_message, final=final)
    if not final or target["finished"]:
        return (failed,)
    return (failed, DeploymentGivenUp(**_of(target), error_message=error_message))


def dropped(target: Deployment, wish: Wish) -> Events:
    """The workflow is not started: the deployment has ended."""
    if wish["status"] != WANTED or not target["finished"]:
        return ()
    return (DeploymentTriggerDropped(**_of(target), status=target["status"]),)


def cancel_answered(
    target: Deployment,
    wish: Wish,
    attempt: int,
    answer: Literal["accepted", "ended", "failed"],
    error_message: str | None,
    final: bool,
) -> Events:
    """What came of a try to cancel the run."""
    if wish["status"] != WANTED:
        return ()
    return (
        DeploymentCancelAnswered(
            **_of(target), attempt=attempt, answer=answer, error_message=error_message, final=final
        ),
    )


def cancel_deployment(state: Environment, project: Project, target: Deployment, reason: str | None) -> Events:
    """Somebody asks to end one deployment. One that has ended, or is being canceled, is answered as it is."""
    ref = next((ref for ref in state.unfinished if ref.number == target["number"]), None)
    if ref is None and not target["finished"]:
        raise LedgerUnavailable(deployment=target["id"])  # rows of two moments: they are asked again
    return () if ref is None or ref.canceling else (cancel(ref, project, None, reason),)


def give_up(target: Deployment, wish: Wish | None, silent_since: str, error_message: str) -> Events:
    """Nothing was heard since then: an `error`, or `canceled` where it was asked to end. `wish`: to trigger it.

    A later report resumes it; one that came meanwhile, or that it was started meanwhile, shows that it is not stuck.
    """
    if target["finished"] or last_sign(target, wish) > silent_since:
        return ()
    if target["ended_by"] == "cancel":
        return (DeploymentCanceled(**_of(target), by_deployment_id="", error_message=error_message),)
    return (DeploymentGivenUp(**_of(target), error_message=error_message),)


def last_sign(target: Deployment, wish: Wish | None) -> str:
    """Since when a deployment is silent: it was asked for, its workflow was started, or it was reported."""
    settled_at = wish["settled_at"] if wish is not None else None
    return max(target["requested_at"], target["heard_at"] or "", settled_at or "")


def build_triggered(wish: Wish, run_id: str | None, run_url: str | None, how: How) -> tuple[ProjectEvent, ...]:
    """The build's workflow was started."""
    if not _is_news(wish, run_id):
        return ()
    return (BuildTriggered(**_of_build(wish), run_id=run_id, run_url=run_url, how=how),)


def build_trigger_failed(wish: Wish, attempt: int, error_message: str, final: bool) -> tuple[ProjectEvent, ...]:
    """A try to start the build's workflow came to nothing."""
    if wish["status"] != WANTED or (attempt <= wish["attempts"] and not final):
        return ()
    return (BuildTriggerFailed(**_of_build(wish), attempt=attempt, error_message=error_message, final=final),)


def deployed_after_build(wish: Wish, deployment_id: str | None, error_message: str | None) -> tuple[ProjectEvent, ...]:
    """What came of the deployment that was to follow a build."""
    if wish["status"] != WANTED:
        return ()
    return (
        DeployedAfterBuild(
            **_of_build(wish),
            to_environment=wish["target"],
            deployment_id=deployment_id,
            error_message=error_message,
        ),
    )


def _resumed(target: Deployment, run_id: str, now: str) -> DeploymentReported:
    said = Report(status="pending", at=now, timed=False, error_message=None, external_url=None)
    return DeploymentReported(
        **_of(target),
        commit=target["commit"],
        kind=as_kind(target["kind"]),
        status="pending",
        outcome=with_report(target, said)["status"],
        run_id=run_id,
    )


def _is_news(wish: Wish, run_id: str | None) -> bool:
    return wish["status"] != "done" or (run_id is not None and wish["run_id"] is None)


def _of(target: Deployment) -> dict[str, Any]:
    return {
        "number": target["number"],
        "deployment_id": target["id"],
        "release_candidate_version": target["release_candidate_version"],
    }


def _of_build(wish: Wish) -> dict[str, Any]:
    return {
        "number": wish["number"],
        "build_id": wish["subject"],
        "release_candidate_version": wish["release_candidate_version"],
    }
