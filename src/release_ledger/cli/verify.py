"""`release-ledger projections verify`: the read models compared with the history, and mended where they differ."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import track

from ..projection import Difference, installed, mend
from ..projection.alone import is_running
from ..projection.verify import Found, verifiable, verify_stream
from ..store import Store
from ..store.upgrade import upgrade_schema
from .opening import open_ledger
from .output import as_json, counted, print_json, print_table, shown

SHOWN: Final = 20


@dataclass
class Compared:
    """How many streams were compared, what was found, and in which of them."""

    streams: int = 0
    found: Found = field(default_factory=lambda: Found(SHOWN))
    differing: list[str] = field(default_factory=list)

    @property
    def differences(self) -> int:
        return self.found.counts.total()


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--repair", is_flag=True, help="Fold the histories that differ again, and compare these once more.")
@as_json
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...], repair: bool, as_json: bool) -> None:
    """Fold the history again and compare it with the live rows, of all projections or of those named.

    Names the first 20 differences: project, environment, projection, key, column, the live value and the folded one.
    Exit status 1 when there is one; with --repair, when one is left afterwards. Writes may go on meanwhile.
    """
    unknown = [name for name in names if name not in installed()]
    if unknown:
        raise click.BadParameter(
            f"there is no projection {', '.join(unknown)}; there are {', '.join(installed())}.", param_hint="NAME"
        )
    with open_ledger() as ledger:
        if repair:
            _make_tables(ledger.store)
        compared = _compared(ledger.store, verifiable(ledger.store, names or None), names)
        after = _repaired(ledger.store, compared.differing, names) if repair else None
    if as_json:
        print_json(_as_json(compared, after))
    else:
        _print(compared, len(names or installed()))
        if after is not None and compared.differing:
            _print_repaired(compared, after)
    ctx.exit(1 if (after or compared).differences else 0)


def _make_tables(store: Store) -> None:
    """Tables that are gone, or of other columns, are made again; then every history that they hold differs."""
    if is_running(store):
        raise click.ClickException("A rebuild of this ledger is under way.")
    upgrade_schema(store.database, list(installed().values()))


def _compared(store: Store, streams: Sequence[str], names: Sequence[str]) -> Compared:
    compared = Compared()
    for stream in _with_progress(streams, "Verifying"):
        found = verify_stream(store, stream, names or None, keep=SHOWN)
        compared.streams += 1
        compared.found.merge(found)
        if found.counts:
            compared.differing.append(stream)
    return compared


def _repaired(store: Store, streams: Sequence[str], names: Sequence[str]) -> Compared:
    """What is left of the differences once the streams that have some are folded again."""
    for stream in _with_progress(streams, "Mending"):
        mend(store, stream)
    return _compared(store, streams, names)


def _with_progress(streams: Sequence[str], doing: str) -> Iterable[str]:
    """The streams, with a bar on standard error while that is a terminal."""
    if not sys.stderr.isatty():
        return streams
    return track(streams, doing, console=Console(stderr=True), transient=True)


def _as_json(compared: Compared, after: Compared | None) -> dict[str, Any]:
    found = {"streams": compared.streams, **_found(compared)}
    if after is not None:
        found |= {"mended": _mended(compared, after), "left": _found(after)}
    return found


def _found(compared: Compared) -> dict[str, Any]:
    return {
        "differences": compared.differences,
        "projections": dict(sorted(compared.found.counts.items())),
        "first": [_described(each) for each in compared.found.first],
    }


def _mended(compared: Compared, after: Compared) -> list[str]:
    return [stream for stream in compared.differing if stream not in after.differing]


def _described(difference: Difference) -> dict[str, Any]:
    project, environment = _place(difference.stream)
    return {"project": project, "environment": environment, **asdict(difference)}


def _place(stream: str) -> tuple[str | None, str | None]:
    """Project and environment of a stream, where it is of one."""
    _, *names = stream.split("/", 2)
    project, environment = (*names, None, None)[:2]
    return project, environment


def _print(compared: Compared, projections: int) -> None:
    _print_first(compared)
    where = f"{counted(compared.streams, 'stream')}, {counted(projections, 'projection')}"
    if not compared.differences:
        click.echo(f"No differences in {where}")
        return
    of_each = ", ".join(f"{name} {count}" for name, count in sorted(compared.found.counts.items()))
    click.echo(f"{counted(compared.differences, 'difference')} in {where}: {of_each}")


def _print_repaired(compared: Compared, after: Compared) -> None:
    for stream in _mended(compared, after):
        click.echo(f"Mended: {shown(stream)}")
    if after.differences:
        click.echo()
        _print_first(after)
        click.echo(f"{counted(after.differences, 'difference')} left; `projections status` says what is in the way.")
    else:
        click.echo("No differences are left.")


def _print_first(compared: Compared) -> None:
    rows = [
        (*_place(each.stream), each.projection, each.key, each.column, each.live, each.folded)
        for each in compared.found.first
    ]
    if not rows:
        return
    print_table(("PROJECT", "ENVIRONMENT", "PROJECTION", "KEY", "COLUMN", "LIVE", "FOLDED"), rows)
    if compared.differences > len(rows):
        click.echo(f"and {compared.differences - len(rows)} more")
    click.echo()
