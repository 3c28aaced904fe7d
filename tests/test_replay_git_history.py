"""The example examples/replay_git_history.py: its pure parts on the real tags, and the whole of it against a server."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import click
import pytest
from rich.console import Console

SCRIPT = Path(__file__).parents[1] / "examples" / "replay_git_history.py"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class LiveServer(Protocol):
    url: str
    token: str


def load_script() -> ModuleType:
    spec = spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


replay = load_script()


@pytest.fixture(scope="module")
def tags() -> list[Any]:
    return list(replay.read_tags(replay.TAGS_FILE))


def tag(version: str, tagged_at: str) -> Any:
    return replay.parse_tag(json.dumps({"version": version, "commit": "a" * 40, "tagged_at": tagged_at}))


def success(version: str, ended_at: str) -> dict[str, Any]:
    return {
        "release_candidate_version": version,
        "release_version": version.rpartition("-rc")[0],
        "commit": "a" * 40,
        "status": "success",
        "deploy_end_at": ended_at,
    }


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_every_line_of_the_real_file_is_a_tag(tags: Sequence[Any]) -> None:
    """The file's 938 tags are read, 336 of them candidates; the one without a time is read like the others."""
    candidates = [tag for tag in tags if tag.release is not None]
    untimed = [tag.version for tag in tags if tag.tagged_at is None]

    assert len(tags) == 938
    assert len(candidates) == 336
    assert untimed == ["0.99"]


@pytest.mark.parametrize(
    ("version", "release", "number"),
    [
        ("2.45.0-rc1", "2.45.0", 1),
        ("2.45.0-rc0", "2.45.0", 0),
        ("2026.08.05-2-rc10", "2026.08.05-2", 10),
        ("1.0-rc1-rc2", "1.0-rc1", 2),
    ],
)
def test_a_candidate_names_its_release_and_its_number(version: str, release: str, number: int) -> None:
    """The last `-rc` parts a candidate's version into release and number, as the contract has it."""
    candidate = tag(version, "2024-01-01T00:00:00Z")

    assert (candidate.release, candidate.number) == (release, number)


@pytest.mark.parametrize("version", ["2.45.0", "2.45.0-rc", "2.45.0-rc01", "2.45.0-RC1", "-rc1", "a/b-rc1", "a b-rc1"])
def test_other_versions_are_not_candidates(version: str) -> None:
    """What the ledger would refuse as a candidate is never sent to it as one."""
    assert tag(version, "2024-01-01T00:00:00Z").release is None


def test_a_time_without_an_offset_is_refused_with_its_line(tmp_path: Path) -> None:
    """A file that cannot be read names the line, before anything is sent."""
    file = tmp_path / "tags.jsonl"
    file.write_text('{"version": "1.0", "commit": "a", "tagged_at": "2024-01-01T00:00:00"}\n')

    with pytest.raises(click.ClickException, match=r"line 1 is not a tag.*has no offset"):
        replay.read_tags(file)


def test_all_candidates_are_cut_and_96_finals_go_to_production(tags: Sequence[Any]) -> None:
    """Each candidate is cut once; each final that had a candidate goes to production once, the others never."""
    steps = replay.steps_of(tags)

    assert sum(step.final is None for step in steps) == 336
    assert len({step.final for step in steps if step.final}) == 96
    assert len(steps) == 336 + 96


def test_steps_are_in_the_order_of_time(tags: Sequence[Any]) -> None:
    """Times are compared, not their spelling: the tags have many offsets, and the file may be in any order."""
    times = [step.at for step in replay.steps_of(tags[::-1])]

    assert times == sorted(times)


def test_a_candidate_is_cut_before_it_goes_to_production(tags: Sequence[Any]) -> None:
    """No deployment asks for a candidate that the ledger has not seen."""
    cut = set()

    for step in replay.steps_of(tags):
        if step.final is None:
            cut.add(step.candidate.version)
        assert step.candidate.version in cut


