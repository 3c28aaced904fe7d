"""How the read models are, for `/readyz` and `/metrics`: asked of the database at most every few seconds.

Rows are not counted here: that takes longer with every deployment. `projections status` does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from flask import current_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..errors import LedgerUnavailable
from ..ledger import Ledger
from ..projection.condition import STATES, Condition, conditions
from ..store import ReadModelBroken

KNOWN_FOR_S: Final = 5.0  # strangers may ask for /readyz as often as they like
_KEY: Final = "read_models"


class _Known(NamedTuple):
    asked_at: float
    conditions: list[Condition]


def known() -> list[Condition]:
    """The condition of each projection, at most `KNOWN_FOR_S` old. Raises `LedgerUnavailable`."""
    found: _Known | None = current_app.extensions.get(_KEY)
    now = time.monotonic()
    if found is None or now - found.asked_at > KNOWN_FOR_S:
        ledger: Ledger = current_app.extensions["ledger"]
        try:
            found = current_app.extensions[_KEY] = _Known(now, conditions(ledger.store))
        except ReadModelBroken as error:
            raise LedgerUnavailable() from error
    return found.conditions


def described(condition: Condition) -> dict[str, Any]:
    """What anybody may know of a projection: no errors, no names of streams."""
    return {
        "state": condition.state,
        "streams": condition.streams,
        "stale": condition.stale,
        "set_aside": condition.set_aside,
    }


class Measures(Collector):
    """The same as gauges. Nothing of it while the database cannot be asked."""

    def collect(self) -> Iterator[Metric]:
        try:
            found = known()
        except LedgerUnavailable:
            return
        name = "release_ledger_projection"
        state = GaugeMetricFamily(f"{name}_state", "1 for the state that it is in.", labels=("projection", "state"))
        for each in found:
            for one in STATES:
                state.add_metric((each.name, one), each.state == one)
        yield state
        yield _gauge(f"{name}_streams", "Histories that it folds.", ((e.name, e.streams) for e in found))
        yield _gauge(f"{name}_stale", "Of these, those answered by folding.", ((e.name, e.stale) for e in found))
        yield _gauge(f"{name}_set_aside", "Of these, those with an error.", ((e.name, e.set_aside) for e in found))


def _gauge(name: str, what: str, values: Iterable[tuple[str, int]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, what, labels=("projection",))
    for projection, value in values:
        gauge.add_metric((projection,), value)
    return gauge
