"""Wrong usage: exit status 2, before any database is looked at."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from release_ledger.cli import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command"),
        (["token", "create"], "Missing argument"),
        (["token", "create", "command-line:root"], "is not one"),
        (["token", "create", " ci"], "is not one"),
        (["token", "create", "ada@example.com"], "events for ever"),
        (["token", "create", "laptop/of@ada"], "events for ever"),
        (["token", "create", "ci", "--role", "owner"], "--role"),
        (["token", "create", "ci", "--email", "nobody"], "--email"),
        (["token", "create", "ci", "--project", "a/b"], "--project"),
        (["token", "create", "ci", "--expires-in", "30"], "30d, 12h, 90m or 3600s"),
        (["token", "create", "ci", "--expires-in", "0d"], "30d, 12h, 90m or 3600s"),
        (["token", "create", "ci", "--expires-in", "-1d"], "30d, 12h, 90m or 3600s"),
        (["token", "create", "ci", "--expires-in", "999999999d"], "longer than the calendar"),
        (["project", "create", "shop"], "--repo"),
        (["project", "create", "shop", "--repo", "shop"], "ORG/REPO"),
        (["project", "create", "a/b", "--repo", "acme/shop"], "is not one"),
        (["environment", "create", "shop", "a b"], "is not one"),
        (["environment", "create", "shop", "production", "--tier", "moon"], "--tier"),
        (["environment", "create", "shop", "production", "--rollback-strategy", "moon"], "--rollback-strategy"),
        (["environment", "freeze", "shop", "production"], "--reason"),
        (["environment", "freeze", "shop", "production", "--reason", " "], "--reason"),
        (["environment", "freeze", "shop", "production", "--reason", "x", "--until", "2026-11-23T18:00"], "offset"),
        (["environment", "freeze", "shop", "production", "--reason", "x", "--until", "tomorrow"], "offset"),
        (["projections", "verify", "nonsense"], "there is no projection nonsense"),
        (["serve", "--port", "0"], "--port"),
        (["serve", "--port", "65536"], "--port"),
        (["serve", "--workers", "0"], "--workers"),
        (["upgrade", "--force"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_named(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was looked up, nothing was made; the sentence says what was expected."""
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []
