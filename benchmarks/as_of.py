"""How long questions about the past take: `python -m benchmarks.as_of`, by default on SQLite and PostgreSQL.

In process, over the whole application: each GET at versions spread evenly over one stream of so many events.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import click
from sqlalchemy.engine import make_url

from release_ledger.api import create_app
from release_ledger.projection.upgrade import upgrade
from release_ledger.settings import Settings
from tests.support.postgres import PostgresServer

from .history import Place, write_places
from .result import Result, show
from .serving import new_token

PROJECT: Final = "as-of"
SIZES: Final = (1_000, 100_000, 1_000_000)
CANDIDATES: Final = 2_000
WARM_UP: Final = 5
QUESTIONS: Final[dict[str, str]] = {
    "GET environment": "?",
    "GET list, first page": "/deployments?",
    "GET list, 100 a page, anywhere": "/deployments?per_page=100&page={page}&",
    "GET list, of a status": "/deployments?status=failure&",
    "GET list, of a version": "/deployments?release_candidate_version={version}&",
    "GET deployment": "/deployments/{id}?",
    "GET rollback (preview)": "/rollback?",
    "GET rollback, walk_back": "/rollback?strategy=walk_back&",
    "GET running": "/running?",
    "GET history, 100 events": "/history?limit=100&after={after}",
}


def measure_as_of(url: str, *, events: int, samples: int) -> list[Result]:
    """Median and p99 of each question about a moment and about a version, in one stream of so many events."""
    name = f"of-{events}"
    written = write_places(
        url,
        [Place(project_name=f"{PROJECT}-{events}", environment_name=name, events=events)],
        candidates=min(CANDIDATES, max(10, events // 100)),
        seed=events,
    )
    path = f"/api/releases/{PROJECT}-{events}/environments/{name}"
    database = "PostgreSQL" if make_url(url).get_backend_name() == "postgresql" else "SQLite"
    app = create_app(Settings(database_url=url, rate_limit=0))
    headers = {"Authorization": f"Bearer {new_token(url)}"}
    with closing(app.extensions["ledger"]):
        client = app.test_client()

        def get(address: str) -> tuple[Any, float]:
            started = time.perf_counter()
            answer = client.get(path + address, headers=headers)
            took = time.perf_counter() - started
            if answer.status_code != 200:
                raise RuntimeError(f"{address}: {answer.status} {answer.text}")
            return answer.get_json(), took

        part = f"as of, {database}, {written.events:,} events"
        return [_measured(part, what, question, get, events, samples) for what, question in QUESTIONS.items()]


def _measured(
    part: str, what: str, question: str, get: Callable[[str], tuple[Any, float]], events: int, samples: int
) -> Result:
    rng, took = random.Random(what), list[float]()  # noqa: S311 - the same places at every run
    for sample in range(WARM_UP + samples):
        version = rng.randint(events // 50, events)
        moment = f"as_of_version={version}"
        if sample % 2:
            then, _ = get(f"/history?after={version - 1}&limit=1")
            moment = f"as_of={then[0]['recorded_at'].replace('+', '%2B')}"
        latest = get(f"?as_of_version={version}")[0]["latest"]
        page = rng.randint(1, max(1, latest["number"] // 100))
        listed, _ = get(f"/deployments?as_of_version={version}&per_page=1&page={rng.randint(1, latest['number'])}")
        places = {"id": listed[0]["id"], "version": listed[0]["release_candidate_version"]}
        address = question.format(page=page, after=version, **places)
        _, seconds = get(address + moment if address[-1] in "?&" else address)
        if sample >= WARM_UP:
            took.append(seconds * 1000)
    p99 = quantiles(took, n=100)[-1]
    note = f"median {median(took):.2f} ms, longest {max(took):.1f} ms, {len(took)} samples"
    return Result(part=part, what=f"{what}, p99", value=p99, unit="ms", ratio=p99 / 50, to="50 ms", note=note)


@contextmanager
def _databases(kinds: tuple[str, ...]) -> Iterator[list[str]]:
    with ExitStack() as stack:
        urls = []
        if "sqlite" in kinds:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="release-ledger-as-of-")))
            urls.append(f"sqlite:///{folder}/ledger.db")
        if "postgresql" in kinds:
            server = stack.enter_context(PostgresServer())
            urls.append(server.create_database())
        yield urls


@click.command()
@click.option("--events", "sizes", type=click.IntRange(100), multiple=True, default=SIZES, show_default=True)
@click.option("--database", "kinds", type=click.Choice(("sqlite", "postgresql")), multiple=True)
@click.option("--samples", type=click.IntRange(2), default=200, show_default=True)
def main(sizes: tuple[int, ...], kinds: tuple[str, ...], samples: int) -> None:
    """Measure questions about the past in streams of these lengths."""
    os.environ.setdefault("RELEASE_LEDGER_RATE_LIMIT", "0")
    results: list[Result] = []
    with _databases(kinds or ("sqlite", "postgresql")) as urls:
        for url in urls:
            upgrade(url)
            for events in sizes:
                results += measure_as_of(url, events=events, samples=samples)
    show(results)


if __name__ == "__main__":
    main()
