"""A read model of a distribution of its own: built, installed into a folder, used, broken, taken away again."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text

from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import environment_stream
from tests.cli.test_projections import execute
from tests.support.command_line import InProcess, Ran

SOURCE: Final = Path(__file__).parents[1] / "sample_plugin"
README: Final = Path(__file__).parents[2] / "projections" / "README.md"
NAME: Final = "deployments_per_day"
PRODUCTION: Final = environment_stream("shop", "production")
API = Caller(recorded_by="ci")
# A process of the installation that has the plug-in: runs commands and reports successes, as it is told.
PROCESS: Final = """
import json, sys
from click.testing import CliRunner
from release_ledger.cli import main
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger

def reports(version):
    ledger, by = Ledger.open(sys.argv[1]), Caller(recorded_by="ci")
    ledger.configure_project("shop", repo="acme/shop", by=by)
    ledger.configure_environment("shop", "production", Settings(), by=by)
    ledger.cut_release_candidate("shop", version, repo="acme/shop", commit=version.encode().hex().ljust(40, "0"), by=by)
    ledger.report("shop", "production", release_candidate_version=version, status="success", by=by)
    ledger.close()

said = []
for first, *rest in json.loads(sys.argv[2]):
    if first == "report":
        reports(*rest)
    else:
        ran = CliRunner().invoke(main, [first, *rest], env={"RELEASE_LEDGER_DATABASE_URL": sys.argv[1]})
        said.append((ran.exit_code, ran.stdout, ran.stderr))
print(json.dumps(said))
"""
STATUS: Final = ("projections", "status", "--json")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the distribution was installed into."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--target"]
    subprocess.run([*install, str(folder / "site"), str(source)], check=True, env={**os.environ, "UV_NO_CACHE": "1"})
    return folder / "site"


class Installation:
    """Has the plug-in installed, in a folder of its own."""

    def __init__(self, database_url: str, site: Path) -> None:
        self.database_url, self.site = database_url, site

    def __call__(self, *steps: tuple[str, ...]) -> list[Ran]:
        """A new process that reports (`("report", VERSION)`) and runs commands; what came of the commands."""
        ran = subprocess.run(
            [sys.executable, "-c", PROCESS, self.database_url, json.dumps(steps)],
            env={**os.environ, "PYTHONPATH": str(self.site)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return [Ran(*each) for each in json.loads(ran.stdout)]

    @contextmanager
    def defective(self) -> Iterator[None]:
        """A release of the plug-in with a mistake in it."""
        module = self.site / "release_ledger_deployments_per_day" / "__init__.py"
        sound = module.read_text()
        module.write_text(sound.replace("row[count] + 1", "row['no such column'] + 1"))
        try:
            yield
        finally:
            module.write_text(sound)


@pytest.fixture
def plugin(upgraded_url: str, built: Path, tmp_path: Path) -> Installation:
    return Installation(upgraded_url, shutil.copytree(built, tmp_path / "site"))


def state(status: Ran) -> dict[str, Any]:
    """What `projections status` says of the plug-in's projection."""
    [found] = [each for each in status.json if each["name"] == NAME]
    return dict(found)


def counted(ledger: Ledger) -> list[int]:
    """The live rows: how many deployments a day. Asked as the documentation says."""
    [live] = re.findall(r"`(SELECT … FROM deployments_per_day .*?)`", README.read_text().replace("\n   ", ""))
    live = live.replace("…", "deployments")
    with ledger.store.database.engine.connect() as connection:
        return [row[0] for row in connection.execute(text(live))]


def test_it_is_installed_used_broken_mended_and_uninstalled(
    plugin: Installation, here: InProcess, ledger: Ledger
) -> None:
    """The life of a read model that others wrote; not one report is lost or answered wrongly by it."""
    installing = ("report", "1.0-rc1"), STATUS, ("upgrade",), ("report", "1.1-rc1"), STATUS
    before, upgraded, after = plugin(*installing)
    assert state(before)["state"] == "missing"
    assert upgraded.out == "The tables are up to date.\nFolded again: 1 stream.\n"
    live = {"state": "live", "installed": "1", "registered": "1", "rows": 1, "streams": 1, "stale": 0, "set_aside": []}
    assert state(after) == {"name": NAME, **live, "advice": ""}
    assert counted(ledger) == [2]

    with plugin.defective():
        [broken] = plugin(("report", "1.2-rc1"), STATUS)
    [aside] = state(broken)["set_aside"]
    assert (broken.code, state(broken)["state"]) == (1, "set aside")
    assert (aside["stream"], aside["error"]) == (PRODUCTION, "KeyError: 'no such column'")
    assert ledger.rollback_preview("shop", "production")[0]["target"] == "1.1-rc1"
    assert len(ledger.deployments("shop", "production").items) == 3

    [mended] = plugin(("projections", "verify", NAME, "--repair"))
    assert (mended.code, mended.out.splitlines()[-1]) == (0, "No differences are left.")
    assert counted(ledger) == [3]
    head = f"where stream = '{PRODUCTION}'"
    execute(ledger, f"update streams set folded = replace(folded, '{NAME}=1', '{NAME}=10') {head}")
    assert counted(ledger) == []
    execute(ledger, f"update streams set folded = replace(folded, '{NAME}=10', '{NAME}=1') {head}")

    # Uninstalled, as it is in this process: what ran with it goes on without it, and its rows are nobody's.
    ledger.deploy("shop", "production", release_candidate_version="1.0-rc1", by=API)
    left = here(*STATUS)
    assert (left.code, state(left)["state"], state(left)["rows"]) == (0, "not installed", None)
    assert here.fine("upgrade") == "The tables are up to date.\n"
    assert here("projections", "verify").code == 0

    # Installed again: its rows miss an event, and it knows.
    stale, again = plugin(STATUS, ("upgrade",))
    assert (state(stale)["state"], again.code) == ("stale", 0)
    assert counted(ledger) == [4]


def test_its_own_tests_pass(built: Path, tmp_path: Path) -> None:
    """With what `release_ledger.testing` offers, from a folder where nothing else of ours is."""
    tests = shutil.copytree(SOURCE / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(built)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout
