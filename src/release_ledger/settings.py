"""The settings, all from the environment (contract, section 5), read in one place and once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .errors import ConfigurationError

PREFIX: Final = "RELEASE_LEDGER_"
DATABASE_URL: Final = f"{PREFIX}DATABASE_URL"
GITHUB_URL: Final = f"{PREFIX}GITHUB_URL"
GITHUB_TOKEN: Final = f"{PREFIX}GITHUB_TOKEN"
GITHUB_WEBHOOK_SECRET: Final = f"{PREFIX}GITHUB_WEBHOOK_SECRET"
SIGNING_KEY_FILE: Final = f"{PREFIX}SIGNING_KEY_FILE"
RATE_LIMIT: Final = f"{PREFIX}RATE_LIMIT"

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
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(f"{GITHUB_URL} must be an http or https address, for example https://api.github.com.")
    return url.rstrip("/")


def _key_file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise ConfigurationError(f"{SIGNING_KEY_FILE} names {name}, and there is no such file.")
    return path


def _rate_limit(number: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise ConfigurationError(f"{RATE_LIMIT} must be a whole number of requests a second, or 0 for no limit.")
    return int(number)
