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
SECRET_NAME: Final = re.compile(
    r"passw|passphrase|pwd|secret|token|(?:api|access|private|account|license)[-_. ]?key|credential|bearer"
    r"|auth(?!or)|authoriz|(?<!as)(?<!de)signing",
    re.IGNORECASE,
)
_PASSWORD_NAME: Final = re.compile(r"passw|passphrase|pwd", re.IGNORECASE)
# A name that is not only about a secret, but a secret's own.
_OWN_NAME: Final = re.compile(
    r"(?:passw\w*|passphrase|pwd|secret|token|(?:api|access|private|account|license)[-_.]?key|authorization)$",
    re.IGNORECASE,
)
SECRET_VALUE: Final = re.compile(
    r"gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}|A[KS]IA[0-9A-Z]{16}"
    r"|[rs]k_(?:live|test)_\w{10,}|npm_[A-Za-z0-9]{20,}|dckr_pat_[\w-]{10,}|pypi-[\w-]{16,}|AIza[\w-]{30,}"
    r"|(?<![A-Za-z0-9])sk-(?:ant|proj)-[\w-]{5,}|whsec_\S{10,}|-----BEGIN|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\."
    r"|://[^/\s:@]+:[^/\s@]+@|(?i:\bbearer\s+\S|\bbasic\s+[a-z0-9+/]{12,}={0,2}(?:\s|$))"
)
# Addresses that are a secret themselves: whoever knows them may post.
SECRET_ADDRESS: Final = re.compile(
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/."
    r"|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/.|webhook\.office(?:365)?\.com/webhook|outlook\.office\.com/webhook"
    r"|hooks\.zapier\.com/hooks/.|api\.telegram\.org/bot",
    re.IGNORECASE,
)
_RANDOM: Final = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*[0-9])[A-Za-z0-9+/=_-]{32,}")
_WORD: Final = re.compile(r"(?:(?:[A-Z]?[a-z]+|[A-Z]+)(?:[A-Z][a-z]{2,})*)?[0-9]{0,4}")
_FLAG: Final = re.compile(r"true|false|yes|no|on|off|enabled|disabled|none|null|[01]", re.IGNORECASE)
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
# What a text gives to a name, and which names count: `a=b`, `a: b` (a commit's scope is written so, too), `a:b` (and an
# image's tag so), `--a b`. The value is looked ahead at, since one may be within another.
_NAME, _VALUE = r"(?<![\w.-])([\w.-]+)", r"""(?=["']?([^\s"',;&]*))"""
_GIVEN: Final = (
    (re.compile(rf"""{_NAME}["']?\s*=\s*{_VALUE}"""), SECRET_NAME),
    (re.compile(rf"""{_NAME}["']?\s*:(?:\s+|(?=["'])){_VALUE}"""), _OWN_NAME),
    (re.compile(rf"{_NAME}:{_VALUE}"), _PASSWORD_NAME),
    (re.compile(rf"--([\w-]+)\s+(?!-){_VALUE}"), _OWN_NAME),
)


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
    """Whether a parameter looks like a secret, or has one in it: parameters are shown in the logs of a run."""
    if _is_harmless(name, value):
        return False
    if SECRET_NAME.search(name) or SECRET_VALUE.search(value) or SECRET_ADDRESS.search(value):
        return True
    return _looks_random(value) or any(
        names.search(found[1]) and not _is_harmless(found[1], found[2])
        for given, names in _GIVEN
        for found in given.finditer(value)
    )


def _is_harmless(name: str, value: str) -> bool:
    """Whether a value is no secret whatever its name; a number is none unless it is the password or token itself."""
    if not value or _PLACEHOLDER.fullmatch(value) or _FLAG.fullmatch(value):
        return True
    return _NUMBER.fullmatch(value) is not None and not _OWN_NAME.search(name)


def _looks_random(value: str) -> bool:
    """Whether it has a long mixture of letters and digits in it, that is no path or name made of words."""
    return any(
        not all(_WORD.fullmatch(part) for part in re.split(r"[-+/=_]", found[0])) for found in _RANDOM.finditer(value)
    )


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
