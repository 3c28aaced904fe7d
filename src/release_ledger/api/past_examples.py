"""Answers about the past as they were given, for the description."""

from __future__ import annotations

from typing import Any, Final

from .examples import FINISHED, PERIOD

EVENT: Final = {
    "actor": "dev@example.com",
    "data": {
        "broke_freeze": False,
        "candidate_cut_at": "2026-11-23T17:30:51.396751+00:00",
        "commit": "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea",
        "deployment_id": "01a20abf-7d86-77a1-851e-e5e395d58210",
        "explanation": None,
        "force": False,
        "from_commit": "f32413dc3fa08c172d668366b0b378dbb31f19bc",
        "from_release_candidate_version": "1.3.0-rc2",
        "kind": "deploy",
        "leaves": None,
        "number": 2,
        "reason": "weekly",
        "release_candidate_version": "1.4.0-rc1",
        "release_version": "1.4.0",
        "repo": None,
        "strategy": None,
        "workflow": None,
    },
    "digest": "6a2d9c8a2ff47bb3a5dd6a1c1f0e1f1a4fb0b6c3b6d7e18f2f7a9c1c5d3e2b10",
    "occurred_at": None,
    "recorded_at": "2026-11-23T17:45:51.398497+00:00",
    "recorded_by": "ci-production",
    "request_id": "deploy-4711",
    "type": "deployment-requested",
    "version": 4,
}
PROJECT_EVENT: Final = EVENT | {
    "data": {"build_workflow": None, "deploy_after_build": None, "repo": "acme/web"},
    "recorded_at": "2026-11-23T17:02:51.376779+00:00",
    "recorded_by": "admin",
    "type": "project-configured",
    "version": 1,
}
BEFORE: Final = FINISHED | {
    "commit": "f32413dc3fa08c172d668366b0b378dbb31f19bc",
    "deploy_end_at": "2026-11-23T17:20:51.400957+00:00",
    "deploy_start_at": "2026-11-23T17:15:03.123456+00:00",
    "from_release_candidate_version": None,
    "from_release_version": None,
    "id": "01a20abf-7d7b-7ce6-aaac-9f0c7c0b22c3",
    "number": 1,
    "reason": None,
    "release_candidate_version": "1.3.0-rc2",
    "release_version": "1.3.0",
    "requested_at": "2026-11-23T17:15:00.398497+00:00",
}
COMPARISON: Final = {
    "compare_url": "https://github.com/acme/web/compare/f32413dc3fa08c172d668366b0b378dbb31f19bc"
    "...0b30c4663ccf9da0c664ccf41f8c72acc5e855ea",
    "ended": [FINISHED],
    "ended_total": 1,
    "from": {"at": "2026-11-23T17:40:00.000000+00:00", "running": BEFORE, "version": 3},
    "ran": [PERIOD | {"recorded_to": None, "to": None}],
    "ran_more": False,
    "requested": [FINISHED],
    "requested_total": 1,
    "to": {"at": "2026-11-23T18:00:00.000000+00:00", "running": FINISHED, "version": 5},
}
# By operation, as `examples.ANSWERS`.
PAST_ANSWERS: Final[dict[str, Any]] = {
    "getHistory": [EVENT],
    "getProjectHistory": [PROJECT_EVENT],
    "compareMoments": COMPARISON,
}
JSON_LINES: Final[dict[str, str]] = dict.fromkeys(
    ("getHistory", "getProjectHistory"), 'a line an event, then {"end":true,"version":4}'
)
