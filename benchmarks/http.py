"""Requests a second over HTTP, beside the same endpoints written by hand in Flask with one INSERT and one SELECT.

Both are served by granian with the same settings on the same machine and database, and asked by the same client.
The ledger checks a token, decides, chains and folds; the other does none of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any, Final

import click
from sqlalchemy.engine import make_url

from release_ledger.environment import Settings
from release_ledger.ledger import Ledger

from .client import Exchange, Next, drive, request_bytes
from .crew import LEAD_S, Crew, Worker
from .latency import measure_latency
from .result import Result, ratio_of, show
from .serving import BY, WORKERS, measure_start, new_token, serving_ledger, serving_plain_flask

PROJECT: Final = "http"
CLIENTS: Final = 2
CONNECTIONS: Final = 8
ENVIRONMENTS: Final = 4  # of each connection: no two write to one environment at a time
CANDIDATES: Final = 10
PAGE: Final = 10
# An environment takes 100 unfinished deployments.
MOST_UNFINISHED: Final = 90 * ENVIRONMENTS
ENDING_S: Final = 90.0
POST, PATCH, GET = "POST deployment", "PATCH deployment (report)", "GET deployments"
INSERT, SELECT = "Flask, one INSERT", "Flask, one SELECT"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a client process does: which requests, to which port, for how long, at most how many a connection."""

    kind: str
    port: int
    token: str
    start: float
    stop: float
    limits: Sequence[int]


@dataclass
class Measured:
    """The rounds of one contestant: requests a second of each, and how long every answer took."""

    per_second: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def measure_http(url: str, *, rounds: int, seconds: float, connections: int = CONNECTIONS) -> list[Result]:
    """Requests a second, all contestants in the same rounds, on an upgraded ledger and a table beside it."""
    postgresql = make_url(url).get_backend_name() == "postgresql"
    _prepare(url, CLIENTS * connections)
    token = new_token(url)
    with ExitStack() as stack:
        ledger = stack.enter_context(serving_ledger(url))
        flask = stack.enter_context(serving_plain_flask(url if postgresql else f"{url}-plain"))
        crew = stack.enter_context(Crew(make_worker, "", CLIENTS))
        contest = _Contest(crew, token, connections, ports={True: ledger, False: flask})
        contest.warm_up()
        for number in range(rounds):
            contest.round(seconds, ledger_first=number % 2 == 0)
    database = "PostgreSQL" if postgresql else "SQLite"
    part = f"HTTP, {database}, {WORKERS} workers, {CLIENTS * connections} connections"
    pairs = [(POST, INSERT), (PATCH, INSERT), (GET, SELECT), (INSERT, ""), (SELECT, "")]
    return [_result(part, contest.measured, what, to) for what, to in pairs]


class _Contest:
    def __init__(self, crew: Crew, token: str, connections: int, ports: dict[bool, int]) -> None:
        self._crew, self._token, self._connections, self._ports = crew, token, connections, ports
        self.measured: dict[str, Measured] = {name: Measured() for name in (POST, PATCH, GET, INSERT, SELECT)}

    def warm_up(self) -> None:
        """Every environment has a page of deployments, and every process its connections and plans."""
        enough = [[PAGE * ENVIRONMENTS] * self._connections] * CLIENTS
        for kind in (POST, PATCH, GET, INSERT, SELECT):
            self._run(kind, ENDING_S / 2, enough)

    def round(self, seconds: float, *, ledger_first: bool) -> None:
        for kinds in ((POST, INSERT), (GET, SELECT)):
            for kind in kinds if ledger_first else reversed(kinds):
                limit = MOST_UNFINISHED if kind == POST else 10**9
                counts = self._note(kind, *self._run(kind, seconds, [[limit] * self._connections] * CLIENTS))
                if kind == POST:  # each is reported to have succeeded, so that nothing piles up
                    self._note(PATCH, *self._run(PATCH, ENDING_S / 2, counts))

    def _run(self, kind: str, seconds: float, limits: Sequence[Sequence[int]]) -> tuple[list[Any], float]:
        start = time.monotonic() + LEAD_S
        jobs = [
            Job(
                kind=kind,
                port=self._ports[kind not in (INSERT, SELECT)],
                token=self._token,
                start=start,
                stop=start + seconds,
                limits=of_client,
            )
            for of_client in limits
        ]
        return self._crew.ask(jobs, within_s=seconds + ENDING_S), start

    def _note(self, kind: str, answers: list[Any], start: float) -> list[list[int]]:
        measured = self.measured[kind]
        took = max(ended for _, _, ended in answers) - start
        measured.per_second.append(sum(sum(counts) for counts, _, _ in answers) / took)
        for _, seconds, _ in answers:
            measured.seconds += seconds
        return [counts for counts, _, _ in answers]


