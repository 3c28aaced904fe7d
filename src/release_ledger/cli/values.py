"""What is typed on the command line, taken apart; what is malformed is wrong usage (exit status 2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from ..access import NAMES_ARE_FOR_EVER, NO_EMAIL_HAS_LESS
from ..errors import InvalidReleaseCandidateVersion
from ..versions import (
    is_environment_name,
    is_project_name,
    is_repo,
    parse_candidate_version,
    read_moment,
    write_moment,
)

_DURATION = re.compile(r"([1-9][0-9]{0,8})([dhms])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_TOKEN_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/ -]{0,98}[A-Za-z0-9])?")
_OF_WHAT: Final = "ASCII letters, digits and . _ / - inside, inner spaces, at most 100 characters"
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")


def duration(text: str) -> str:
    """`30d`, `12h`, `90m` or `3600s` from now: the moment at which it is over, as the ledger writes moments."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration: write 30d, 12h, 90m or 3600s.")
    try:
        return write_moment(datetime.now(UTC) + timedelta(**{_UNITS[found[2]]: int(found[1])}))
    except OverflowError:
        raise click.BadParameter(f"{text!r} is longer than the calendar.") from None


def timestamp(text: str) -> str:
    """An ISO 8601 timestamp with an offset, as the ledger writes moments."""
    try:
        return write_moment(read_moment(text))
    except ValueError:
        example = "2026-11-23T18:00:00+01:00 or 2026-11-23T17:00:00Z"
        raise click.BadParameter(f"{text!r} is no timestamp with an offset: write {example}.") from None


def _word(is_right: Callable[[str], object], expected: str) -> Callable[[str], str]:
    def word(text: str) -> str:
        if not is_right(text):
            raise click.BadParameter(f"{text!r} is not one: {expected}.")
        return text

    return word


def token_name(text: str) -> str:
    """A name for a new token, which is in events for ever: no e-mail, which could not be forgotten there.

    No colon: `command-line:…` is who acts here, and no token may be called like that.
    """
    if NO_EMAIL_HAS_LESS in text:
        raise click.BadParameter(f"{text!r} may be an e-mail, and {NAMES_ARE_FOR_EVER}.")
    return _word(_TOKEN_NAME.fullmatch, _OF_WHAT)(text)


def _is_candidate(text: str) -> bool:
    try:
        parse_candidate_version(text)
    except InvalidReleaseCandidateVersion:
        return False
    return True


PROJECT: Final = _word(is_project_name, "ASCII letters, digits, - and _, inner spaces, at most 100 characters")
ENVIRONMENT: Final = _word(is_environment_name, "ASCII letters, digits, - and _, at most 100 characters")
REPO: Final = _word(is_repo, "write ORG/REPO, as GitHub does")
EMAIL: Final = _word(_EMAIL.fullmatch, "write NAME@DOMAIN")
CANDIDATE: Final = _word(_is_candidate, "write RELEASE-rcN")
DEPLOYMENT: Final = _word(re.compile(r"[0-9a-fA-F-]{1,64}").fullmatch, "write the id as `environment deployments` does")
REASON: Final = _word(lambda text: text.strip() and len(text) <= 2000, "1 to 2,000 characters")
