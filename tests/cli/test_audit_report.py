"""`audit report`: every deployment of a project in a range of time, for spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, Final

import pytest
from sqlalchemy import select

from release_ledger.cli.audit_report import cell
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger, deployment_report
from release_ledger.ledger.deployment_report import COLUMNS
from release_ledger.store import Statement
from release_ledger.store.schema import PEOPLE
from tests.support.command_line import InProcess

OPERATOR: Final = Caller(recorded_by="tests")
EVERYBODY: Final = Statement(select(PEOPLE))


@pytest.fixture
def person(ledger: Ledger) -> Caller:
    """Somebody with an e-mail, in a project with two environments."""
    ledger.create_token("laptop", role="admin", email="dev@example.com", by=OPERATOR)
    ledger.configure_project("web", repo="acme/web", by=OPERATOR)
    for name in ("staging", "production"):
        settings = Settings(tier="staging", deploy_workflow=None, rollback_strategy="previous", stuck_after_s=None)
        ledger.configure_environment("web", name, settings, by=OPERATOR)
    for number in range(1, 5):
        ledger.cut_release_candidate("web", f"{number}.0-rc1", repo="acme/web", commit=f"{number}" * 40, by=OPERATOR)
    [row] = ledger.store.read(EVERYBODY, {})
    return Caller(recorded_by="laptop", person_id=row["person_id"], email="dev@example.com")


def deploy(ledger: Ledger, version: str, status: str | None = None, *, by: Caller, **given: Any) -> dict[str, Any]:
    environment, at = given.pop("environment", "production"), given.pop("at", None)
    answer, _ = ledger.deploy("web", environment, release_candidate_version=version, by=by, **given)
    if status is not None:
        said = {"release_candidate_version": version, "status": status, "id": answer["id"], "occurred_at": at}
        ledger.report("web", environment, **said, by=OPERATOR)
    return answer


def reported(here: InProcess, *arguments: str) -> list[dict[str, Any]]:
    ran = here("audit", "report", "web", "--format", "jsonl", *arguments)
    assert (ran.code, ran.err) == (0, ""), ran
    return [json.loads(line) for line in ran.out.splitlines()]


def test_a_line_says_who_why_and_how_it_ended(here: InProcess, ledger: Ledger, person: Caller) -> None:
    """By force, against which freeze, with which error, and how the failure was mended."""
    deploy(ledger, "1.0-rc1", "success", by=person, reason="weekly")
    ledger.freeze("web", "production", reason="holidays", by=person)
    failed = deploy(ledger, "2.0-rc1", by=person, force=True, reason="hotfix")
    ledger.report(
        "web",
        "production",
        release_candidate_version="2.0-rc1",
        status="failure",
        error_message="out of disk",
        by=OPERATOR,
    )
    back, _ = ledger.roll_back("web", "production", force=True, by=OPERATOR)
    ledger.report(
        "web", "production", release_candidate_version="1.0-rc1", status="success", id=back["id"], by=OPERATOR
    )
    deploy(ledger, "3.0-rc1", by=person, environment="staging")

    first, second, third, staging = reported(here)

    assert tuple(first) == COLUMNS
    assert (first["reason"], first["force"], first["broke_freeze"], first["status"]) == (
        "weekly",
        False,
        False,
        "success",
    )
    assert (first["restored_by"], first["restored_after_s"]) == (None, None)
    assert second["id"] == failed["id"]
    assert (second["actor"], second["recorded_by"], second["commit"]) == ("dev@example.com", "laptop", "2" * 40)
    assert (second["reason"], second["force"], second["broke_freeze"]) == ("hotfix", True, True)
    assert (second["status"], second["error_message"]) == ("failure", "out of disk")
    assert (second["restored_by"], second["restored_by_kind"]) == ("1.0-rc1", "rollback")
    assert (second["restored_by_id"], second["restored_at"]) == (back["id"], third["deploy_end_at"])
    assert second["restored_after_s"] > 0
    assert (third["kind"], third["actor"], third["status"]) == ("rollback", None, "success")
    assert (staging["environment"], staging["status"], staging["deploy_end_at"]) == ("staging", "pending", None)


def test_a_range_is_of_the_time_at_which_requests_were_recorded(
    here: InProcess, ledger: Ledger, person: Caller
) -> None:
    """From the first moment on, and before the second; how they ended is as known now."""
    made = [deploy(ledger, f"{number}.0-rc1", by=person) for number in range(1, 5)]
    ledger.report("web", "production", release_candidate_version="2.0-rc1", status="success", by=OPERATOR)
    second, third, fourth = (each["requested_at"] for each in made[1:])

    found = reported(here, "--from", second, "--to", fourth)

    assert [(each["release_candidate_version"], each["status"]) for each in found] == [
        ("2.0-rc1", "success"),
        ("3.0-rc1", "pending"),
    ]
    assert [each["requested_at"] for each in found] == [second, third]
    assert reported(here, "--to", made[0]["requested_at"]) == []
    assert reported(here, "--from", "2999-01-01T00:00:00Z") == []


def test_a_failure_is_mended_by_the_next_success_that_there_is(here: InProcess, ledger: Ledger, person: Caller) -> None:
    """Not by another failure; where none has come yet, nothing is said; where it had come before, after no time."""
    deploy(ledger, "1.0-rc1", "failure", by=person, at="2026-01-01T10:00:00.000000+00:00")
    deploy(ledger, "2.0-rc1", "error", by=person)
    deploy(ledger, "3.0-rc1", "success", by=person, at="2026-01-01T10:00:42.500000+00:00")
    deploy(ledger, "4.0-rc1", "failure", by=person)

    found = reported(here)

    assert [(each["restored_by"], each["restored_after_s"]) for each in found] == [
        ("3.0-rc1", 42.5),
        ("3.0-rc1", 0.0),
        (None, None),
        (None, None),
    ]


def test_read_models_that_are_not_live_make_no_difference(here: InProcess, ledger: Ledger, person: Caller) -> None:
    """As everywhere: the history is folded instead. And however many lines are read at once."""
    for number in range(1, 5):
        deploy(ledger, f"{number}.0-rc1", "failure" if number % 2 else "success", by=person)
    before = reported(here)
    with ledger.store.database.engine.begin() as connection:
        connection.exec_driver_sql("delete from deployments where number = 3")

    assert reported(here) == before
    assert len(before) == 4


def test_a_long_report_is_made_in_pieces(
    here: InProcess, ledger: Ledger, person: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held at once does not grow with it."""
    for number in range(1, 5):
        deploy(ledger, f"{number}.0-rc1", "success", by=person)
    before = reported(here)
    monkeypatch.setattr(deployment_report, "AT_ONCE", 1)

    assert reported(here) == before
    stretch = ledger.stretches("web", None, None)[0]
    assert [len(lines) for _, lines in ledger.reported(stretch) if lines] == [1, 1, 1, 1]


