"""`release-ledger projections verify`: the read models compared with the history, and mended where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from ..projection import Difference, installed, mend
from ..projection.alone import RebuildRunning, Seat, alone
from ..projection.strays import remove_strays
from ..projection.upgrade import damaged_tables, make_lost_tables
from ..projection.verify import Found, strange, verifiable, verify_stream
from ..store import Store
from .names import check_names
from .opening import open_ledger
from .output import SHOWN, as_json, counted, print_json, print_table, say, shown
from .progress import progress


@dataclass
class Compared:
    """How many streams were compared, what was found, and in which of them.

    `strange` are streams that are not there, and of which there are rows. `tables` says by projection what is not as
    declared; None where nobody may compare them.
    """

    streams: int = 0
    found: Found = field(default_factory=lambda: Found(SHOWN))
    differing: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    tables: dict[str, list[str]] | None = field(default_factory=dict)

    @property
    def differences(self) -> int:
        return self.found.counts.total()

    @property
    def is_sound(self) -> bool:
        return not self.differences and not self.tables


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--repair", is_flag=True, help="Fold the histories that differ again, and compare these once more.")
@as_json
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...], repair: bool, as_json: bool) -> None:
    """Fold the history again and compare it with the live rows, of all projections or of those named.

    Names the first 20 differences: project, environment, projection, key, column, the live value and the folded one.
    Exit status 1 when there is one, or when a table is not as it was made; with --repair, when one is left afterwards.
    Writes may go on meanwhile. A history with an event of a newer release is named and not compared.
    """
    check_names(names)
    with open_ledger() as ledger:
        if repair:
            _make_tables(ledger.store)
        compared = _compared(ledger.store, verifiable(ledger.store, names or None), names)
        after = _repaired(ledger.store, compared, names) if repair else None
    if as_json:
        print_json(_as_json(compared, after))
    else:
        _print(compared, len(names or installed()))
        if after is not None and compared.differences:
            _print_repaired(compared, after)
    ctx.exit(0 if (after or compared).is_sound else 1)


def _make_tables(store: Store) -> None:
    """Tables that are gone or damaged are made again; then every history that they hold differs."""
    with _alone(store) as seat:
        make_lost_tables(seat, say)


@contextmanager
def _alone(store: Store) -> Iterator[Seat]:
    try:
        with alone(store.database, wait=False) as seat:
            yield seat
    except RebuildRunning:
        raise click.ClickException("A rebuild of this ledger is under way.") from None


def _compared(store: Store, streams: Sequence[str], names: Sequence[str]) -> Compared:
    compared = Compared(tables=damaged_tables(store, names or None))
    for stream in _with_progress(streams, "Verifying"):
        found = verify_stream(store, stream, names or None, keep=SHOWN)
        compared.streams += 1
        compared.found.merge(found)
        if found.counts:
            compared.differing.append(stream)
    for difference in strange(store, names or None):
        compared.found.add(difference)
        compared.strange.append(difference.stream)
    return compared


def _repaired(store: Store, compared: Compared, names: Sequence[str]) -> Compared:
    """What is left of the differences once the streams that have some are folded again."""
    if compared.strange:
        with _alone(store) as seat:
            remove_strays(seat)
    for stream in _with_progress(compared.differing, "Mending"):
        mend(store, stream)
    return _compared(store, compared.differing, names)


def _with_progress(streams: Sequence[str], doing: str) -> Iterator[str]:
    """The streams, and how far it is with them."""
    with progress(doing, len(streams), "streams") as advanced:
        for stream in streams:
            yield stream
            advanced(1)


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
        "newer": compared.found.newer,
        "tables": compared.tables,
    }


def _mended(compared: Compared, after: Compared) -> list[str]:
    mended = [stream for stream in compared.differing if stream not in after.differing]
    return mended + sorted(set(compared.strange) - set(after.strange))


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
    for stream in compared.found.newer:
        click.echo(f"{shown(stream)} is of a newer release, and was not compared.")
    _print_tables(compared.tables)
    where = f"{counted(compared.streams, 'stream')}, {counted(projections, 'projection')}"
    if not compared.differences:
        click.echo(f"No differences in {where}")
        return
    of_each = ", ".join(f"{name} {count}" for name, count in sorted(compared.found.counts.items()))
    click.echo(f"{counted(compared.differences, 'difference')} in {where}: {of_each}")


def _print_tables(tables: dict[str, list[str]] | None) -> None:
    if tables is None:
        click.echo("Whether the tables are as they were made cannot be seen by whoever may only read.")
    for name, unlike in sorted((tables or {}).items()):
        click.echo(f"The table of {name} is not as it was made: {shown(unlike)}.")
    if tables:
        click.echo("`release-ledger projections rebuild` makes it again.")


def _print_repaired(compared: Compared, after: Compared) -> None:
    for stream in _mended(compared, after):
        click.echo(f"Mended: {shown(stream)}")
    if after.differences:
        click.echo()
        _print_first(after)
        click.echo(f"{counted(after.differences, 'difference')} left; `projections status` says what is in the way.")
    else:
        click.echo("No differences are left.")


def _told_apart(live: Any, folded: Any) -> tuple[Any, Any]:
    """Both values; as Python writes them where they would look the same (6 and the text 6)."""
    return (repr(live), repr(folded)) if shown(live) == shown(folded) else (live, folded)


def _print_first(compared: Compared) -> None:
    rows = []
    for each in compared.found.first:
        project, environment = _place(each.stream)
        where = (project or each.stream, environment)
        rows.append((*where, each.projection, each.key, each.column, *_told_apart(each.live, each.folded)))
    if not rows:
        return
    print_table(("PROJECT", "ENVIRONMENT", "PROJECTION", "KEY", "COLUMN", "LIVE", "FOLDED"), rows)
    if compared.differences > len(rows):
        click.echo(f"and {compared.differences - len(rows)} more")
    click.echo()
