"""Settings come from the environment, once; what cannot be used is named, secrets are never shown."""

from base64 import b64encode
from pathlib import Path

import pytest

from release_ledger.errors import ConfigurationError
from release_ledger.settings import Settings

SECRET = "whsec_" + b64encode(b"x" * 24).decode()


def test_nothing_needs_to_be_set() -> None:
    """The defaults are the contract's table."""
    settings = Settings.from_environment({})

    assert settings == Settings(
        database_url="sqlite:///release-ledger.db",
        github_url="https://api.github.com",
        github_token=None,
        github_webhook_secret=None,
        signing_key_file=None,
        rate_limit=1000,
        github_check="required",
        http_secret=None,
        allow_private_addresses=False,
        cancel_holds_s=30,
    )


def test_every_setting_is_read(tmp_path: Path) -> None:
    """Each variable of the contract's table reaches its setting."""
    key_file = tmp_path / "key.pem"
    key_file.touch()

    settings = Settings.from_environment(
        {
            "RELEASE_LEDGER_DATABASE_URL": "postgresql+psycopg://user:secret@db/ledger",
            "RELEASE_LEDGER_GITHUB_URL": "https://github.example.com/api/v3/",
            "RELEASE_LEDGER_GITHUB_TOKEN": "ghp_1",
            "RELEASE_LEDGER_GITHUB_WEBHOOK_SECRET": "hook",
            "RELEASE_LEDGER_SIGNING_KEY_FILE": str(key_file),
            "RELEASE_LEDGER_RATE_LIMIT": "0",
            "RELEASE_LEDGER_GITHUB_CHECK": "best_effort",
            "RELEASE_LEDGER_HTTP_SECRET": SECRET,
            "RELEASE_LEDGER_ALLOW_PRIVATE_ADDRESSES": "true",
            "RELEASE_LEDGER_CANCEL_HOLDS_S": "5",
        }
    )

    assert settings == Settings(
        database_url="postgresql+psycopg://user:secret@db/ledger",
        github_url="https://github.example.com/api/v3",
        github_token="ghp_1",
        github_webhook_secret="hook",
        signing_key_file=key_file,
        rate_limit=0,
        github_check="best_effort",
        http_secret=SECRET,
        allow_private_addresses=True,
        cancel_holds_s=5,
    )


def test_an_empty_variable_is_unset() -> None:
    """`RELEASE_LEDGER_GITHUB_TOKEN=` in a compose file is no token, and no webhook secret that anybody could guess."""
    empty = dict.fromkeys(("RELEASE_LEDGER_GITHUB_WEBHOOK_SECRET", "RELEASE_LEDGER_DATABASE_URL"), " ")

    assert Settings.from_environment(empty) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://db/ledger"),
        ("DATABASE_URL", "ledger.db"),
        ("DATABASE_URL", "postgres://user:hunter2@db/ledger"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("GITHUB_URL", "api.github.com"),
        ("GITHUB_URL", "ftp://api.github.com"),
        ("GITHUB_URL", "https://[api"),
        ("SIGNING_KEY_FILE", "/nowhere/key.pem"),
        ("RATE_LIMIT", "-1"),
        ("RATE_LIMIT", "1.5"),
        ("RATE_LIMIT", "many"),
        ("RATE_LIMIT", "\u0663"),
        ("RATE_LIMIT", "1" * 5000),
        ("GITHUB_URL", "https://me:hunter2@github.example.com"),
        ("GITHUB_URL", "https://github.example.com:x"),
        ("GITHUB_CHECK", "optional"),
        ("HTTP_SECRET", "hunter2"),
        ("HTTP_SECRET", "whsec_hunter2"),
        ("HTTP_SECRET", "whsec_" + b64encode(b"hunter2" * 3).decode()),
        ("HTTP_SECRET", "whsec_" + b64encode(b"x" * 65).decode()),
        ("HTTP_SECRET", b64encode(b"x" * 32).decode()),
        ("ALLOW_PRIVATE_ADDRESSES", "yes"),
        ("ALLOW_PRIVATE_ADDRESSES", "1"),
        ("CANCEL_HOLDS_S", "-1"),
        ("CANCEL_HOLDS_S", "0.5"),
        ("CANCEL_HOLDS_S", "3601"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    """Whoever reads the refusal knows which variable to correct; a password in it is not repeated."""
    with pytest.raises(ConfigurationError, match=f"RELEASE_LEDGER_{name}") as refusal:
        Settings.from_environment({f"RELEASE_LEDGER_{name}": value})

    assert "hunter2" not in str(refusal.value)


def test_the_representation_shows_no_secret() -> None:
    """Settings end up in logs and tracebacks."""
    settings = Settings(
        database_url="postgresql+psycopg://user:hunter2@db/ledger",
        github_token="hunter2",
        github_webhook_secret="hunter2",
        http_secret="whsec_hunter2",
    )

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///release-ledger.db", Path("release-ledger.db")),
        ("sqlite:////var/lib/ledger.db", Path("/var/lib/ledger.db")),
        ("sqlite:///ledger.db?timeout=3", Path("ledger.db")),
        ("postgresql+psycopg://db/ledger", None),
    ],
)
def test_the_file_of_a_sqlite_database_is_known(url: str, file: Path | None) -> None:
    """Commands must know whether it is there without creating it."""
    assert Settings(database_url=url).sqlite_file == file
