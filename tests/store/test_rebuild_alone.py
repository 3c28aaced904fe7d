"""One rebuild of a database at a time, also when the one before was killed; what a killed one left is removed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from benchmarks import history
from release_ledger.projection import crew, mend, verify
from release_ledger.projection.alone import RebuildRunning, alone, beside, is_running
from release_ledger.projection.crew import rebuild_streams, streams_of
from release_ledger.store import Store, open_store
from release_ledger.store.store import head_of
from tests.store.test_rebuild import differences, generations
from tests.support.histories import PRODUCTION, append, configured, requested
from tests.support.server import wait_for

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S = 20
# Begins a rebuild, says so at each page, and goes on when it is told to.
IN_PIECES = """
import sys
from release_ledger.projection import part, rebuild
from release_ledger.projection.alone import alone
from release_ledger.store import open_store
part.PAGE_EVENTS, part.HELD_ROWS = 7, 8

def advanced(events):
    print(events, flush=True)
    sys.stdin.readline()

with alone(open_store(sys.argv[1]).database, wait=False) as seat:
    rebuild.rebuild_stream(seat, sys.argv[2], advanced)
"""
# Rebuilds everything in two processes, over and over; what it prints are their ids.
IN_PROCESSES = """
import multiprocessing, sys
from release_ledger.projection.alone import alone
from release_ledger.projection import crew
from release_ledger.projection.crew import rebuild_streams, streams_of
from release_ledger.store import open_store

crew.MANY_EVENTS = 0

def advanced(events):
    print(*(process.pid for process in multiprocessing.active_children()), flush=True)
    sys.stdin.readline()

if __name__ == "__main__":
    store = open_store(sys.argv[1])
    with alone(store.database, wait=False) as seat:
        list(rebuild_streams(seat, streams_of(store, ()), 2, advanced))
"""


@contextmanager
def running(tmp_path: Path, script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that rebuilds, killed at the end."""
    path = tmp_path / "rebuilds.py"
    path.write_text(script)
    command = [sys.executable, str(path), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def pages(process: subprocess.Popen[str], count: int) -> str:
    """Let it fold so many pages; what it printed last."""
    assert process.stdin is not None
    assert process.stdout is not None
    line = ""
    for number in range(count):
        if number:
            process.stdin.write("\n")
            process.stdin.flush()
        line = process.stdout.readline()
        assert line
    return line


@pytest.mark.parametrize("killed", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_nothing_has_changed(
    store: Store, upgraded_url: str, tmp_path: Path, killed: signal.Signals
) -> None:
    """Its rows are not live, and the next rebuild, which need not wait long, removes them."""
    append(store, configured(), *(requested(number) for number in range(1, 60)))
    before = head_of(store, PRODUCTION)
    with running(tmp_path, IN_PIECES, upgraded_url, PRODUCTION) as process:
        pages(process, 5)
        assert is_running(store)
        assert len(generations(store)) == 2  # so that it was in the middle
        process.send_signal(killed)
        process.wait()

    assert head_of(store, PRODUCTION) == before
    assert differences(store) == []
    append(store, requested(60))
    assert mend(store, PRODUCTION)

    head = head_of(store, PRODUCTION)
    assert generations(store) == {head.generation} != {before.generation}
    assert differences(store) == []
    wait_for(lambda: not is_running(store))  # a server notices a moment later that its client is gone


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_connection_that_is_lost_takes_the_lock_and_the_work_with_it(
    store: Store, upgraded_url: str, tmp_path: Path
) -> None:
    """Without its lock nobody goes on: another may have begun."""
    append(store, configured(), *(requested(number) for number in range(1, 60)))
    before = head_of(store, PRODUCTION)
    with running(tmp_path, IN_PIECES, upgraded_url, PRODUCTION) as process:
        pages(process, 5)
        with store.database.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        wait_for(lambda: not is_running(store))
        process.communicate("\n" * 50, timeout=ENDS_WITHIN_S)
        assert process.returncode == 1

    assert head_of(store, PRODUCTION) == before
    assert mend(store, PRODUCTION)
    assert generations(store) == {head_of(store, PRODUCTION).generation}
    assert differences(store) == []


def test_the_second_says_so_and_a_mend_waits(store: Store, other_store: Store) -> None:
    """The command is refused at once; `upgrade` on another host does its part when the rebuild is over."""
    append(store, configured(), requested(1))
    mended = threading.Thread(target=lambda: mend(other_store, PRODUCTION))
    with alone(store.database, wait=False) as seat:
        with pytest.raises(RebuildRunning), alone(other_store.database, wait=False):
            pass
        with pytest.raises(RebuildRunning), beside(other_store.database):
            pass
        before = head_of(store, PRODUCTION)
        mended.start()
        seat.share()
        with beside(other_store.database):
            with pytest.raises(RebuildRunning), alone(other_store.database, wait=False):
                pass
            assert is_running(other_store)
        time.sleep(0.2)
        assert head_of(store, PRODUCTION) == before

    mended.join(ENDS_WITHIN_S)
    assert head_of(store, PRODUCTION).generation > before.generation
    wait_for(lambda: not is_running(store))  # a server notices a moment later that its client is gone


@pytest.fixture
def history_url(upgraded_url: str) -> str:
    """Some streams of more than one page."""
    history.write_history(upgraded_url, events=9_000, environments=3, longest=2_996)
    return upgraded_url


@pytest.fixture(autouse=True)
def _processes_for_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "MANY_EVENTS", 0)


def test_two_processes_rebuild_everything(history_url: str) -> None:
    """Each stream once, and progress is told of every event."""
    with closing(open_store(history_url)) as store:
        folded: list[int] = []
        before = streams_of(store, ())
        with alone(store.database, wait=False) as seat:
            came = list(rebuild_streams(seat, before, 2, folded.append))

        assert sorted(one.stream for one in came) == sorted(before)
        assert {one.stream: one.events for one in came} == before
        assert sum(folded) == sum(before.values()) >= 9_000
        assert all(head_of(store, stream).generation > 0 for stream in before)
        assert all(generations(store, stream) == {head_of(store, stream).generation} for stream in before)
        assert [found for _, found in verify(store) if found] == []


def test_orphans_of_a_killed_rebuild_end_by_themselves(history_url: str, tmp_path: Path) -> None:
    """Until then no other begins; it would take their rows away. Then it does, and all is well."""
    with closing(open_store(history_url)) as store, running(tmp_path, IN_PROCESSES, history_url) as process:
        orphans = [int(pid) for pid in pages(process, 1).split()]
        assert len(orphans) == 2
        for orphan in orphans:
            os.kill(orphan, signal.SIGSTOP)
        process.kill()
        process.wait()

        assert is_running(store)
        for orphan in orphans:
            os.kill(orphan, signal.SIGCONT)
        wait_for(lambda: not any(_is_there(orphan) for orphan in orphans))

        wait_for(lambda: not is_running(store))
        assert [found for _, found in verify(store) if found] == []
        streams = streams_of(store, ())
        assert all(mend(store, stream) for stream in streams)
        assert all(generations(store, stream) == {head_of(store, stream).generation} for stream in streams)
        assert [found for _, found in verify(store) if found] == []


def _is_there(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
