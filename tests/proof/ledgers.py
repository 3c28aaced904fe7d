"""A ledger that is tampered with, and what is found: by the ledger itself, and by docs/verify.py on an export."""

import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from pathlib import Path
from typing import Any, Final

from release_ledger.proof import Checkpoint
from release_ledger.proof.chains import DOMAIN
from release_ledger.proof.export import exported
from release_ledger.proof.rows import Reader
from release_ledger.proof.verification import Part, Verified, streams_of, verify
from release_ledger.store import Store, digest
from tests.support.histories import PRODUCTION, run

VERIFY_PY: Final = Path(__file__).parents[2] / "docs" / "verify.py"
Found = tuple[str | None, int | None, str]
ALONE: Final = (sys.executable, "-S", "-I", str(VERIFY_PY))
assert DOMAIN == b"release-ledger/1\n"


@dataclass(frozen=True)
class Ledger:
    """The ledger, and its two checkpoints as they were carried away."""

    store: Store
    folder: Path
    early: Checkpoint
    late: Checkpoint

    def tamper(self, *statements: str) -> None:
        """What somebody with the database's password can do."""
        if self.store.database.is_postgresql and any("position =" in each for each in statements):
            run(self.store, "ALTER TABLE events ALTER position DROP IDENTITY IF EXISTS")
        if self.store.database.is_postgresql:
            statements = tuple(each.replace("x'", "'\\x") for each in statements)
        run(self.store, *statements)

    def verified(self, against: Checkpoint | None = None, part: Part | None = None, **more: Any) -> Verified:
        """What `audit verify` computes."""
        reader = Reader(self.store.database)
        streams = streams_of(reader, part or Part())
        reader.close()
        return verify(self.store.database, streams, 1, against=against, **more)

    def found(self, against: Checkpoint | None = None) -> set[Found]:
        """Stream, event and word of everything that `audit verify` finds."""
        return {(each.stream, each.version, each.word) for each in self.verified(against).found}

    def export(self, part: Part | None = None) -> Path:
        """An export, in a file."""
        file = self.folder / "export.jsonl"
        with file.open("wb") as out:
            out.writelines(exported(self.store.database, part or Part()))
        return file

    def offline(self, against: Checkpoint | None = None, part: Part | None = None) -> set[Found]:
        """The same of what docs/verify.py finds in an export, without this software."""
        arguments = [str(self.export(part))]
        if against is not None:
            kept = self.folder / "kept"
            kept.write_text(against.note)
            arguments += ["--against", str(kept)]
        return offline(*arguments)

    def rewrite(self, stream: str = PRODUCTION, *, from_version: int = 1) -> None:
        """Every digest from there on and the head's, as somebody would who knows how they are made."""
        rows = run(self.store, f"SELECT * FROM events WHERE stream = '{stream}' ORDER BY version")
        previous = next((bytes(row["digest"]) for row in rows if row["version"] == from_version - 1), bytes(32))
        for row in rows:
            if row["version"] >= from_version:
                own = {name: row[name] for name in ("version", "topic", "recorded_at")}
                previous = digest(previous, stream=stream, state=bytes(row["state"]), **own)
                place = f"stream = '{stream}' AND version = {row['version']}"
                self.tamper(f"UPDATE events SET digest = x'{previous.hex()}' WHERE {place}")
        last = (
            f"version = {rows[-1]['version']}, digest = x'{previous.hex()}', recorded_at = '{rows[-1]['recorded_at']}'"
        )
        self.tamper(f"UPDATE streams SET {last} WHERE stream = '{stream}'")


def offline(*arguments: str) -> set[Found]:
    """What docs/verify.py finds."""
    with redirect_stdout(StringIO()) as said:
        code = _verify_py().main(arguments)
    return told(code, said.getvalue())


def offline_alone(*arguments: str) -> set[Found]:
    """The same by a process that has nothing but the standard library."""
    ran = subprocess.run([*ALONE, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == "", ran.stderr
    return told(ran.returncode, ran.stdout)


def told(code: int, said: str) -> set[Found]:
    """Findings in the words of docs/verify.py; the exit status must fit."""
    found = {
        (None if where in ("checkpoint", "export") else where, int(version) if version else None, word)
        for where, version, word in re.findall(r"^WRONG (.*?)(?:, event (-?\d+))?: ([a-z ]+): ", said, re.MULTILINE)
    }
    assert code == (1 if found else 0), said
    return found


@cache
def _verify_py() -> Any:
    specification = spec_from_file_location("verify_export", VERIFY_PY)
    assert specification is not None
    assert specification.loader is not None
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
