"""What a database holds, looked at without the ledger's own checks: dense, chained, and each request's events once."""

from __future__ import annotations

from collections import defaultdict

from release_ledger.events import DeploymentRequested, Event
from release_ledger.projection import verify
from release_ledger.store import FIRST_DIGEST, Store
from release_ledger.store.chain import digest
from release_ledger.store.codec import decode
from release_ledger.store.store import events_after, head_of, stream_names


def events_of(store: Store) -> dict[str, list[Event]]:
    """The events of every stream, oldest first."""
    return {stream: [decode(stream, row) for row in events_after(store, stream)] for stream in stream_names(store, "")}


def by_request(store: Store) -> dict[str, list[Event]]:
    """The events that each request recorded."""
    found: dict[str, list[Event]] = defaultdict(list)
    for events in events_of(store).values():
        for event in events:
            found[event.request_id].append(event)
    return found


def assert_whole(store: Store) -> None:
    """Versions and deployment numbers are dense, moments go forward, the chain is right, live rows are the folded."""
    for stream, events in events_of(store).items():
        assert [event.originator_version for event in events] == list(range(1, len(events) + 1))
        numbers = [event.number for event in events if isinstance(event, DeploymentRequested)]
        assert numbers == list(range(1, len(numbers) + 1))
        moments = [event.recorded_at for event in events]
        assert moments == sorted(moments)
        assert_chained(store, stream)
    assert {stream: found for stream, found in verify(store) if found} == {}


def assert_chained(store: Store, stream: str) -> None:
    """Each digest is made of the one before it, and the head knows the last."""
    previous, version = FIRST_DIGEST, 0
    for row in events_after(store, stream):
        version = row["version"]
        previous = digest(
            previous,
            stream=stream,
            version=version,
            topic=row["topic"],
            recorded_at=row["recorded_at"],
            state=bytes(row["state"]),
        )
        assert bytes(row["digest"]) == previous, (stream, version)
    head = head_of(store, stream)
    assert (head.version, head.digest) == (version, previous)
