"""The command line as its users have it: a process, with an exit status and two outputs."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "release_ledger")
ENDS_WITHIN_S = 60


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """`release-ledger` on one database, or on the default one of a folder."""

    folder: Path
    database_url: str | None = None

    def __call__(self, *arguments: str, **variables: str) -> Ran:
        """Run it to its end. `variables` are set besides the environment of the tests."""
        ran = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=environment(self.database_url, variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def fine(self, *arguments: str) -> str:
        """The output of a command that must succeed, and say nothing on standard error."""
        ran = self(*arguments)
        assert (ran.code, ran.err) == (0, ""), ran
        return ran.out


class InProcess(CommandLine):
    """The same in this very process: faster, where a process of its own would show nothing more."""

    def __call__(self, *arguments: str, **variables: str) -> Ran:
        from click.testing import CliRunner  # here, so that whoever only needs a process loads no command line

        from release_ledger.cli import main

        given = {"RELEASE_LEDGER_DATABASE_URL": self.database_url, **variables}
        ran = CliRunner().invoke(main, arguments, env=given, catch_exceptions=False)
        return Ran(ran.exit_code, ran.stdout, ran.stderr)


def environment(database_url: str | None, variables: Mapping[str, str] = {}) -> dict[str, str]:
    """The environment of the tests with this database in it; a warning is a failure there too."""
    given = {"RELEASE_LEDGER_DATABASE_URL": database_url} if database_url else {}
    return {**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", **given, **variables}
