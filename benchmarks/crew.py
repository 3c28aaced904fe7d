"""Several processes that do the same thing at the same time, and say how it went."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Self

# Does a job in its own process. What makes one is told a URL, and the process's number.
Worker = Callable[[Any], Any]
MakeWorker = Callable[[str, int], Worker]
Once = Callable[[], object]

LIMIT: Final = 1_000_000
STARTING_S: Final = 60.0
LEAD_S: Final = 0.05
ENDING_S: Final = 10.0


class Crew:
    """Processes that wait for jobs; one that fails takes the round with it."""

    def __init__(self, make_worker: MakeWorker, url: str, size: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([make_worker.__module__])
        self._ends: list[Connection] = []
        self._processes = []
        for number in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, make_worker, url, number), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)

    def ready(self) -> Self:
        """Wait until every process has its connections."""
        for end in self._ends:
            _answer(end, STARTING_S)
        return self

    def ask(self, jobs: Sequence[Any], *, within_s: float) -> list[Any]:
        """Each process does its job; their answers."""
        for end, job in zip(self._ends, jobs, strict=True):
            end.send(job)
        return [_answer(end, within_s) for end in self._ends]

    def per_second(self, name: str, seconds: float) -> float:
        """How often all of them together did what has this name, a second. For workers made by `repeating`."""
        start = time.monotonic() + LEAD_S
        done = self.ask([(name, start, start + seconds)] * len(self._ends), within_s=seconds + ENDING_S)
        return float(sum(count for count, _ in done) / (max(ended for _, ended in done) - start))

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.send(None)
            end.close()
        for process in self._processes:
            process.join(ENDING_S)
            if process.is_alive():
                process.terminate()


def interleaved(crew: Crew, names: list[str], *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Each contestant's speeds: all in every round, in turning order, after one short round that does not count."""
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        crew.per_second(name, seconds / 4)
    for number in range(rounds):
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            speeds[name].append(crew.per_second(name, seconds))
    return speeds


def _answer(end: Connection, within_s: float) -> Any:
    if not end.poll(within_s):
        raise TimeoutError(f"a process did not answer within {within_s:.0f} s")
    answer = end.recv()
    if isinstance(answer, str):
        raise RuntimeError(f"a process failed: {answer}")
    return answer


def repeating(contestants: Mapping[str, Once]) -> Worker:
    """A worker that does what is named, again and again from one moment to another: how often, and its real end."""

    def work(job: tuple[str, float, float]) -> tuple[int, float]:
        name, start, stop = job
        once = contestants[name]
        time.sleep(max(0.0, start - time.monotonic()))
        for count in range(LIMIT):
            if time.monotonic() >= stop:
                return count, time.monotonic()
            once()
        return LIMIT, time.monotonic()

    return work


def _work(end: Connection, make_worker: MakeWorker, url: str, number: int) -> None:
    try:
        worker = make_worker(url, number)
        end.send(None)
        for job in iter(end.recv, None):
            end.send(worker(job))
    except (EOFError, KeyboardInterrupt):
        return
    except Exception as error:
        end.send(f"{type(error).__name__}: {error}")
