"""The SELECTs of what was: snapshots, the events since, running periods by the versions that they began at."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from ..events import ReleaseCandidateCut
from ..projections import environments
from ..projections.deployments import Deployments
from ..projections.running_periods import RunningPeriods
from ..store import Statement
from ..store.schema import EVENTS
from .asking import here, labelled

E, D, R = environments.Environments.table, Deployments.table, RunningPeriods.table
_EVENTS = select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state).where(
    EVENTS.c.stream == bindparam("of_stream"), EVENTS.c.version <= bindparam("upto")
)
_PERIODS = select(*labelled(R, "period")).where(*here(R, "of_stream"))

SNAPSHOT = Statement(
    select(*labelled(E, "environment")).where(*here(E, "of_stream"), E.c.slot == bindparam("slot")).limit(1)
)
EVENTS_BETWEEN = Statement(_EVENTS.where(EVENTS.c.version > bindparam("after")).order_by(EVENTS.c.version))
BY_ID = Statement(select(*labelled(D, "deployment")).where(*here(D, "of_stream"), D.c.id == bindparam("id")).limit(1))
NEWEST_PERIOD = Statement(
    _PERIODS.where(R.c.from_version <= bindparam("upto")).order_by(R.c.from_version.desc()).limit(1)
)
PERIODS = Statement(
    _PERIODS.where(R.c.number > bindparam("above"), R.c.number <= bindparam("last")).order_by(R.c.number)
)
BEGUN = Statement(
    _PERIODS.where(R.c.reported_from < bindparam("before"), R.c.number < bindparam("newest"))
    .order_by(R.c.reported_from.desc(), R.c.number.desc())
    .limit(1)
)
# The candidates are numbered in the order in which they were cut: the last one says which were there.
LAST_CUT = Statement(
    _EVENTS.where(EVENTS.c.topic == ReleaseCandidateCut.TOPIC).order_by(EVENTS.c.version.desc()).limit(1)
)


def snapshot_before(version: int) -> int:
    """The version of the snapshot that a state at this version is folded from; 0 for none."""
    return version - version % environments.SNAPSHOT_EVERY
