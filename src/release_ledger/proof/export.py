"""A history to take home: JSON Lines with the exact bytes of every event, the leaves, and the newest checkpoint.

`docs/proof.md` specifies the form, `docs/verify.py` reads it. Each stream is as of one moment, at or after the
checkpoint's; no transaction is open while somebody reads slowly.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final

import msgspec

from ..store.database import Database
from ..versions import write_moment
from .note import NotACheckpoint, parse
from .rows import PAGE, Name, Reader
from .verification import Part, refuse_what_is_not_there

FORMAT: Final = "release-ledger-export/1"
_ENCODE: Final = msgspec.json.Encoder().encode


def exported(database: Database, part: Part) -> Iterator[bytes]:
    """The lines of an export. Raises `Refusal` for a part that is not there, before the first line."""
    with closing(Reader(database)) as reader:
        if not any(part.has(stream) for stream, _ in reader.streams()):
            refuse_what_is_not_there(part)
        note = reader.newest_note()
        yield _line(
            line="header",
            format=FORMAT,
            made_at=write_moment(datetime.now(UTC)),
            project=part.project,
            environment=part.environment,
            checkpoint=note,
        )
        leaves = streams = events = 0
        for line in _leaves(reader, note):
            leaves += 1
            yield line
        for stream, _ in reader.streams():
            if part.has(stream):
                streams += 1
                events -= 1  # the line of the stream itself
                for line in _stream(reader, stream):
                    events += 1
                    yield line
        yield _line(line="end", leaves=leaves, streams=streams, events=events)


def _leaves(reader: Reader, note: Any) -> Iterator[bytes]:
    """The leaves that the checkpoint is over, those of other projects too: no root can be computed without them."""
    if note is None:
        return
    try:
        size = parse(note).size
    except NotACheckpoint:
        return
    for position, stream, version, digest in takewhile(lambda leaf: leaf[0] < size, reader.leaves()):
        yield _line(line="leaf", position=position, stream=stream, version=version, digest=_hex(digest))


def _stream(reader: Reader, stream: Name) -> Iterator[bytes]:
    """A stream's head, and its events up to that."""
    head = reader.head(stream)
    version, digest, recorded_at = head or (None, None, None)
    yield _line(line="stream", stream=stream, version=version, digest=_hex(digest), recorded_at=recorded_at)
    page = reader.events(stream)
    while page:
        if isinstance(version, int):
            page = _upto(reader, stream, version, page)
        for row in page:
            yield _event(stream, *row)
        if len(page) < PAGE or not isinstance(page[-1][0], int):
            return
        page = reader.events(stream, page[-1][0] + 1)


def _upto(reader: Reader, stream: Name, version: int, page: list[Any]) -> list[Any]:
    """The events that the head knew; and those that no head knows by now: somebody else added these."""
    last = page[-1][0]
    if isinstance(last, int) and last <= version:
        return page
    now = reader.head(stream)
    known = now[0] if now is not None and isinstance(now[0], int) else version
    return [row for row in page if not (isinstance(row[0], int) and version < row[0] <= known)]


def _event(stream: Name, version: Any, topic: Any, state: Any, recorded_at: Any, digest: Any, position: Any) -> bytes:
    found = {"line": "event", "stream": stream, "version": version, "topic": topic, "recorded_at": recorded_at}
    if isinstance(state, bytes):
        try:
            found["state"] = state.decode()
        except UnicodeDecodeError:
            found["state_base64"] = base64.b64encode(state).decode()
    else:
        found["state"] = {"not_bytes": state}
    return _line(**found, digest=_hex(digest), position=position)


def _hex(digest: Any) -> Any:
    return digest.hex() if isinstance(digest, bytes) else {"not_bytes": digest} if digest is not None else None


def _line(**values: Any) -> bytes:
    for name, value in values.items():
        if isinstance(value, bytes):
            values[name] = {"bytes": value.hex()}
    try:
        return _ENCODE(values) + b"\n"
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return json.dumps(values).encode() + b"\n"
