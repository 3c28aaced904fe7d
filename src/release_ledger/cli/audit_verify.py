"""`release-ledger audit verify`: every digest computed anew, every checkpoint too."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..proof import Checkpoint, Finding, NotACheckpoint, Verified, parse, public_key
from ..proof.note import NOTE_LIMIT_BYTES
from ..proof.rows import Reader
from ..proof.verification import Part, streams_of
from ..proof.verification import verify as verify_streams
from ..settings import Settings
from .opening import open_ledger
from .output import as_json, counted, print_json, print_table
from .progress import progress

EVENTS_A_PROCESS: Final = 50_000  # for fewer, starting a process takes longer than verifying
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("project", required=False)
@click.argument("environment", required=False)
@click.option("--against", type=_FILE, help="A checkpoint that was carried away: the history must still lead to it.")
@click.option(
    "--key", type=_FILE, help="The public key of the checkpoints, in PEM. Without it, that of the signing key."
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Verify in so many processes. Without it, one a processor.")
@as_json
@click.pass_context
def verify(
    ctx: click.Context,
    project: str | None,
    environment: str | None,
    against: Path | None,
    key: Path | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Verify that nobody edited the history: all of it, a project's, or an environment's.

    Computes every digest anew, from the stored bytes, and names the first bad event of each stream and what is wrong:
    edited, missing, reordered, inserted, cut off. Compares heads, and the leaves, roots and signatures of checkpoints.
    Exit status 1 when something is wrong. Writes may go on meanwhile.
    """
    settings = Settings.from_environment()
    checkpoint = None if against is None else _checkpoint(against)
    public = _key(settings, key)
    with open_ledger(settings) as ledger:
        database = ledger.store.database
        with closing(Reader(database)) as reader:
            streams = streams_of(reader, part_of(project, environment))
        events = sum(streams.values())
        jobs = jobs or max(1, min(_processors(), events // EVENTS_A_PROCESS))
        with progress("Verifying", events, "events") as advanced:
            verified = verify_streams(database, streams, jobs, against=checkpoint, key=public, advanced=advanced)
    if as_json:
        print_json(_as_json(verified))
    else:
        _print(verified, checkpoint, public)
    ctx.exit(1 if verified.found else 0)


def part_of(project: str | None, environment: str | None) -> Part:
    """The streams that the arguments mean."""
    return Part(project=project, environment=environment)


def _checkpoint(file: Path) -> Checkpoint:
    try:
        return parse(file.read_bytes()[:NOTE_LIMIT_BYTES].decode())
    except (NotACheckpoint, UnicodeDecodeError) as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else error
        raise click.ClickException(f"{file} is no checkpoint: {why}.") from None


def _key(settings: Settings, file: Path | None) -> Ed25519PublicKey | None:
    chosen = file or settings.signing_key_file
    return None if chosen is None else public_key(chosen)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_json(verified: Verified) -> dict[str, Any]:
    return asdict(verified) | {"found": [_described(each) for each in verified.found]}


def _described(finding: Finding) -> dict[str, Any]:
    project, environment = _place(finding)
    return {"project": project, "environment": environment, **asdict(finding)}


def _place(finding: Finding) -> tuple[str | None, str | None]:
    _, *names = (finding.stream or "").split("/", 2)
    project, environment = (*names, None, None)[:2]
    return project, environment


def _print(verified: Verified, against: Checkpoint | None, key: Ed25519PublicKey | None) -> None:
    if verified.found:
        rows = [(each.stream or "checkpoints", each.version, each.word, each.what) for each in verified.found]
        print_table(("STREAM", "EVENT", "WRONG", "WHAT"), rows)
        click.echo()
    events, streams = counted(verified.events, "event"), counted(verified.streams, "stream")
    leaves = "1 leaf" if verified.leaves == 1 else f"{verified.leaves} leaves"
    found = counted(len(verified.found), "finding") if verified.found else "nothing is wrong"
    click.echo(f"Verified {events} in {streams}, {counted(verified.checkpoints, 'checkpoint')} over {leaves}: {found}.")
    click.echo(_said_of_signatures(verified, against, key))


def _said_of_signatures(verified: Verified, against: Checkpoint | None, key: Ed25519PublicKey | None) -> str:
    if key is None:
        signed = "No signature was checked: no key is given."
    else:
        signed = f"{counted(verified.signatures, 'signature')} of this key checked."
    if against is None:
        return f"{signed} What was cut off or rewritten shows --against a checkpoint that left the machine."
    return signed