def make_worker(_: str, client: int) -> Worker:
    """One client process."""

    def work(job: Job) -> tuple[list[int], list[float], float]:
        exchanges = [Exchange(job.port) for _ in job.limits]
        try:
            first = client * len(exchanges)
            nexts = [_next(job, first + number, limit) for number, limit in enumerate(job.limits)]
            time.sleep(max(0.0, job.start - time.monotonic()))
            counts, seconds = drive(exchanges, nexts, stop=job.stop)
            return counts, seconds, time.monotonic()
        finally:
            for exchange in exchanges:
                exchange.close()

    return work


def _next(job: Job, connection: int, limit: int) -> Next:
    requests = [_request(job, connection, turn) for turn in range(ENVIRONMENTS * CANDIDATES)]
    return lambda count: requests[count % len(requests)] if count < limit else None


def _request(job: Job, connection: int, turn: int) -> bytes:
    """Environment by environment, then the next version: a PATCH of the same turn means the same deployment."""
    environment_name = f"e{connection}-{turn % ENVIRONMENTS}"
    body = {"release_candidate_version": _version(turn // ENVIRONMENTS)}
    if job.kind in (INSERT, SELECT):
        path = f"/{environment_name}/deployments"
        return request_bytes("GET", path) if job.kind == SELECT else request_bytes("POST", path, body=body)
    path = f"/api/releases/{PROJECT}/environments/{environment_name}/deployments"
    if job.kind == GET:
        return request_bytes("GET", path, token=job.token)
    reported = {"status": "success"} if job.kind == PATCH else {}
    return request_bytes(job.kind.split()[0], path, token=job.token, body=body | reported)


def _version(number: int) -> str:
    return f"1.{number}.0-rc1"


def _prepare(url: str, connections: int) -> None:
    with closing(Ledger.open(url, pool_size=1)) as ledger:
        ledger.configure_project(PROJECT, repo="acme/http", by=BY)
        for number in range(CANDIDATES):
            ledger.cut_release_candidate(PROJECT, _version(number), repo="acme/http", commit=f"{number:040x}", by=BY)
        for connection in range(connections):
            for number in range(ENVIRONMENTS):
                ledger.configure_environment(PROJECT, f"e{connection}-{number}", Settings(), by=BY)


def _result(part: str, measured: dict[str, Measured], what: str, to: str) -> Result:
    own = measured[what]
    speed = median(own.per_second)
    cuts = quantiles(own.seconds, n=100)
    note = f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms, {len(own.seconds):,} answers"
    ratio = ratio_of(own.per_second, measured[to].per_second) if to else None
    return Result(part=part, what=what, value=speed, unit="/s", ratio=ratio, to=to, note=note)


@click.command()
@click.option("--database", "url", required=True, help="An upgraded ledger that these projects are not in yet.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.05, 60), default=3.0, show_default=True, help="Of one round.")
@click.option("--deployments", type=click.IntRange(100), default=100_000, show_default=True, help="For the latency.")
@click.option("--samples", type=click.IntRange(3, 1000), default=100, show_default=True, help="For the latency.")
def main(url: str, rounds: int, seconds: float, deployments: int, samples: int) -> None:
    """Requests a second, latency in short and long histories, time until the server is ready."""
    results = measure_http(url, rounds=rounds, seconds=seconds)
    results += measure_latency(url, deployments=deployments, samples=samples)
    show([*results, measure_start(url, rounds=rounds)])


if __name__ == "__main__":
    main()
