"""The benchmarks themselves: a bulk history is what the ledger would have written, and every measurement runs.

Nothing here looks at a speed: these are the smallest sizes, on a busy machine.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import append, as_of, audit, history, rebuild, result
from benchmarks.http import measure_http
from benchmarks.latency import measure_latency
from benchmarks.serving import measure_start
from release_ledger.deployment import STATUSES
from release_ledger.environment import UNFINISHED_LIMIT, Settings
from release_ledger.events import TOPICS, AccessEvent
from release_ledger.ledger import Ledger
from release_ledger.ledger.recording import Caller
from release_ledger.projection.upgrade import upgrade
from release_ledger.projection.verify import verify
from release_ledger.store import FIRST_DIGEST, digest, open_store
from release_ledger.store.store import events_after, stream_names

BY = Caller(recorded_by="ci")


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A history long enough that everything happens in it, and that rows leave memory before their stream ends."""
    url = f"sqlite:///{tmp_path_factory.mktemp('history') / 'ledger.db'}"
    upgrade(url)
    history.write_history(url, events=9_000, environments=8, longest=3_000)
    return url


@pytest.fixture
def cursor(large_file: str) -> Iterator[sqlite3.Cursor]:
    with closing(sqlite3.connect(large_file.removeprefix("sqlite:///"))) as connection:
        yield connection.cursor()


def test_a_bulk_history_is_as_if_the_ledger_had_written_it(upgraded_url: str) -> None:
    """Every read model is what folding the events gives, and every digest follows from the one before."""
    summary = history.write_history(upgraded_url, events=1_500, environments=6, longest=900)

    with closing(open_store(upgraded_url)) as store:
        assert [difference for _, differences in verify(store) for difference in differences] == []
        streams = stream_names(store, "")
        assert len(streams) == summary.streams == 8
        events = 0
        for stream in streams:
            previous, recorded_at = FIRST_DIGEST, ""
            for version, row in enumerate(events_after(store, stream), 1):
                own = {name: row[name] for name in ("version", "topic", "recorded_at", "state")}
                own["state"] = bytes(own["state"])
                previous = digest(previous, stream=stream, **own)
                assert (row["version"], bytes(row["digest"])) == (version, previous)
                assert row["recorded_at"] >= recorded_at
                recorded_at = row["recorded_at"]
                events += 1
        assert events == summary.events == 1_500


def test_the_ledger_goes_on_from_a_bulk_history(upgraded_url: str) -> None:
    """The next command finds heads and rows that it can build on."""
    place = history.Place(project_name="shop", environment_name="production", deployments=30)
    history.write_places(upgraded_url, [place], candidates=5)

    with closing(Ledger.open(upgraded_url)) as ledger:
        ledger.unfreeze("shop", "production", by=BY)
        ledger.configure_environment("shop", "production", Settings(tier="staging", stuck_after_s=7), by=BY)
        ledger.cut_release_candidate("shop", "77.0.0-rc1", repo="acme/shop", commit="7" * 40, by=BY)
        deployed, _ = ledger.deploy("shop", "production", release_candidate_version="77.0.0-rc1", by=BY)
        assert deployed["number"] == 31
        assert [list(differences) for _, differences in verify(ledger.store)] == [[], []]


def test_everything_happens_in_a_bulk_history(cursor: sqlite3.Cursor) -> None:
    """All events but those of tokens and workflows, all kinds, every status, corrections, late reports, strategies."""

    def seen(question: str) -> set[object]:
        return {row[0] for row in cursor.execute(question)}

    tokens = {topic for topic, event in TOPICS.items() if issubclass(event, AccessEvent)}
    workflows = {topic for topic in TOPICS if re.search("build|-trigger|-cancel-|-checked$", topic)}
    assert seen("SELECT topic FROM events") - workflows == set(TOPICS) - tokens - workflows
    assert seen("SELECT kind FROM deployments") == {"deploy", "rollback", "observed"}
    assert seen("SELECT json_extract(state, '$.status') FROM events WHERE topic = 'deployment-reported'") == set(
        STATUSES
    )
    assert seen("SELECT ended_by FROM deployments") == {None, "report", "rollback", "ledger"}
    assert seen("SELECT json_extract(state, '$.late') FROM events WHERE topic = 'deployment-reported'") == {0, 1}
    assert seen("SELECT json_extract(state, '$.falls_back_to') IS NULL FROM events") == {0, 1}
    assert seen("SELECT json_extract(state, '$.broke_freeze') FROM events") == {None, 0, 1}
    assert seen("SELECT json_extract(state, '$.strategy') FROM events") == {None, "previous", "walk_back", "to"}


def test_a_bulk_history_is_clean_and_spread_over_years(large_file: str, cursor: sqlite3.Cursor) -> None:
    """The longest stream is as long as was asked for; no environment has more unfinished ones than the rules allow."""
    with closing(open_store(large_file)) as store:
        assert [difference for _, differences in verify(store) for difference in differences] == []
    [(longest,)] = cursor.execute("SELECT max(version) FROM streams")
    [(first, last)] = cursor.execute("SELECT min(recorded_at), max(recorded_at) FROM events")
    unfinished = cursor.execute("SELECT stream FROM deployments WHERE finished = 0").fetchall()

    assert longest == 3_000
    assert int(last[:4]) - int(first[:4]) >= 5
    assert max(Counter(unfinished).values()) <= UNFINISHED_LIMIT


