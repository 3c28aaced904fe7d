"""How a version, a commit, a name and a moment are written.

Pure parsing, shared by the rules, the API and the command line. Sources: sections 1 and 2 of the HTTP contract.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import NamedTuple

from .errors import InvalidCommit, InvalidReleaseCandidateVersion

_CANDIDATE = re.compile(r"(?P<release_version>.{1,200})-rc(?P<number>0|[1-9][0-9]{0,8})", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
_PROJECT_NAME = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9_ -]{0,98}[A-Za-z0-9_-])?")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_REPO = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")

# `datetime.fromisoformat` would take any character between the date and the time, and around the offset.
_MOMENT = re.compile(r"[0-9W-]+[Tt ][0-9:.,]+(?:[Zz]|[+-][0-9:.,]+)?")


class CandidateVersion(NamedTuple):
    """`1.4.0-rc2`, taken apart: release version `1.4.0`, number 2."""

    release_version: str
    number: int


def parse_candidate_version(text: object) -> CandidateVersion:
    """Take a release candidate version apart; raises `InvalidReleaseCandidateVersion`.

    The last `-rc` counts (`2026.08.05-2-rc1`); nothing is normalised.
    """
    found = _CANDIDATE.fullmatch(text) if isinstance(text, str) else None
    if found is None or not all(map(_may_be_in_a_version, found["release_version"])):
        raise InvalidReleaseCandidateVersion(expected="<release_version>-rc<n>")
    return CandidateVersion(found["release_version"], int(found["number"]))


def _may_be_in_a_version(character: str) -> bool:
    return character != "/" and not character.isspace() and unicodedata.category(character) not in {"Cc", "Cs"}


def parse_commit(text: object) -> str:
    """40 or 64 hex digits, in lower case; raises `InvalidCommit`."""
    if not isinstance(text, str) or not _COMMIT.fullmatch(text):
        raise InvalidCommit(expected="40 or 64 hexadecimal digits")
    return text.lower()


def is_project_name(text: str) -> bool:
    """ASCII letters and digits, `-`, `_`, inner spaces; at most 100 characters."""
    return _PROJECT_NAME.fullmatch(text) is not None


def is_environment_name(text: str) -> bool:
    """ASCII letters and digits, `-`, `_`; at most 100 characters."""
    return _ENVIRONMENT_NAME.fullmatch(text) is not None


def is_repo(text: object) -> bool:
    """`org/repo_name`, as GitHub writes them."""
    return isinstance(text, str) and _REPO.fullmatch(text) is not None


def write_moment(moment: datetime) -> str:
    """A moment as it is stored, digested, compared and answered: UTC, microseconds, always 32 characters.

    All moments of the ledger are such strings, so that their order as text is their order in time.
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def read_moment(text: str) -> datetime:
    """An ISO 8601 timestamp with an offset; raises `ValueError` without one, or out of the calendar's range."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("a timestamp is written as in ISO 8601")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a timestamp out of range") from error