def test_csv_says_the_same_and_does_nothing_where_it_is_opened(here: InProcess, ledger: Ledger, person: Caller) -> None:
    """What a spreadsheet would compute is text there, and nothing steers a terminal."""
    deploy(ledger, "1.0-rc1", by=person, reason='=HYPERLINK("http://evil","x")')
    deploy(ledger, "2.0-rc1", by=person, reason="a, b\nand \x1b[31mc")

    ran = here("audit", "report", "web")

    header, first, second = csv.reader(io.StringIO(ran.out))
    assert tuple(header) == COLUMNS
    line = dict(zip(header, first, strict=True))
    assert line["reason"] == '\'=HYPERLINK("http://evil","x")'
    assert (line["force"], line["deploy_end_at"], line["number"]) == ("false", "", "1")
    assert dict(zip(header, second, strict=True))["reason"] == "a, b\nand \\x1b[31mc"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_a_spreadsheet_would_take_for_a_formula_is_quoted(start: str) -> None:
    """Whatever comes after it."""
    assert cell(f"{start}1").startswith("'")
    assert cell(f"1{start}")[0] == "1"


def test_a_project_that_is_not_there_is_refused(here: InProcess, person: Caller) -> None:
    """And so is a range that ends before it begins."""
    unknown = here("audit", "report", "nothing")
    wrong = here("audit", "report", "web", "--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z")

    assert person.email
    assert (unknown.code, wrong.code) == (1, 1)
    assert "Release project not found" in unknown.err
