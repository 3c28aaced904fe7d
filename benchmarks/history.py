"""A large, legal, varied history, written in bulk: `python -m benchmarks.history --database URL --events N`.

Every event is what the ledger itself would have decided; digests, heads and read models are as it would have left
them. The same seed makes the same events.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, cast

import click
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from release_ledger import project
from release_ledger.errors import Refusal
from release_ledger.project import Candidate, CutCandidate, Project
from release_ledger.projection import environment_stream, project_stream
from release_ledger.store import open_store
from release_ledger.store.store import head_of
from release_ledger.store.upgrade import check_schema

from .bulk import Load, NewStream, target_at
from .chance import Clock, caller, earlier, seeded
from .walk import Walk

FIRST: Final = "2018-01-08T08:00:00.000000+00:00"
LAST: Final = "2025-06-30T18:00:00.000000+00:00"
ENVIRONMENTS_A_PROJECT: Final = 4
NAMES: Final = ("production", "staging", "development", "canary")
CANDIDATES_LIMIT: Final = 10_000
EVENTS_LIMIT: Final = 1_000_000_000
PEOPLE: Final = 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """An environment to be, and when its history ends: after so many events, or (if given) so many deployments."""

    project_name: str
    environment_name: str
    events: int = EVENTS_LIMIT
    deployments: int | None = None
    forgetful: bool = False


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What was written, and in how long."""

    events: int
    deployments: int
    streams: int
    longest: Place
    seconds: float


class CannotWrite(ValueError):
    """The history that was asked for cannot be, or is there already."""


