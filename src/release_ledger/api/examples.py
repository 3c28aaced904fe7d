"""Requests and answers as they were sent and given, for the description."""

from __future__ import annotations

from typing import Any, Final

from .feed_shapes import EXAMPLE as FEED

PROJECT: Final = {
    "build_workflow": {"kind": "github", "ref": "main", "workflow": "build.yml"},
    "deploy_after_build": None,
    "created_at": "2026-11-23T17:02:51.376779+00:00",
    "name": "web",
    "repo": "acme/web",
}
CANDIDATE: Final = {
    "actor": "dev@example.com",
    "build_id": None,
    "build_url": None,
    "commit_check": None,
    "error_message": None,
    "commit": "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea",
    "created_at": "2026-11-23T17:30:51.396751+00:00",
    "release_candidate_version": "1.4.0-rc1",
    "release_version": "1.4.0",
    "repo": "acme/web",
    "status": "ready",
}
DEPLOYMENT: Final = {
    "actor": "dev@example.com",
    "commit": "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea",
    "deploy_end_at": None,
    "deploy_start_at": None,
    "environment_name": "production",
    "error_message": None,
    "external_url": None,
    "from_release_candidate_version": "1.3.0-rc2",
    "from_release_version": "1.3.0",
    "id": "01a20abf-7d86-77a1-851e-e5e395d58210",
    "kind": "deploy",
    "number": 2,
    "reason": "weekly",
    "recorded_by": "ci-production",
    "release_candidate_version": "1.4.0-rc1",
    "release_version": "1.4.0",
    "requested_at": "2026-11-23T17:45:51.398497+00:00",
    "status": "pending",
}
FINISHED: Final = DEPLOYMENT | {
    "deploy_end_at": "2026-11-23T17:52:51.400957+00:00",
    "deploy_start_at": "2026-11-23T17:46:03.123456+00:00",
    "status": "success",
}
CANCELED: Final = DEPLOYMENT | {"deploy_end_at": "2026-11-23T17:46:51.400957+00:00", "status": "canceled"}
WITH_EVENTS: Final = FINISHED | {
    "events": [
        {
            "actor": None,
            "at": "2026-11-23T17:52:52.004711+00:00",
            "data": {
                "commit": "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea",
                "error_message": None,
                "external_url": "https://github.com/acme/web/actions/runs/289782451",
                "falls_back_to": None,
                "kind": "deploy",
                "late": False,
                "outcome": "success",
                "run_attempt": 1,
                "status": "success",
            },
            "occurred_at": "2026-11-23T17:52:51.400957+00:00",
            "recorded_by": "github",
            "type": "deployment-reported",
            "version": 5,
        }
    ],
    "events_total": 1,
}
BUILT: Final = CANDIDATE | {
    "build_id": "01a20abf-7d70-7da1-9c1e-0d1c9a3ef5b1",
    "build_url": "https://github.com/acme/web/actions/runs/289782450",
}
ROLLBACK: Final = DEPLOYMENT | {
    "commit": "f32413dc3fa08c172d668366b0b378dbb31f19bc",
    "from_release_candidate_version": "1.4.0-rc1",
    "from_release_version": "1.4.0",
    "id": "01a20abf-7d92-727e-a11d-b2be4071fd40",
    "kind": "rollback",
    "number": 3,
    "reason": None,
    "release_candidate_version": "1.3.0-rc2",
    "release_version": "1.3.0",
    "requested_at": "2026-11-23T18:00:51.410949+00:00",
}
PERIOD: Final = {
    "actor": "dev@example.com",
    "commit": "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea",
    "corrected": False,
    "deployment_id": "01a20abf-7d86-77a1-851e-e5e395d58210",
    "from": "2026-11-23T17:52:51.400957+00:00",
    "recorded_from": "2026-11-23T17:52:52.004711+00:00",
    "recorded_to": "2026-11-23T18:03:20.410949+00:00",
    "release_candidate_version": "1.4.0-rc1",
    "release_version": "1.4.0",
    "to": "2026-11-23T18:03:19.400957+00:00",
}
EXPOSURE: Final = {
    "commit": "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea",
    "environments": [
        {"name": "production", "periods": [PERIOD], "running": False, "tier": "production", "total_seconds": 628.0}
    ],
    "running": False,
    "total_seconds": 628.0,
}
ENVIRONMENT: Final = {
    "created_at": "2026-11-23T17:03:51.380584+00:00",
    "deploy_workflow": None,
    "freeze": None,
    "frozen": False,
    "latest": FINISHED,
    "name": "production",
    "project_name": "web",
    "rollback_strategy": "previous",
    "running": FINISHED,
    "stuck_after_s": None,
    "tier": "production",
    "unfinished": 0,
    "version": 5,
}
NEW_ENVIRONMENT: Final = ENVIRONMENT | {"latest": None, "running": None, "version": 1}
FROZEN: Final = ENVIRONMENT | {
    "freeze": {
        "frozen_at": "2026-12-23T16:30:51.406654+00:00",
        "frozen_by": "dev@example.com",
        "reason": "holidays",
        "until": "2999-01-02T06:00:00.000000+00:00",
    },
    "frozen": True,
    "version": 6,
}
PREVIEW: Final = {
    "considered": [
        {
            "id": "01a20abf-7d86-77a1-851e-e5e395d58210",
            "release_candidate_version": "1.4.0-rc1",
            "verdict": "skipped",
            "why": "It is the version of the newest deployment, which is a success.",
        },
        {
            "id": "01a20abf-7d7b-7ce6-aaac-9f0c7c0b22c3",
            "release_candidate_version": "1.3.0-rc2",
            "verdict": "chosen",
            "why": "It is the newest earlier success of another version.",
        },
    ],
    "explanation": "1.3.0-rc2 is the newest earlier success of another version.",
    "frozen": False,
    "strategy": "previous",
    "target": "1.3.0-rc2",
    "would_cancel": [],
}

