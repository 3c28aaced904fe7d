"""The import table of the architecture, and the sizes and names that keep the source readable."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.source_rules import import_complaints, imports, length_complaints, name_complaints

ROOT = Path(__file__).parents[1]


class Module(NamedTuple):
    name: str
    source: str
    is_package: bool


def modules() -> Iterator[Module]:
    """Every module that is shipped, once. Path.rglob does not follow the symlink to projections/ on Python 3.11;
    later ones do not unless asked, so the folder is walked under its own name."""
    for folder, package in ((ROOT / "src" / "release_ledger", ()), (ROOT / "projections", ("projections",))):
        for path in sorted(folder.rglob("*.py")):
            if (folder / "projections") in path.parents:
                continue
            parts = ("release_ledger", *package, *path.relative_to(folder).with_suffix("").parts)
            is_package = parts[-1] == "__init__"
            yield Module(".".join(parts[:-1] if is_package else parts), path.read_text(), is_package)


def test_every_module_is_looked_at_once() -> None:
    """A walk that finds nothing would let everything pass."""
    names = [module.name for module in modules()]

    assert {"release_ledger.errors", "release_ledger.projections"} <= set(names)
    assert len(names) == len(set(names))


def test_every_import_is_in_the_table() -> None:
    """Reading order is import order: no part knows of one that comes after it."""
    complaints = [
        each
        for name, source, is_package in modules()
        for each in import_complaints(name, source, is_package=is_package)
    ]

    assert not complaints, "\n" + "\n".join(complaints)


def test_modules_functions_and_request_handlers_are_short() -> None:
    """What is longer does two things."""
    complaints = [each for name, source, _ in modules() for each in length_complaints(name, source)]

    assert not complaints, "\n" + "\n".join(complaints)


def test_modules_and_classes_are_named_after_what_they_do() -> None:
    """A word that fits everything tells a reader nothing."""
    complaints = [each for name, source, _ in modules() for each in name_complaints(name, source)]

    assert not complaints, "\n" + "\n".join(complaints)


# The rules themselves: each is shown what it must refuse, and the nearest thing that it must not.


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("release_ledger.errors", "import flask"),
        ("release_ledger.errors", "import release_ledger.environment"),
        ("release_ledger.versions", "import eventsourcing"),
        ("release_ledger.environment", "from .store import Store"),
        ("release_ledger.environment", "import sqlalchemy"),
        ("release_ledger.environment", "import time"),
        ("release_ledger.environment", "def f():\n    from release_ledger import ledger"),
        ("release_ledger.store.schema", "from ..projection import Projection"),
        ("release_ledger.store.schema", "from .. import ledger"),
        ("release_ledger.store.schema", "import requests"),
        ("release_ledger.projection.live", "from ..projections.deployments import Deployments"),
        ("release_ledger.projections.deployments", "from release_ledger.projections.projects import Projects"),
        ("release_ledger.projections.deployments", "from .projects import Projects"),
        ("release_ledger.projections.deployments", "from . import projects"),
        ("release_ledger.projections.deployments", "from projections import projects"),
        ("release_ledger.projections.deployments", "from release_ledger.store import Store"),
        ("release_ledger.ledger.commands", "from release_ledger.api import app"),
        ("release_ledger.ledger.commands", "import flask"),
        ("release_ledger.settings", "from .store import Store"),
        ("release_ledger.github", "from .worker import Worker"),
        ("release_ledger.worker", "from . import cli"),
        ("release_ledger.api.app", "from ..cli import main"),
        ("release_ledger.brand_new", "import json"),
    ],
)
def test_an_import_that_is_not_in_the_table_is_refused(module: str, source: str) -> None:
    """One sample for each row of the table; a part without a row is refused whatever it imports."""
    assert len(import_complaints(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("release_ledger.events", "from eventsourcing.utils import register_topic\nfrom .errors import Refused"),
        ("release_ledger.environment", "from datetime import datetime\nfrom .rollback import target"),
        (
            "release_ledger.store.schema",
            "import sqlite3\nimport sqlalchemy\nfrom ..events import Event\nfrom . import x",
        ),
        ("release_ledger.projections.deployments", "from release_ledger.projection import on\nimport sqlalchemy"),
        ("release_ledger.ledger.commands", "from release_ledger.projections.projects import Projects"),
        ("release_ledger.settings", "import os\nfrom .errors import ConfigurationError"),
        (
            "release_ledger.api.app",
            "from .. import __version__\nimport flask\nfrom ..ledger import Ledger\nfrom .errors import problem",
        ),
        ("release_ledger.cli.serve", "from ..api.app import create_app\nimport click"),
        ("release_ledger.__main__", "from release_ledger.cli import main"),
    ],
)
def test_an_import_that_is_in_the_table_is_taken(module: str, source: str) -> None:
    """The guard must not stand in the way of what is meant."""
    assert import_complaints(module, source) == []


def test_a_relative_import_is_read_from_where_it_stands() -> None:
    """A package's own `.` is the package, a module's is the folder it lies in."""
    assert list(imports("release_ledger.store", "from . import x", is_package=True)) == [(1, "release_ledger.store")]
    assert list(imports("release_ledger.store.schema", "from .. import errors")) == [(1, "release_ledger.errors")]
    assert list(imports("release_ledger.store.schema", "from ..errors import E")) == [(1, "release_ledger.errors")]


def lines(count: int) -> str:
    return "\n    x = 1" * count


def blueprint_function(body_lines: int) -> str:
    docstring = f'\n    """{lines(20)}\n    """'
    return f'@blueprint.post("/")\n@blueprint.response(201)\ndef create(body):{docstring}{lines(body_lines)}\n'


@pytest.mark.parametrize(
    ("too_long", "just_right"),
    [
        ("x = 1\n" * 251, "x = 1\n" * 250),
        (f"def f():{lines(40)}", f"def f():{lines(39)}"),
        (f"class C:\n  async def f(self):{lines(40)}", f"class C:\n  async def f(self):{lines(39)}"),
        (blueprint_function(11), blueprint_function(10)),
    ],
    ids=["module", "function", "method", "request handler"],
)
def test_one_line_too_many_is_refused(too_long: str, just_right: str) -> None:
    """The limits are where the documents say; a docstring does not count as a handler's body."""
    assert len(length_complaints("release_ledger.api.deployments", too_long)) == 1
    assert length_complaints("release_ledger.api.deployments", just_right) == []


def test_a_name_that_says_nothing_is_refused() -> None:
    """As a part of a name too; a database is a word of its own."""
    assert len(name_complaints("release_ledger.utils", "")) == 1
    assert len(name_complaints("release_ledger.event_info", "class EventData: ...\nclass BaseStore: ...")) == 3
    assert name_complaints("release_ledger.database", "class DatabaseURL: ...\nclass Metadata: ...") == []
    assert (
        len(name_complaints("release_ledger.store", "class EventManager: ...\nclass DeploymentHandlerBase: ...")) == 2
    )
    assert name_complaints("release_ledger.store", "class Store: ...\ndef handler(): ...") == []