def write_history(
    url: str,
    *,
    events: int,
    environments: int,
    longest: int | None = None,
    seed: int = 1,
    advanced: Callable[[int], object] = lambda events: None,
) -> Summary:
    """Write exactly so many events into an upgraded ledger, `longest` of them in one environment's stream.

    Projects are named after the seed: another seed adds another history to the same ledger. Raises `CannotWrite`.
    """
    projects = -(-environments // ENVIRONMENTS_A_PROJECT)
    candidates = max(1, min(CANDIDATES_LIMIT, events // (20 * projects)))
    sizes = _sizes(events - projects * (candidates + 1), environments, longest)
    places = [
        Place(
            project_name=f"history-{seed}-{number % projects}",
            environment_name=NAMES[number // projects],
            events=size,
            forgetful=number % 8 == 5,
        )
        for number, size in enumerate(sizes)
    ]
    return write_places(url, places, candidates=candidates, seed=seed, advanced=advanced)


def write_places(
    url: str,
    places: Sequence[Place],
    *,
    candidates: int,
    seed: int = 1,
    advanced: Callable[[int], object] = lambda events: None,
) -> Summary:
    """Write the history of these environments, and of their projects with so many candidates each."""
    names = list(dict.fromkeys(place.project_name for place in places))
    _refuse_what_is_there(url, names)
    started, deployments = time.perf_counter(), 0
    with target_at(url) as target:
        load = Load(target, advanced)
        rng = seeded(seed, "people")
        people = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(PEOPLE)]
        load.add_people((person_id, f"person-{seed}-{number}@example.com") for number, person_id in enumerate(people))
        for name in names:
            cut = _write_project(load, name, candidates, people, seed)
            for place in places:
                if place.project_name == name:
                    deployments += _write_environment(load, place, cut, people, seed)
        load.flush()
        target.settle()
    return Summary(
        events=load.events,
        deployments=deployments,
        streams=len(names) + len(places),
        longest=max(places, key=lambda place: place.deployments or place.events),
        seconds=time.perf_counter() - started,
    )


def _sizes(total: int, environments: int, longest: int | None) -> list[int]:
    """How many events each environment has: a few have most of them, each at least one, none more than `longest`."""
    if environments < 1 or total < environments:
        raise CannotWrite("too few events: a project needs two, an environment one")
    if longest is not None and not total / environments <= longest <= total - environments + 1:
        least, most = -(-total // environments), total - environments + 1
        raise CannotWrite(f"the longest stream can have {least} to {most} events")
    weights = [(rank + 1) ** -0.7 for rank in range(environments)]
    left, left_weight, sizes = total, sum(weights), list[int]()
    for rank, weight in enumerate(weights):
        fair = longest if rank == 0 and longest is not None else round(left * weight / left_weight)
        after = environments - rank - 1
        sizes.append(left if after == 0 else max(1, min(fair, longest or total, left - after)))
        left, left_weight = left - sizes[-1], left_weight - weight
    return sizes


def _refuse_what_is_there(url: str, project_names: Iterable[str]) -> None:
    with closing(open_store(url, pool_size=1)) as store:
        check_schema(store.database)
        for name in project_names:
            if not head_of(store, project_stream(name)).is_new:
                raise CannotWrite(f"project {name} is there already: give another --seed")


def _write_project(load: Load, name: str, candidates: int, people: Sequence[str], seed: int) -> list[Candidate]:
    """A project and its candidates, one in fifty still to be built; the candidates, oldest first."""
    stream, rng = NewStream(load, project_stream(name)), seeded(seed, name)
    clock = Clock(rng, FIRST, LAST, candidates + 1)
    repo = f"acme/{name}"
    stream.record(project.configure(None, repo, None), clock.tick(), project_name=name, **caller(rng, people))
    release, number = 0, 0
    for _ in range(candidates):
        release, number = (release, number + 1) if rng.random() < 0.5 and number else (release + 1, 1)
        command = CutCandidate(
            release_candidate_version=f"{1 + release // 100}.{release % 100}.0-rc{number}",
            repo=repo,
            commit=f"{rng.getrandbits(160):040x}",
            trigger_build_workflow=number > 1 and rng.random() < 0.02,
        )
        now = clock.tick()
        occurred_at = earlier(now, 30) if rng.random() < 0.2 else None
        decided = project.cut(cast(Project, stream.rows("projects")[()]), None, command)
        stream.record(decided, now, occurred_at=occurred_at, project_name=name, **caller(rng, people))
    cut = [cast(Candidate, dict(row)) for row in stream.rows("release_candidates").values()]
    stream.close()
    return cut


def _write_environment(
    load: Load, place: Place, candidates: Sequence[Candidate], people: Sequence[str], seed: int
) -> int:
    """One environment's history; how many deployments it has."""
    name = environment_stream(place.project_name, place.environment_name)
    stream, rng = NewStream(load, name), seeded(seed, name)
    expected = place.events if place.deployments is None else 3 * place.deployments
    walk = Walk(
        stream,
        rng,
        Clock(rng, candidates[0]["created_at"], LAST, expected),
        candidates,
        names={"project_name": place.project_name, "environment_name": place.environment_name},
        people=people,
        forgetful=place.forgetful,
    )
    while walk.version < place.events and walk.deployments != place.deployments:
        walk.step(most=place.events - walk.version)
    stream.close()
    return walk.deployments


class Speed(ProgressColumn):
    """Events a second, once there are any."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} events/s")


@click.command()
@click.option("--database", "url", required=True, help="sqlite:///FILE or postgresql+psycopg://…, upgraded.")
@click.option("--events", type=click.IntRange(3), default=100_000, show_default=True)
@click.option("--environments", type=click.IntRange(1), default=40, show_default=True)
@click.option("--longest", type=click.IntRange(1), help="Events in the longest stream.")
@click.option("--seed", default=1, show_default=True, help="Another seed adds another history.")
def main(url: str, events: int, environments: int, longest: int | None, seed: int) -> None:
    """Write a large, legal, varied history into a ledger."""
    try:
        with Progress(*Progress.get_default_columns(), Speed(), console=Console(stderr=True)) as progress:
            task = progress.add_task("events", total=events)
            summary = write_history(
                url,
                events=events,
                environments=environments,
                longest=longest,
                seed=seed,
                advanced=lambda count: progress.advance(task, count),
            )
    except (CannotWrite, Refusal) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{summary.events:,} events, {summary.deployments:,} deployments, {summary.streams:,} streams"
        f" in {summary.seconds:.1f} s ({summary.events / summary.seconds:,.0f} events/s);"
        f" the longest is {summary.longest.project_name}/{summary.longest.environment_name}"
    )


if __name__ == "__main__":
    main()
