"""What a worker tells is recorded once, in whatever order and how often it is told."""

from typing import Any, Final

from release_ledger import decide, triggering
from release_ledger.deployment import Deployment
from release_ledger.environment import UNFINISHED_LIMIT, Environment, apply
from release_ledger.events import (
    DeploymentCanceled,
    DeploymentCancelRequested,
    DeploymentGivenUp,
    DeploymentRequested,
    DeploymentTriggered,
    DeploymentTriggerFailed,
    changed,
    stamp,
)
from release_ledger.projection.projection import Rows
from release_ledger.projections.deployments import Deployments
from tests.rules.story import PROJECT, STREAM, at

WANTED: Final[dict[str, Any]] = {"status": "wanted", "attempts": 0, "run_id": None}
REQUESTED: Final = DeploymentRequested(
    number=1,
    deployment_id="d-1",
    release_candidate_version="1.0-rc1",
    release_version="1.0",
    commit="a" * 40,
    candidate_cut_at=at(0),
    kind="deploy",
    from_release_candidate_version=None,
    from_commit=None,
)


def told(*events: Any) -> tuple[Environment, Deployment]:
    """The environment and the deployment after these events."""
    rows, state, fold = Rows(), None, Deployments()
    common = {"recorded_at": at(1), "project_name": "shop", "environment_name": "production"}
    for event in stamp(events, STREAM, 0, **common):
        fold.fold(event, rows)
        state = apply(state, event)
    assert state is not None
    return state, rows[1]


def triggered(run_id: str | None = "7") -> DeploymentTriggered:
    return DeploymentTriggered(
        number=1,
        deployment_id="d-1",
        release_candidate_version="1.0-rc1",
        run_id=run_id,
        run_url=f"https://github.com/acme/shop/actions/runs/{run_id}",
        how="answered",
    )


def test_a_run_is_recorded_once_and_a_run_that_becomes_known_later_too() -> None:
    """204 tells none; its first step does."""
    state, target = told(REQUESTED)
    done = WANTED | {"status": "done"}

    def tell(wish: dict[str, Any], run_id: str | None) -> tuple[Any, ...]:
        return triggering.triggered(state, PROJECT, target, wish, run_id, None, "told", at(2))

    assert len(tell(WANTED, None)) == 1
    assert tell(done, None) == ()
    assert len(tell(done, "7")) == 1
    assert tell(done | {"run_id": "7"}, "7") == ()
    assert tell(done | {"run_id": "7"}, "8") == ()


def test_a_failed_try_counts_once_and_the_last_ends_the_deployment() -> None:
    """Two workers may tell the same."""
    _, target = told(REQUESTED)
    tried = WANTED | {"attempts": 2}

    assert triggering.trigger_failed(target, tried, 2, "no", False) == ()
    assert triggering.trigger_failed(target, WANTED | {"status": "done"}, 3, "no", True) == ()
    assert len(triggering.trigger_failed(target, tried, 2, "no", True)) == 2
    (again,) = triggering.trigger_failed(target, tried, 3, "no", False)
    final = triggering.trigger_failed(target, tried, 3, "no", True)

    assert isinstance(again, DeploymentTriggerFailed)
    assert [type(event) for event in final] == [DeploymentTriggerFailed, DeploymentGivenUp]


def test_what_was_heard_of_meanwhile_is_not_given_up() -> None:
    """The watch looked a moment before the report came, or before the workflow was started after all."""
    _, target = told(REQUESTED)
    started_late = WANTED | {"status": "done", "settled_at": at(2)}

    assert triggering.give_up(target, None, at(0), "silent") == ()
    assert triggering.give_up(target, started_late, at(1), "silent") == ()
    assert len(triggering.give_up(target, WANTED | {"settled_at": None}, at(1), "silent")) == 1


def test_a_deployment_with_a_run_is_canceled_by_its_run() -> None:
    """At once without one; and a second wish to cancel is the same wish."""
    without, _ = told(REQUESTED)
    with_run, _ = told(REQUESTED, triggered())
    (ref,) = with_run.unfinished

    assert isinstance(decide.cancel(without.unfinished[0], PROJECT), DeploymentCanceled)
    asked = decide.cancel(ref, PROJECT, "d-2")
    assert isinstance(asked, DeploymentCancelRequested)
    assert (asked.run_id, asked.repo, asked.by_deployment_id) == ("7", "org/shop", "d-2")

    state, target = told(REQUESTED, triggered(), asked)
    assert (target["status"], target["finished"]) == ("canceling", 0)
    assert triggering.cancel_deployment(state, PROJECT, target, None) == ()
    command = decide.RollBack(deployment_id="d-3", to="1.0-rc1")
    success = {**target, "status": "success", "finished": 1}
    events = decide.roll_back(state, PROJECT, [], success, command, at(2))  # type: ignore[arg-type] # a copied row
    assert [type(event) for event in events] == [DeploymentRequested]


def test_a_deployment_that_was_given_up_goes_on_with_the_run_that_turns_up() -> None:
    """And a rollback cancels that run, as any."""
    given_up = DeploymentGivenUp(
        number=1, deployment_id="d-1", release_candidate_version="1.0-rc1", error_message="may have been triggered"
    )
    state, target = told(REQUESTED, given_up)

    events = triggering.triggered(state, PROJECT, target, WANTED | {"status": "failed"}, "7", None, "told", at(2))
    state, after = told(REQUESTED, given_up, *events)

    assert (after["status"], after["run_id"]) == ("pending", "7")
    assert [(ref.number, ref.run_id) for ref in state.unfinished] == [(1, "7")]
    assert isinstance(decide.cancel(state.unfinished[0], PROJECT), DeploymentCancelRequested)


def test_a_run_that_turns_up_finds_room() -> None:
    """Never more than the limit are unfinished: the oldest of them is given up, as for a report."""
    given_up = DeploymentGivenUp(
        number=1, deployment_id="d-1", release_candidate_version="1.0-rc1", error_message="may have been triggered"
    )
    later = [changed(REQUESTED, number=number, deployment_id=f"d-{number}") for number in range(2, 102)]
    full, target = told(REQUESTED, given_up, *later)

    events = triggering.triggered(full, PROJECT, target, WANTED | {"status": "failed"}, "7", None, "told", at(2))
    state, after = told(REQUESTED, given_up, *later, *events)

    assert len(full.unfinished) == len(state.unfinished) == UNFINISHED_LIMIT
    assert (after["status"], state.unfinished[0].number, state.unfinished[1].number) == ("pending", 1, 3)


def test_a_deployment_that_is_resumed_keeps_its_run() -> None:
    """The watchdog gave it up, and CI says that it goes on."""
    from release_ledger import reporting

    given_up = DeploymentGivenUp(
        number=1, deployment_id="d-1", release_candidate_version="1.0-rc1", error_message="silent"
    )
    state, target = told(REQUESTED, triggered(), given_up)
    command = reporting.ReportStatus(deployment_id="", id="d-1", status="in_progress")

    events = reporting.report(state, PROJECT, target, command, at(3), [])  # type: ignore[arg-type] # not looked at
    state, _ = told(REQUESTED, triggered(), given_up, *events)

    assert [ref.run_id for ref in state.unfinished] == ["7"]


def test_a_late_report_of_long_ago_is_no_silence() -> None:
    """What counts is when it was heard, and repeated it is no news."""
    from release_ledger import reporting
    from release_ledger.events import DeploymentReported, EnvironmentConfigured

    configured = EnvironmentConfigured(
        tier="production", deploy_workflow=None, rollback_strategy="previous", stuck_after_s=60
    )
    late = DeploymentReported(
        number=1,
        deployment_id="d-1",
        release_candidate_version="1.0-rc1",
        commit="a" * 40,
        kind="deploy",
        status="pending",
        outcome="pending",
        occurred_at=at(-2),
    )
    state, target = told(configured, REQUESTED, late)
    command = reporting.ReportStatus(deployment_id="", id="d-1", status="pending", occurred_at=at(-2))

    assert target["heard_at"] == at(1)
    assert reporting.report(state, PROJECT, target, command, at(1.1), []) == ()  # type: ignore[arg-type] # as above


def test_a_workflow_is_part_of_the_request_only_where_there_is_one() -> None:
    """What is reported is never triggered."""
    from release_ledger.events import EnvironmentConfigured

    workflow = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}
    configured = EnvironmentConfigured(
        tier="production", deploy_workflow=workflow, rollback_strategy="previous", stuck_after_s=None
    )
    state, _ = told(configured, REQUESTED)

    assert decide.with_workflow(state, PROJECT, REQUESTED).workflow == workflow
    assert decide.with_workflow(state, PROJECT, REQUESTED).repo == "org/shop"
    assert decide.with_workflow(told(REQUESTED)[0], PROJECT, REQUESTED).workflow is None
