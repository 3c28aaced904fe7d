"""Things that all processes of one test run share: made by whoever comes first, under a lock."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock; the system takes it back if this process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made_once(path: Path, make: Callable[[], str]) -> str:
    """The text of the file at `path`, which the first caller makes."""
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            path.write_text(make())
        return path.read_text()