@pytest.mark.parametrize(
    ("final", "candidate"), [("1.3.0", "1.3.0-rc4"), ("1.9.0", "1.9.0-rc3"), ("2.45.0", "2.45.0-rc1")]
)
def test_production_gets_the_last_candidate_when_the_final_was_tagged(
    tags: Sequence[Any], final: str, candidate: str
) -> None:
    """A final is its release's highest candidate, deployed at the time of the final's own tag."""
    tagged = next(tag for tag in tags if tag.version == final)

    step = next(step for step in replay.steps_of(tags) if step.final == final)

    assert step.candidate.version == candidate
    assert step.occurred == {"occurred_at": tagged.tagged_at.isoformat()}


def test_the_last_candidate_is_the_highest_number() -> None:
    """rc10 comes after rc9, whatever the alphabet says, and a candidate tagged after the final is not the final."""
    final = tag("1.0", "2024-02-01T00:00:00Z")
    candidates = [tag(f"1.0-rc{n}", f"2024-01-{n + 1:02}T00:00:00Z") for n in (9, 10, 2)]
    late = tag("1.0-rc11", "2024-02-02T00:00:00Z")

    last = next(step for step in replay.steps_of([final, late, *candidates]) if step.final)

    assert last.candidate.version == "1.0-rc10"


def test_a_release_without_a_final_is_only_rehearsed(tags: Sequence[Any]) -> None:
    """Candidates of 1.9 became 1.9.0: they are cut, but no 1.9 ever goes to production."""
    steps = [step for step in replay.steps_of(tags) if step.candidate.release == "1.9"]

    assert [step.candidate.version for step in steps] == ["1.9-rc0", "1.9-rc1", "1.9-rc2"]
    assert {step.final for step in steps} == {None}


def test_tags_without_a_time_do_not_stop_the_replay() -> None:
    """A candidate without a time is cut first and sends none; a final without one is left out."""
    timed, untimed = tag("1.0-rc1", "2024-01-01T00:00:00Z"), tag("1.0-rc0", "")

    steps = replay.steps_of([timed, untimed, tag("1.0", "")])

    assert [(step.candidate.version, step.final) for step in steps] == [("1.0-rc0", None), ("1.0-rc1", None)]
    assert steps[0].occurred == {}


def test_a_candidate_comes_before_the_final_of_the_same_second() -> None:
    """Tags made in one second by a script keep their sense: first the candidate, then the final."""
    final, candidate = tag("1.0", "2024-01-01T00:00:00Z"), tag("1.0-rc1", "2024-01-01T01:00:00+01:00")

    steps = replay.steps_of([final, candidate])

    assert [step.final for step in steps] == [None, "1.0"]


def test_a_limit_takes_the_oldest_releases_whole(tags: Sequence[Any]) -> None:
    """With a limit of two, the first two releases are replayed, all their candidates and their finals."""
    steps = replay.steps_of(tags, 2)

    first, second = list(dict.fromkeys(step.candidate.release for step in replay.steps_of(tags)))[:2]
    assert {step.candidate.release for step in steps} == {first, second}
    assert steps == [step for step in replay.steps_of(tags) if step.candidate.release in (first, second)]


def test_a_success_ends_the_period_before_it() -> None:
    """Production runs a candidate from its success to the next one's; the newest is still running."""
    failed = success("1.1-rc1", "2024-01-05T00:00:00+00:00") | {"status": "failure"}
    unfinished = success("1.3-rc1", "") | {"status": "pending", "deploy_end_at": None}
    newest_first = [
        unfinished,
        success("1.2-rc3", "2024-01-11T12:00:00+00:00"),
        failed,
        success("1.0-rc2", "2024-01-01T00:00:00+00:00"),
    ]

    older, newer = replay.periods_of(newest_first, datetime(2024, 1, 31, 13, tzinfo=UTC))

    assert older == {
        "release_candidate_version": "1.0-rc2",
        "release_version": "1.0",
        "commit": "a" * 40,
        "running_from": "2024-01-01T00:00:00+00:00",
        "until": "2024-01-11T12:00:00+00:00",
        "days": 10,
    }
    assert (newer["release_candidate_version"], newer["until"], newer["days"]) == ("1.2-rc3", None, 20)