def test_the_same_seed_makes_the_same_events(tmp_path: Path) -> None:
    """A measurement can be repeated on the same history; another seed makes another."""
    digests = []
    for number, seed in enumerate((1, 1, 2)):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        upgrade(url)
        history.write_history(url, events=200, environments=2, seed=seed)
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as connection:
            digests.append(connection.execute("SELECT digest FROM streams ORDER BY stream").fetchall())

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("environments", [1, 2, 7, 40])
@pytest.mark.parametrize("longest", [None, 20, 300])
def test_a_history_has_exactly_the_events_that_were_asked_for(environments: int, longest: int | None) -> None:
    """A few environments have most of them, none more than the longest."""
    total = 600

    try:
        sizes = history._sizes(total, environments, longest)
    except history.CannotWrite:
        assert longest is not None
        assert longest * environments < total or longest > total - environments + 1
        return

    assert (sum(sizes), len(sizes), max(sizes)) == (total, environments, longest or max(sizes))
    assert min(sizes) >= 1


def test_a_history_that_is_there_already_is_refused(upgraded_url: str) -> None:
    """Instead of half of it a second time. Another seed adds to it."""
    arguments = ["--database", upgraded_url, "--events", "60", "--environments", "1"]

    first, again, other = (CliRunner().invoke(history.main, [*arguments, "--seed", seed]) for seed in ("3", "3", "4"))

    assert (first.exit_code, again.exit_code, other.exit_code) == (0, 1, 0), again.output
    assert first.output.endswith("the longest is history-3-0/production\n")
    assert "give another --seed" in again.output


def test_appends_are_measured(upgraded_url: str) -> None:
    """Every line has a number; the application's own say what they are a ratio to."""
    measured = append.measure(upgraded_url, processes=2, rounds=1, seconds=0.1)

    assert measured[0].what == append.COMMAND
    assert all(line.value > 0 for line in measured)
    assert all(line.ratio and line.to for line in measured if line.what == append.COMMAND)


def test_rebuilds_are_measured(upgraded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the limit and the library's own runner; while others write, whose commands all succeed."""
    monkeypatch.setattr(rebuild, "QUIET_S", 0.2)
    monkeypatch.setattr(rebuild, "STOCK_EVENTS", 20)

    measured = rebuild.measure_rebuild(upgraded_url, events=600, environments=3, jobs=1)

    lines = {line.what: line for line in measured}
    assert all(line.value > 0 for line in measured)
    assert lines["rebuild"].to == "the limit"
    assert lines["rebuild while others write"].note == "0 differences"
    assert lines["a command took, at most"].note.endswith(" 0 failed")
    assert ("stock ProjectionRunner, the same read models" in lines) == upgraded_url.startswith("postgresql")


def test_verifications_are_measured(upgraded_url: str) -> None:
    """Beside the limit of the same run, and as the command that an auditor types."""
    measured = audit.measure_verification(upgraded_url, events=600, environments=3, rounds=1)

    assert all(line.value > 0 for line in measured)
    assert [line.to for line in measured] == ["the limit", "", ""]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_questions_about_the_past_are_measured(upgraded_url: str) -> None:
    """Each of them in one stream, at versions and at moments."""
    measured = as_of.measure_as_of(upgraded_url, events=200, samples=2)

    assert [line.what for line in measured] == [f"{question}, p99" for question in as_of.QUESTIONS]
    assert all(line.value > 0 and line.to == "50 ms" for line in measured)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_requests_are_measured(upgraded_url: str) -> None:
    """The ledger's requests beside the hand-written ones; what was measured leaves a ledger that is whole."""
    measured = measure_http(upgraded_url, rounds=1, seconds=0.2, connections=1)

    assert {line.to for line in measured} == {"Flask, one INSERT", "Flask, one SELECT", ""}
    assert all(line.value > 0 for line in measured)
    with closing(open_store(upgraded_url)) as store:
        assert [difference for _, differences in verify(store) for difference in differences] == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_latencies_are_measured(upgraded_url: str) -> None:
    """Each request in both environments; and the time until the server answers."""
    measured = [
        *measure_latency(upgraded_url, deployments=60, samples=2, few=20),
        measure_start(upgraded_url, rounds=1),
    ]

    assert len({line.what for line in measured}) == len(measured) == 17
    assert all(line.ratio for line in measured if line.part.startswith("latency"))


def test_the_table_says_what_each_ratio_is_to(capsys: pytest.CaptureFixture[str]) -> None:
    """With the machine and the versions: a number alone says nothing."""
    lines = result.compared("append", "/s", {"ours": [3.0, 1.0, 2.0], "theirs": [4.0, 2.0, 9.0]}, "ours", {})

    result.show(lines, postgresql="18.6")

    shown = capsys.readouterr().out
    assert all(word in shown for word in ("ours", "0.50", "theirs", "cores", "Python 3", "SQLite 3", "PostgreSQL 18.6"))
