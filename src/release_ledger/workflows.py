"""Workflows of any kind: what is sent to them, and what is told of their runs. Pure.

A workflow is a setting, `{"kind": "http", "url": "https://…", "parameters": {…}}` say; the kinds are in `worker`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from .events import Json

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


class Standing(NamedTuple):
    """How a run stands. `status`: of the deployment that it is for, None where it says nothing.

    `attempt` counts from 1 on, where a run can be started again; `occurred_at` is None for now.
    """

    run_id: str
    url: str | None
    status: str | None
    error_message: str | None
    attempt: int
    occurred_at: str | None


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