def test_successes_of_the_same_second_keep_the_order_they_were_made_in() -> None:
    """Two deployments that ended at once: the one created last is the one still running."""
    at = "2024-01-01T00:00:00+00:00"

    periods = replay.periods_of([success("1.1-rc1", at), success("1.0-rc1", at)], NOW)

    assert [period["release_candidate_version"] for period in periods] == ["1.0-rc1", "1.1-rc1"]


def test_an_environment_without_a_success_has_no_periods() -> None:
    """Nothing deployed, nothing run."""
    assert replay.periods_of([], NOW) == []


def test_the_table_fits_eighty_columns() -> None:
    """In a pipe or a narrow terminal the table is whole: no cell is cut or wrapped."""
    out = StringIO()
    periods = replay.periods_of([success("2.10.0-rc2", (NOW - timedelta(days=4000)).isoformat())], NOW)

    Console(file=out, width=80).print(replay.table_of(periods))

    for cell in ("2.10.0-rc2", "2.10.0", "aaaaaaaaaa", "2015-12-11", "still running", "4000"):
        assert f" {cell} " in out.getvalue()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error": "Release not found", "code": "release_not_found"}', "Release not found"),
        (
            '{"error": "Invalid request", "code": "invalid_request", "details": {"tier": "staging or production"}}',
            "Invalid request\n  tier: staging or production",
        ),
        ("<html>Bad gateway</html>", "HTTP status 502 without an explanation"),
        ("[]", "HTTP status 502 without an explanation"),
        ('{"message": "another service"}', "HTTP status 502 without an explanation"),
    ],
)
def test_a_refusal_is_the_ledgers_sentence_and_details(body: str, message: str) -> None:
    """Whoever runs the script reads what the ledger said, and never a stack trace."""
    refusal = replay.Refusal(502, body)

    assert refusal.format_message() == message
    assert refusal.exit_code == 1


def test_a_server_that_is_not_there_is_said_so() -> None:
    """Without a server the script ends at once, with one sentence and exit code 1."""
    run = run_script("--url", "http://127.0.0.1:1", "--token", "any")

    assert run.returncode == 1
    assert "http://127.0.0.1:1 did not answer" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_whole_history_is_replayed_once(live_server: LiveServer, tags: Sequence[Any]) -> None:
    """All tags go in, production's years come out; a second run refuses, because the ledger is not empty."""
    by_version = {tag.version: tag for tag in tags}
    arguments = ["--url", live_server.url, "--token", live_server.token, "--json"]

    first_run = run_script(*arguments)
    second_run = run_script(*arguments)
    rehearsals = replay.Ledger(live_server.url, live_server.token).deployments("staging")

    assert first_run.returncode == 0, first_run.stderr
    assert "432 of 432 steps replayed" in first_run.stderr
    assert "A rollback would deploy 2.54.0-rc2: " in first_run.stderr
    periods = json.loads(first_run.stdout)
    assert len(periods) == 96
    assert periods[0] == {
        "release_candidate_version": "1.3.0-rc4",
        "release_version": "1.3.0",
        "commit": by_version["1.3.0-rc4"].commit,
        "running_from": "2006-04-18T20:15:50+00:00",
        "until": "2006-06-10T19:43:37+00:00",
        "days": 52,
    }
    assert periods[-1] == {
        "release_candidate_version": "2.55.0-rc2",
        "release_version": "2.55.0",
        "commit": by_version["2.55.0-rc2"].commit,
        "running_from": "2026-06-29T14:59:19+00:00",
        "until": None,
        "days": periods[-1]["days"],
    }
    assert len({deployment["id"] for deployment in rehearsals}) == 336
    assert {deployment["status"] for deployment in rehearsals} == {"success"}
    assert second_run.returncode == 1
    assert "already has deployments: replay into an empty ledger" in second_run.stderr
    assert second_run.stdout == ""
