"""`environment show` and its kin: how an environment stands, and stood, on the command line as over REST."""

from typing import Any

import pytest

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.ledger.moments import Moment
from tests.support.command_line import InProcess

BY = Caller(recorded_by="ci", request_id="request")
PLACE = ("shop", "production")
QUESTIONS = ("show", "deployments", "rollback-preview", "running")


@pytest.fixture(autouse=True)
def deployed(ledger: Ledger) -> list[str]:
    """The ids of two deployments; the second began with the fourth event, and ended with the fifth."""
    ledger.configure_project("shop", repo="acme/shop", by=BY)
    ledger.configure_environment(*PLACE, Settings(), by=BY)
    made = []
    for version in ("1.0.0-rc1", "2.0.0-rc1"):
        ledger.cut_release_candidate("shop", version, repo="acme/shop", commit=version[0] * 40, by=BY)
        made.append(ledger.deploy(*PLACE, release_candidate_version=version, reason="weekly", by=BY)[0]["id"])
        ledger.report(*PLACE, release_candidate_version=version, status="success", by=BY)
    return made


def asked(here: InProcess, command: str, *more: str) -> Any:
    return here("environment", command, *PLACE, *more, "--json").json


def test_as_the_ledger_answered_then(here: InProcess, ledger: Ledger, deployed: list[str]) -> None:
    """By version and by time; without a moment, as it stands."""
    for version in (None, 4, 3):
        when = Moment(version=version) if version else None
        given = ["--as-of-version", str(version)] if version else []
        assert asked(here, "show", *given) == ledger.environment(*PLACE, moment=when)[0]
        assert asked(here, "deployments", *given) == ledger.deployments(*PLACE, moment=when).items
        assert asked(here, "running", *given) == ledger.running(*PLACE, moment=when).items
        assert asked(here, "rollback-preview", *given) == ledger.rollback_preview(*PLACE, moment=when)[0]
        one = ledger.deployment_with_events(*PLACE, deployed[0], moment=when)[0]
        assert asked(here, "deployment", deployed[0], *given) == one
    at = ledger.history(*PLACE, after=3, limit=1)[0][0]["recorded_at"]
    for command in QUESTIONS:
        assert asked(here, command, "--as-of", at) == asked(here, command, "--as-of-version", "4")


def test_lines_for_people(here: InProcess, deployed: list[str]) -> None:
    """What ran, which deployments there were, what became of one, where a rollback would have gone."""
    stood = here.fine("environment", "show", *PLACE, "--as-of-version", "4")
    listed = here.fine("environment", "deployments", *PLACE, "--as-of-version", "4")
    one = here.fine("environment", "deployment", *PLACE, deployed[1], "--as-of-version", "4")
    preview = here.fine("environment", "rollback-preview", *PLACE)
    ran = here.fine("environment", "running", *PLACE)

    assert "running            1.0.0-rc1 success 2" in stood
    assert "latest             2.0.0-rc1 pending (2222" in stood
    assert [line.split()[:5] for line in listed.splitlines()[1:]] == [
        ["2", deployed[1], "2.0.0-rc1", "deploy", "pending"], ["1", deployed[0], "1.0.0-rc1", "deploy", "success"],
    ]  # fmt: skip
    assert one.splitlines()[-1].split()[-2:] == ["deployment-requested", "ci"]
    assert preview.startswith("target        1.0.0-rc1\n")
    assert [line.split()[0] for line in ran.splitlines()[1:]] == ["2.0.0-rc1", "1.0.0-rc1"]


def test_pages_and_filters(here: InProcess) -> None:
    """As over REST; that older ones follow is said beside the answer."""
    first = here("environment", "deployments", *PLACE, "--per-page", "1", "--json")
    second = asked(here, "deployments", "--per-page", "1", "--page", "2")
    pending = asked(here, "deployments", "--status", "pending", "--as-of-version", "4")
    of_first = asked(here, "deployments", "--version", "1.0.0-rc1")
    before = asked(here, "running", "--to", "2001-01-01T00:00:00Z")
    there = asked(here, "rollback-preview", "--to", "1.0.0-rc1")

    assert ([each["number"] for each in first.json], first.err) == ([2], "There are older ones: --page 2.\n")
    assert [[each["number"] for each in found] for found in (second, pending, of_first, before)] == [[1], [2], [1], []]
    assert there["target"] == "1.0.0-rc1"


@pytest.mark.parametrize("command", QUESTIONS)
def test_no_moment_of_the_past(here: InProcess, command: str) -> None:
    """What is not there is refused; what is malformed, or both at once, is wrong usage."""

    def ended(*given: str) -> int:
        return here("environment", command, *PLACE, *given).code

    assert ended("--as-of", "2001-01-01T00:00:00Z") == ended("--as-of", "2999-01-01T00:00:00Z") == 1
    assert ended("--as-of-version", "99") == 1
    assert ended("--as-of-version", "0") == ended("--as-of", "noon") == 2
    assert ended("--as-of-version", "1", "--as-of", "2026-01-01T00:00:00Z") == 2


def test_what_is_no_deployment_and_no_range(here: InProcess, deployed: list[str]) -> None:
    """One of later is not there yet; nothing begins after it ends."""
    later = here("environment", "deployment", *PLACE, deployed[1], "--as-of-version", "3")
    turned = ("--from", "2002-01-01T00:00:00Z", "--to", "2001-01-01T00:00:00Z")

    assert (later.code, later.err) == (1, "Error: Deployment not found\n")
    assert here("environment", "deployment", *PLACE, "x y").code == 2
    assert here("environment", "running", *PLACE, *turned).code == 1
    assert here("environment", "rollback-preview", *PLACE, "--strategy", "previous", "--to", "1.0-rc1").code == 2