# By operation; of an answer by status too, where they differ.
ANSWERS: Final[dict[str, Any]] = {
    "health": {"status": "ok"},
    "readiness": {
        "status": "ok",
        "unknown_topics": [],
        "projections": {"deployments": {"state": "live", "streams": 3, "stale": 0, "set_aside": 0}},
    },
    "listProjects": [PROJECT],
    "getProject": PROJECT,
    "putProject": PROJECT,
    "listEnvironments": [ENVIRONMENT],
    "getEnvironment": ENVIRONMENT,
    "putEnvironment": ENVIRONMENT,
    "putEnvironment 201": NEW_ENVIRONMENT,
    "freezeEnvironment": FROZEN,
    "unfreezeEnvironment": ENVIRONMENT,
    "listReleases": [CANDIDATE],
    "getRelease": CANDIDATE,
    "cutRelease": CANDIDATE,
    "listDeployments": [FINISHED],
    "getDeployment": WITH_EVENTS,
    "cancelDeployment": CANCELED,
    "reportBuild": BUILT,
    "syncDeploy": DEPLOYMENT,
    "syncBuild": BUILT,
    "githubWebhook": {"deployment_id": "01a20abf-7d86-77a1-851e-e5e395d58210"},
    "listRunningPeriods": [PERIOD],
    "getExposure": EXPOSURE,
    "readFeed": FEED,
    "createDeployment": DEPLOYMENT,
    "reportStatus": FINISHED,
    "previewRollback": PREVIEW,
    "rollBack": ROLLBACK,
}
REQUESTS: Final[dict[str, Any]] = {
    "putProject": {"repo": "acme/web", "build_workflow": {"kind": "github", "workflow": "build.yml", "ref": "main"}},
    "putEnvironment": {"tier": "production"},
    "freezeEnvironment": {"reason": "holidays", "until": "2999-01-02T06:00:00Z"},
    "cutRelease": {"repo": "acme/web", "commit": "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea"},
    "createDeployment": {"release_candidate_version": "1.4.0-rc1", "reason": "weekly"},
    "reportStatus": {"release_candidate_version": "1.4.0-rc1", "status": "success"},
    "rollBack": {"reason": "errors after the deployment"},
    "cancelDeployment": {"reason": "started by mistake"},
    "reportBuild": {"status": "ready", "build_url": "https://ci.example.com/builds/17"},
    "syncDeploy": {"deployment_id": "01a20abf-7d86-77a1-851e-e5e395d58210", "workflow_run_id": 289782451},
    "syncBuild": {"release_cut_id": "01a20abf-7d70-7da1-9c1e-0d1c9a3ef5b1", "workflow_run_id": 289782450},
    "githubWebhook": {
        "repository": {"full_name": "acme/web"},
        "workflow_run": {
            "id": 289782451,
            "display_title": "Deploy 01a20abf-7d86-77a1-851e-e5e395d58210",
            "html_url": "https://github.com/acme/web/actions/runs/289782451",
            "status": "completed",
            "conclusion": "success",
            "run_attempt": 1,
            "updated_at": "2026-11-23T17:52:51Z",
        },
    },
}


def answer_of(operation_id: str, status: str) -> Any:
    """An answer of this operation; None for one that is no JSON."""
    return ANSWERS.get(f"{operation_id} {status}", ANSWERS.get(operation_id))
