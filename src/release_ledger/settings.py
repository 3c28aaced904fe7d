"""The settings, all from the environment (contract, section 5), read in one place and once."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from .errors import ConfigurationError

PREFIX: Final = "RELEASE_LEDGER_"
DATABASE_URL: Final = f"{PREFIX}DATABASE_URL"
GITHUB_URL: Final = f"{PREFIX}GITHUB_URL"
GITHUB_TOKEN: Final = f"{PREFIX}GITHUB_TOKEN"
GITHUB_WEBHOOK_SECRET: Final = f"{PREFIX}GITHUB_WEBHOOK_SECRET"
SIGNING_KEY_FILE: Final = f"{PREFIX}SIGNING_KEY_FILE"
RATE_LIMIT: Final = f"{PREFIX}RATE_LIMIT"
GITHUB_CHECK: Final = f"{PREFIX}GITHUB_CHECK"
HTTP_SECRET: Final = f"{PREFIX}HTTP_SECRET"
ALLOW_PRIVATE_ADDRESSES: Final = f"{PREFIX}ALLOW_PRIVATE_ADDRESSES"
CANCEL_HOLDS_S: Final = f"{PREFIX}CANCEL_HOLDS_S"

_DATABASES: Final = ("sqlite:///", "postgresql+psycopg://", "postgresql://")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one installation is told; a variable that is empty counts as unset. Its `repr` shows no secret."""

    database_url: str = field(default="sqlite:///release-ledger.db", repr=False)
    github_url: str = "https://api.github.com"
    github_token: str | None = field(default=None, repr=False)
    github_webhook_secret: str | None = field(default=None, repr=False)
    signing_key_file: Path | None = None
    rate_limit: int = 1000
    github_check: Literal["required", "best_effort"] = "required"
    http_secret: str | None = field(default=None, repr=False)
    allow_private_addresses: bool = False
    cancel_holds_s: int = 30

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings that these variables make; raises `ConfigurationError`, which names the variable."""
        given = {name: value.strip() for name, value in environ.items() if name.startswith(PREFIX) and value.strip()}
        default = cls()
        key_file = given.get(SIGNING_KEY_FILE)
        return cls(
            database_url=_database_url(given.get(DATABASE_URL, default.database_url)),
            github_url=_github_url(given.get(GITHUB_URL, default.github_url)),
            github_token=given.get(GITHUB_TOKEN),
            github_webhook_secret=given.get(GITHUB_WEBHOOK_SECRET),
            signing_key_file=_key_file(key_file) if key_file else None,
            rate_limit=_rate_limit(given.get(RATE_LIMIT, str(default.rate_limit))),
            github_check=_github_check(given.get(GITHUB_CHECK, default.github_check)),
            http_secret=_http_secret(given.get(HTTP_SECRET)),
            allow_private_addresses=_flag(ALLOW_PRIVATE_ADDRESSES, given.get(ALLOW_PRIVATE_ADDRESSES, "false")),
            cancel_holds_s=_cancel_holds_s(given.get(CANCEL_HOLDS_S, str(default.cancel_holds_s))),
        )

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite database; None for another database."""
        scheme, _, path = self.database_url.partition(":///")
        return Path(path.partition("?")[0].removeprefix("file:")) if scheme == "sqlite" else None


def _database_url(url: str) -> str:
    if not url.startswith(_DATABASES) or url in ("sqlite:///", "sqlite:///:memory:"):
        raise ConfigurationError(
            f"{DATABASE_URL} must be sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        )
    return url


def _github_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or not _has_port(parts):
        raise ConfigurationError(
            f"{GITHUB_URL} must be an http or https address without a password, for example https://api.github.com."
        )
    return url.rstrip("/")


def _has_port(parts: SplitResult) -> bool:
    """Whether the port, if there is one, is a number that a port can have."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _key_file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise ConfigurationError(f"{SIGNING_KEY_FILE} names {name}, and there is no such file.")
    return path


def _rate_limit(number: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise ConfigurationError(f"{RATE_LIMIT} must be a whole number of requests a second, or 0 for no limit.")
    return int(number)


def _github_check(word: str) -> Literal["required", "best_effort"]:
    if word not in ("required", "best_effort"):
        raise ConfigurationError(f"{GITHUB_CHECK} must be required or best_effort.")
    return "best_effort" if word == "best_effort" else "required"


def _http_secret(secret: str | None) -> str | None:
    """A secret as Standard Webhooks writes it. What it is, is not repeated."""
    if secret is None:
        return None
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or not 24 <= size <= 64:
        raise ConfigurationError(f"{HTTP_SECRET} must be whsec_ and then 24 to 64 bytes in base64.")
    return secret


def _flag(name: str, word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise ConfigurationError(f"{name} must be true or false.")
    return word.lower() == "true"


def _cancel_holds_s(number: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", number) or int(number) > 3600:
        raise ConfigurationError(f"{CANCEL_HOLDS_S} must be a whole number of seconds, at most 3600.")
    return int(number)
