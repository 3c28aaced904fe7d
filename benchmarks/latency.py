"""How long each command and each list takes in an environment of few and of very many deployments.

One connection; each request goes to both environments, one right after the other, in turning order.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from statistics import median
from typing import Any, Final

from sqlalchemy.engine import make_url

from release_ledger.deployment import UNFINISHED
from release_ledger.environment import UNFINISHED_LIMIT, Settings
from release_ledger.ledger import Ledger

from .client import Exchange, request_bytes
from .history import Place, write_places
from .result import Result
from .serving import BY, new_token, serving_ledger

PROJECT: Final = "latency"
SMALL, LARGE = "small", "large"
FEW: Final = 100
CANDIDATES: Final = 10
HISTORY_CANDIDATES: Final = 2_000
WARM_UP: Final = 10


def measure_latency(url: str, *, deployments: int, samples: int, few: int = FEW) -> list[Result]:
    """The medians of each request in the large environment, as ratios to those in the small one."""
    sizes = {SMALL: few, LARGE: deployments}
    places = [Place(project_name=PROJECT, environment_name=name, deployments=count) for name, count in sizes.items()]
    summary = write_places(url, places, candidates=min(HISTORY_CANDIDATES, deployments // 10))
    _settle(url)
    token = new_token(url)
    took: dict[str, dict[str, list[float]]] = {}
    with serving_ledger(url) as port, closing(Exchange(port)) as exchange:
        stories = {name: _Story(exchange, token, name, count) for name, count in sizes.items()}
        for sample in range(WARM_UP + samples):
            names = (SMALL, LARGE) if sample % 2 else (LARGE, SMALL)
            for steps in zip(*(stories[name].once(sample) for name in names), strict=True):
                for name, (what, seconds) in zip(names, steps, strict=True):
                    if sample >= WARM_UP:
                        took.setdefault(what, {SMALL: [], LARGE: []})[name].append(seconds)
    database = "PostgreSQL" if make_url(url).get_backend_name() == "postgresql" else "SQLite"
    part = f"latency, {database}, {deployments:,} deployments"
    lines = [_result(part, what, of_both, few) for what, of_both in took.items()]
    return [*lines, _written(database, summary.events, summary.seconds)]


class _Story:
    """One environment over HTTP: a version comes, is looked at from all sides, and goes."""

    def __init__(self, exchange: Exchange, token: str, environment_name: str, deployments: int) -> None:
        self._exchange, self._token = exchange, token
        self._path = f"/api/releases/{PROJECT}/environments/{environment_name}"
        self._last_page = deployments // 10

    def once(self, turn: int) -> Iterator[tuple[str, float]]:
        """Each request of one turn, and how long its answer took."""
        version = {"release_candidate_version": f"90.{turn % CANDIDATES}.0-rc1"}
        made, took = self._ask("POST", "/deployments", version)
        yield "POST deployment", took
        yield "PATCH by version", self._ask("PATCH", "/deployments", version | {"status": "in_progress"})[1]
        done = version | {"status": "success", "id": made["id"]}
        yield "PATCH by id", self._ask("PATCH", "/deployments", done)[1]
        yield "GET list, first page", self._ask("GET", "/deployments")[1]
        yield "GET list, last page", self._ask("GET", f"/deployments?page={self._last_page}")[1]
        yield "GET list, of a status", self._ask("GET", "/deployments?status=failure")[1]
        of_version = f"/deployments?release_candidate_version={version['release_candidate_version']}"
        yield "GET list, of a version", self._ask("GET", of_version)[1]
        yield "GET deployment", self._ask("GET", f"/deployments/{made['id']}")[1]
        yield "GET environment", self._ask("GET", "")[1]
        yield "GET rollback (preview)", self._ask("GET", "/rollback")[1]
        yield "GET rollback, walk_back", self._ask("GET", "/rollback?strategy=walk_back")[1]
        back, took = self._ask("POST", "/rollback", {})
        yield "POST rollback", took
        version = {"release_candidate_version": back["release_candidate_version"]}
        self._ask("PATCH", "/deployments", version | {"status": "success", "id": back["id"]})
        yield "PUT freeze", self._ask("PUT", "/freeze", {"reason": "measured"})[1]
        yield "DELETE freeze", self._ask("DELETE", "/freeze")[1]
        yield "PUT environment", self._ask("PUT", "", {"stuck_after_s": 60 + turn})[1]

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[Any, float]:
        request = request_bytes(method, self._path + path, token=self._token, body=body)
        answer, took = self._exchange.ask(request)
        return json.loads(answer), took


def _settle(url: str) -> None:
    """Both environments in the same condition: nothing frozen, nothing unfinished, the same settings."""
    with closing(Ledger.open(url, pool_size=1)) as ledger:
        for number in range(CANDIDATES):
            version, commit = f"90.{number}.0-rc1", f"{number:040x}"
            ledger.cut_release_candidate(PROJECT, version, repo=f"acme/{PROJECT}", commit=commit, by=BY)
        for name, status in itertools.product((SMALL, LARGE), UNFINISHED):
            ledger.unfreeze(PROJECT, name, by=BY)
            ledger.configure_environment(PROJECT, name, Settings(), by=BY)
            page = ledger.deployments(PROJECT, name, status=status, per_page=UNFINISHED_LIMIT)
            for item in page.items:
                version = item["release_candidate_version"]
                ledger.report(PROJECT, name, release_candidate_version=version, id=item["id"], status="success", by=BY)


def _result(part: str, what: str, took: dict[str, list[float]], few: int) -> Result:
    large, small = median(took[LARGE]) * 1000, median(took[SMALL]) * 1000
    note = f"{small:.2f} ms there; medians of {len(took[LARGE])}"
    return Result(part=part, what=what, value=large, unit="ms", ratio=large / small, to=f"with {few:,}", note=note)


def _written(database: str, events: int, seconds: float) -> Result:
    note = f"{events:,} events, one process, settled"
    return Result(
        part=f"history, {database}", what="events written in bulk", value=events / seconds, unit="/s", note=note
    )
