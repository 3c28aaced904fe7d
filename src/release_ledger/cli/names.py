"""The projections that a command names."""

from __future__ import annotations

from collections.abc import Iterable

import click

from ..projection import installed


def check_names(names: Iterable[str]) -> None:
    """Wrong usage where one of them is not installed."""
    unknown = [name for name in names if name not in installed()]
    if unknown:
        raise click.BadParameter(
            f"there is no projection {', '.join(unknown)}; there are {', '.join(installed())}.", param_hint="NAME"
        )
