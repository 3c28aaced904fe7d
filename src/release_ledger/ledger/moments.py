"""Which version of a stream an earlier moment means, and how the stream stood then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select

from ..errors import EnvironmentNotFound, InvalidRequest
from ..store import Head, Source, Statement
from ..store.schema import EVENTS
from ..store.store import as_head
from ..versions import write_moment
from .asking import NotLive, picked
from .selects import HEAD, HEAD_LABELS

_PROBES: Final = 64
_HEAD = Statement(select(*HEAD_LABELS).where(HEAD.c.stream == bindparam("stream")))
_RECORDED = Statement(
    select(EVENTS.c.version, EVENTS.c.recorded_at, EVENTS.c.digest).where(
        EVENTS.c.stream == bindparam("stream"),
        EVENTS.c.version.in_([bindparam(f"version_{place}") for place in range(_PROBES)]),
    )
)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """`as_of` a moment, or `as_of_version`: one of both."""

    at: str | None = None
    version: int | None = None

    @classmethod
    def named(cls, at: str | None, version: int | None) -> Moment | None:
        """The one that is named; None where neither is: now."""
        return cls(at=at, version=version) if at is not None or version is not None else None


class Then(NamedTuple):
    """A stream's head as it is, as it was, and the moment at which a question about that time is evaluated."""

    live: Head
    head: Head
    now: str


def now() -> str:
    """This moment."""
    return write_moment(datetime.now(UTC))


def then_of(source: Source, stream: str, moment: Moment) -> Then | None:
    """How a stream stood; None for one that is not there.

    Raises `InvalidRequest` for what has not come yet, `EnvironmentNotFound` for what was before the first event.
    """
    rows = source.read(_HEAD, {"stream": stream})
    live = as_head(stream, picked(rows[0], "head")) if rows else Head(stream=stream)
    if moment.at is not None and moment.at > max(now(), live.recorded_at):
        raise InvalidRequest(as_of=["Must not be later than now."])
    if not live.version:
        return None
    if moment.version is not None and moment.version > live.version:
        raise InvalidRequest(as_of_version=[f"There is none yet: the newest is {live.version}."])
    version = moment.version if moment.version is not None else newest_by(source, live, moment.at or "")
    if version == 0:
        raise EnvironmentNotFound()
    head = head_at(source, live, version)
    return Then(live, head, moment.at or head.recorded_at)


def head_at(source: Source, live: Head, version: int) -> Head:
    """The head of a stream as it was at a version. Raises `NotLive` where the event is gone."""
    if version == live.version:
        return live
    rows = _probed(source, live.stream, [version])
    if not rows:
        raise NotLive(live.stream, "events")
    ((_, recorded_at, digest),) = rows
    return replace(live, version=version, recorded_at=recorded_at, digest=digest)


def newest_by(source: Source, live: Head, at: str) -> int:
    """The newest version recorded at or before a moment, 0 for none: recorded moments never go back in a stream."""
    if live.recorded_at <= at:
        return live.version
    known, beyond = 0, live.version
    while beyond - known > 1:
        step = -(-(beyond - known) // (_PROBES + 1))
        probed = _probed(source, live.stream, list(range(known + step, beyond, step)))
        if not probed:
            break
        known = max((version for version, recorded_at, _ in probed if recorded_at <= at), default=known)
        beyond = min((version for version, recorded_at, _ in probed if recorded_at > at), default=beyond)
    return known


def _probed(source: Source, stream: str, versions: list[int]) -> list[tuple[int, str, bytes]]:
    """When each of these events was recorded, and its digest."""
    asked = versions + versions[-1:] * (_PROBES - len(versions))
    binds = {f"version_{place}": version for place, version in enumerate(asked)}
    rows = source.read(_RECORDED, {"stream": stream} | binds)
    return [(int(row["version"]), str(row["recorded_at"]), bytes(row["digest"])) for row in rows]
