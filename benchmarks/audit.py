"""Verified events a second: `python -m benchmarks.audit --database URL --events N --environments M`.

Beside the limit that the same database sets in the same run: SHA-256 over the same bytes, read the same way. One
process does both; then the command as an auditor runs it, with as many processes as it takes by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import closing

import click
from sqlalchemy.engine import make_url

from release_ledger.proof import make_checkpoint
from release_ledger.proof.rows import PAGE, Reader
from release_ledger.proof.verification import Part, streams_of, verify
from release_ledger.store import Store, open_store

from .history import write_history
from .rebuild import SAMPLED_EVERY_S, _peaks
from .result import Result, ratio_of, show, spread

ROUNDS = 5


def measure_verification(url: str, *, events: int, environments: int, rounds: int = ROUNDS) -> list[Result]:
    """Write a history into an upgraded ledger without one, make a checkpoint, and verify."""
    write_history(url, events=events, environments=environments)
    ours: list[float] = []
    limit: list[float] = []
    with closing(open_store(url)) as store:
        make_checkpoint(store, None)
        for _ in range(rounds):
            limit.append(events / _hashing_s(store))
            ours.append(events / _verifying_s(store))
    command, memory_mb = _command(url)
    kind = "PostgreSQL" if make_url(url).get_backend_name() == "postgresql" else "SQLite"
    part = f"audit verify, {kind}, {events:,} events"

    def line(what: str, values: list[float], ratio: float | None = None, note: str = "") -> Result:
        middle = sorted(values)[len(values) // 2]
        to = "the limit" if ratio else ""
        return Result(part=part, what=what, value=middle, unit="events/s", ratio=ratio, to=to, note=note)

    times = ratio_of(limit, ours)
    return [
        line(
            "verified, one process", ours, ratio_of(ours, limit), f"{times:.2f} times the limit's time; {spread(ours)}"
        ),
        line("the limit: SHA-256 over the same bytes, read the same way", limit, note=spread(limit)),
        line(
            "the command, start and progress included", [events / command], note=f"{command:.1f} s, {memory_mb:.0f} MB"
        ),
    ]


def _verifying_s(store: Store) -> float:
    began = time.perf_counter()
    with closing(Reader(store.database)) as reader:
        streams = streams_of(reader, Part())
    verified = verify(store.database, streams, 1)
    if verified.found:
        raise RuntimeError(f"the history does not verify: {verified.found[0]}")
    return time.perf_counter() - began


def _hashing_s(store: Store) -> float:
    """Every column that a digest covers, and the digest, through one SHA-256 for each event."""
    began = time.perf_counter()
    sha256 = hashlib.sha256
    with closing(Reader(store.database)) as reader:
        for stream, _ in reader.streams():
            name, first = (stream if isinstance(stream, bytes) else stream.encode()), 1
            while page := reader.events(stream, first):
                for version, topic, state, recorded_at, digest, _ in page:
                    sha256(
                        b"%b%d%b%b%b%b" % (name, version, topic.encode(), state, recorded_at.encode(), digest)
                    ).digest()
                if len(page) < PAGE:
                    break
                first = page[-1][0] + 1
    return time.perf_counter() - began


def _command(url: str) -> tuple[float, float]:
    """How long the command takes from its start to its end, and the most memory of one of its processes, in MB."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "release_ledger", "audit", "verify", "--json"]
    environment = os.environ | {"RELEASE_LEDGER_DATABASE_URL": url}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    peaks = [0.0]
    while process.poll() is None:
        peaks += [peak for _, peak in _peaks(process.pid)]
        time.sleep(SAMPLED_EVERY_S)
    said = json.loads(process.communicate()[0])
    if said["found"]:
        raise RuntimeError("the history does not verify")
    return time.perf_counter() - began, max(peaks)


@click.command()
@click.option("--database", "url", required=True, help="sqlite:///FILE or postgresql+psycopg://…, upgraded and empty.")
@click.option("--events", type=click.IntRange(3), default=100_000, show_default=True)
@click.option("--environments", type=click.IntRange(1), default=20, show_default=True)
def main(url: str, events: int, environments: int) -> None:
    """Verify a large history, and show how fast, beside what bounds it."""
    show(measure_verification(url, events=events, environments=environments))


if __name__ == "__main__":
    main()
