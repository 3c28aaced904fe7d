"""Workflows: what is sent to them, and what their runs' words mean. Pure; facts from GitHub's documentation.

A workflow is a setting: `{"kind": "github", "workflow": "deploy.yml", "ref": "main", "parameters": {…}}` or
`{"kind": "http", "url": "https://…"}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from .events import Json
from .versions import read_moment, write_moment

KINDS: Final = ("github", "http")
PREFIX: Final = "aviator_"
PLACEHOLDERS: Final = ("commit", "environment", "kind", "release_candidate_version", "release_version")
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")
_SECRET_NAME: Final = re.compile(
    r"passw|passphrase|pwd|secret|token|(?:api|access|private|account|license)[-_. ]?key|credential|bearer"
    r"|auth(?!or)|authoriz|(?<!as)(?<!de)signing",
    re.IGNORECASE,
)
SECRET_VALUE: Final = re.compile(
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|sk_live_\w{10,}"
    r"|whsec_\S{10,}|-----BEGIN|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|://[^/\s:@]+:[^/\s@]+@"
    r"|(?i:\bbearer\s+\S|\bbasic\s+[a-z0-9+/]{12,}={0,2}(?:\s|$))"
)
_RANDOM: Final = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*[0-9])[A-Za-z0-9+/=_-]{32,}")
# Of a run of GitHub Actions: the status of the deployment that it is for.
_STATUSES: Final = {
    "queued": "pending",
    "requested": "pending",
    "waiting": "pending",
    "pending": "pending",
    "in_progress": "in_progress",
}
_CONCLUSIONS: Final = {
    "success": "success",
    "failure": "failure",
    "timed_out": "failure",
    "startup_failure": "failure",
    "cancelled": "canceled",
}


def status_of_run(status: str, conclusion: str | None) -> tuple[str, str | None] | None:
    """The deployment's status and error message; None for a status that says nothing. A conclusion always ends it."""
    if conclusion is None and status != "completed":
        known = _STATUSES.get(status)
        return (known, None) if known is not None else None
    ended = _CONCLUSIONS.get(conclusion or "")
    if ended is None:
        return "error", f"The workflow's run ended as {conclusion or 'unknown'}."
    return ended, "The workflow's run timed out." if conclusion == "timed_out" else None


def moment_of_run(updated_at: str, attempt: int) -> str:
    """When a run stood so, for the order of its reports: time decides, and the attempt only within one second.

    That is enough: the attempts of a run follow one another, so that what is told of a later one is never older.
    GitHub gives whole seconds, in which one attempt may end and the next begin. Raises `ValueError` for what is no
    moment.
    """
    return write_moment(read_moment(updated_at) + timedelta(microseconds=min(attempt, 999_999)))


def looks_secret(name: str, value: str) -> bool:
    """Whether a parameter looks like a secret: parameters are shown in the logs of a run."""
    if not value or _PLACEHOLDER.fullmatch(value):
        return False
    return bool(_SECRET_NAME.search(name) or SECRET_VALUE.search(value) or _RANDOM.search(value))


def unknown_placeholders(value: str) -> list[str]:
    """The `${…}` in a parameter that stand for nothing."""
    return [name for name in _PLACEHOLDER.findall(value) if name not in PLACEHOLDERS]


def inputs(workflow: Json, own: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """What a workflow is given: `own` under its prefix, then its parameters, in which `${name}` is what is known."""
    prefix = workflow.get("prefix", PREFIX)
    given = {f"{prefix}{name}": value for name, value in own.items()}
    for name, value in workflow.get("parameters", {}).items():
        given[name] = _PLACEHOLDER.sub(lambda found: known.get(found[1], ""), value)
    return given
