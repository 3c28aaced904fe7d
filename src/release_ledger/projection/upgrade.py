"""`release-ledger upgrade`: the schema, then every stream whose read models are not complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from ..store import Store, open_store
from ..store.codec import UnknownTopic
from ..store.store import head_of, stream_names
from ..store.upgrade import upgrade_schema
from .installed import installed, relevant, tag
from .mend import mend


def upgrade(url: str, progress: Callable[[str], None] = lambda stream: None) -> int:
    """Make or migrate the tables at this URL; the number of streams made whole. Safe to run twice.

    A stream with an event that only a newer release knows is left as it is, for that release to fold.
    """
    store = open_store(url)
    try:
        upgrade_schema(store.database, list(installed().values()))
        mended = 0
        for stream in list(incomplete(store)):
            progress(stream)
            with suppress(UnknownTopic):
                mended += mend(store, stream)
        return mended
    finally:
        store.close()


def incomplete(store: Store) -> Iterator[str]:
    """The streams whose head does not list every projection that folds them."""
    for stream in stream_names(store, ""):
        folded = head_of(store, stream).folded.split()
        if not all(tag(projection) in folded for projection in relevant(stream)):
            yield stream
