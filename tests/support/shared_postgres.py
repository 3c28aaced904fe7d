"""One PostgreSQL for all processes of a test run."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.once import locked
from tests.support.postgres import Databases, PostgresServer, hold


@contextmanager
def shared_databases(folder: Path) -> Iterator[Databases]:
    """One server for all processes that name the same folder; whoever started it waits for the others to end."""
    description = folder / "postgres.json"
    with ExitStack() as stack:
        with locked(folder / "postgres.lock"):
            databases = _join(description, stack)
            if databases is None:
                databases = stack.enter_context(PostgresServer())
                description.write_text(json.dumps({"directory": str(databases.directory), "port": databases.port}))
        yield databases


def _join(description: Path, stack: ExitStack) -> Databases | None:
    """The server that is described there, kept alive by the stack; none if there is none, or no longer."""
    if not description.exists():
        return None
    where = json.loads(description.read_text())
    try:
        stack.enter_context(hold(Path(where["directory"])))
    except OSError:
        return None
    return Databases(Path(where["directory"]), where["port"])
