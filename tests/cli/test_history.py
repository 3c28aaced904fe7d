"""`history`: the events of an environment or a project, for people and for programs."""

import csv
import io
import json

import pytest

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from tests.support.command_line import InProcess

BY = Caller(recorded_by="ci", request_id="request")


@pytest.fixture(autouse=True)
def _shop(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=BY)
    ledger.cut_release_candidate("shop", "1.0.0-rc1", repo="acme/shop", commit="a" * 40, by=BY)
    ledger.configure_environment("shop", "production", Settings(), by=BY)
    ledger.deploy("shop", "production", release_candidate_version="1.0.0-rc1", reason="=1+1", by=BY)
    ledger.report("shop", "production", release_candidate_version="1.0.0-rc1", status="success", by=BY)


def test_a_table_for_people(here: InProcess) -> None:
    """A line an event: when, what, by whom."""
    lines = here.fine("history", "shop", "production").splitlines()

    assert lines[0].split() == ["VERSION", "RECORDED", "EVENT", "BY", "WHAT"]
    assert [line.split()[4] for line in lines[1:]] == [
        "environment-configured", "deployment-requested", "deployment-reported",
    ]  # fmt: skip
    assert lines[3].endswith("ci  1.0.0-rc1 success")


def test_json_lines_are_the_history_and_its_end(here: InProcess, ledger: Ledger) -> None:
    """As over HTTP, also of the project's own stream."""
    *events, end = map(json.loads, here.fine("history", "shop", "production", "--format", "jsonl").splitlines())
    *of_project, _ = map(json.loads, here.fine("history", "shop", "--format", "jsonl").splitlines())

    assert events == ledger.history("shop", "production")[0]
    assert end == {"end": True, "version": 3}
    assert [event["type"] for event in of_project] == ["project-configured", "release-candidate-cut"]


def test_csv_for_spreadsheets(here: InProcess) -> None:
    """All of each event; nothing that a spreadsheet would compute."""
    rows = list(csv.DictReader(io.StringIO(here.fine("history", "shop", "production", "--format", "csv"))))

    assert [row["version"] for row in rows] == ["1", "2", "3"]
    assert json.loads(rows[1]["data"])["reason"] == "=1+1"
    assert all(not value.startswith(("=", "+", "-", "@", "\n")) for row in rows for value in row.values())


def test_as_of_a_moment(here: InProcess, ledger: Ledger) -> None:
    """Up to what was recorded by then; nothing before the first event, and nothing to come."""
    second = ledger.history("shop", "production", after=1, limit=1)[0][0]["recorded_at"]

    found = here.fine("history", "shop", "production", "--as-of", second, "--format", "jsonl").splitlines()
    before = here("history", "shop", "production", "--as-of", "2001-01-01T00:00:00Z")
    later = here("history", "shop", "production", "--as-of", "2999-01-01T00:00:00Z")
    before_project = here("history", "shop", "--as-of", "2001-01-01T00:00:00Z")

    assert [json.loads(line).get("version") for line in found] == [1, 2, 2]
    assert (before.code, before.err) == (1, "Error: Release environment not found\n")
    assert (before_project.code, before_project.err) == (1, "Error: Release project not found\n")
    assert later.code == 1
    assert here("history", "shop", "production", "--as-of", "noon").code == 2
    assert here("history", "shop", "nowhere").code == here("history", "nobody").code == 1


def test_as_of_a_version(here: InProcess) -> None:
    """Up to that version; one of both ways to say when."""
    found = here.fine("history", "shop", "production", "--as-of-version", "2", "--format", "jsonl").splitlines()
    of_project = here.fine("history", "shop", "--as-of-version", "1", "--format", "jsonl").splitlines()
    both = here("history", "shop", "--as-of-version", "1", "--as-of", "2026-01-01T00:00:00Z")

    assert [json.loads(line).get("version") for line in found] == [1, 2, 2]
    assert [json.loads(line).get("version") for line in of_project] == [1, 1]
    assert both.code == 2
    assert here("history", "shop", "production", "--as-of-version", "4").code == 1
