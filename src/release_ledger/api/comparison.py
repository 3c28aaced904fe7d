"""What changed in an environment between two moments."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app

from ..settings import Settings
from .access import ledger, requires
from .answer import json_response
from .blueprint import LedgerBlueprint
from .past_shapes import CompareSchema, ComparisonSchema

blueprint = LedgerBlueprint(
    "comparison", __name__, url_prefix="/api/releases/<project_name>/environments/<env_name>", description="History"
)


@blueprint.on("GET", "/compare", "compareMoments")
@requires("read")
@blueprint.takes(CompareSchema, location="query")
@blueprint.answers(200, ComparisonSchema)
def compare(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """What changed between two moments, as the ledger knew it at the second.

    What ran at both; which deployments were requested, and which came to an end; which candidates ran, by reported
    time. Before the environment's first event nothing ran: `from` may lie there, `to` not (404), nor later than now
    (400).
    """
    answer, version = ledger().compare(project_name, env_name, begins=query["from_"], ends=query.get("to"))
    return json_response(answer | {"compare_url": _url(project_name, answer)}, version=version)


def _url(project_name: str, answer: dict[str, Any]) -> str | None:
    """Where GitHub shows what lies between the two commits, in the repository that the later one was cut from.

    Not known of other servers than github.com.
    """
    settings: Settings = current_app.extensions["settings"]
    first, last = (answer[moment]["running"] for moment in ("from", "to"))
    if settings.github_url != Settings.github_url or first is None or last is None:
        return None
    candidate, _ = ledger().candidate(project_name, last["release_candidate_version"])
    return f"https://github.com/{candidate['repo']}/compare/{first['commit']}...{last['commit']}"
