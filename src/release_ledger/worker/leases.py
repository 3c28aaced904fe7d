"""Leases: which worker carries out which wish, so that no two do. A worker that dies loses its own within seconds.

A worker renews its leases as long as it lives, also those of wishes that wait to be tried again: so what a dead one
waited for is tried at once. `calling_since` is noted before a call and removed once its result is recorded: where it
is left, the call may have reached its end without anybody knowing. A lease with such a note is deleted only once a
result of its wish is recorded; a later wish of the same key (a candidate's next build) does not inherit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import text

from ..ledger.outbox_questions import Wish
from ..store import Statement, Store

LEASE_S: Final = 5.0
_NOW: Final = {
    "postgresql": "extract(epoch FROM clock_timestamp())::double precision",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}
_OURS: Final = """
    stream = :of_stream AND kind = :of_kind AND number = :of_number AND wanted_version = :of_version
    AND worker = :worker
"""
_SQL: Final = {
    "take": """
        INSERT INTO outbox_leases AS known (stream, kind, number, worker, until, wanted_version)
        VALUES (:of_stream, :of_kind, :of_number, :worker, $now + :lease_s, :of_version)
        ON CONFLICT (stream, kind, number) DO UPDATE
        SET worker = excluded.worker, until = excluded.until, wanted_version = excluded.wanted_version,
            calling_since = CASE WHEN coalesce(known.wanted_version, excluded.wanted_version) = excluded.wanted_version
                                 THEN known.calling_since END
        WHERE known.until < $now OR (known.worker = excluded.worker AND known.kind <> 'watch')
        RETURNING $now - calling_since AS calling_for
        """,
    "renew": "UPDATE outbox_leases SET until = $now + :lease_s WHERE worker = :worker",
    "call": """
        UPDATE outbox_leases SET calling_since = $now, until = $now + :lease_s
        WHERE $ours AND until > $now
        RETURNING 1 AS held
        """,
    "settle": "UPDATE outbox_leases SET calling_since = NULL WHERE $ours",
    "done": "DELETE FROM outbox_leases WHERE $ours",
    "stop": "UPDATE outbox_leases SET until = 0 WHERE worker = :worker",
    "forget": "DELETE FROM outbox_leases WHERE kind = 'watch' AND until < $now - 3600",
}


class Key(NamedTuple):
    """Of a wish: its stream, kind and number, and the version at which it was wished."""

    stream: str
    kind: str
    number: int
    version: int = 0


def key_of(wish: Wish) -> Key:
    return Key(wish.stream, wish.kind, wish.number, wish.wanted_version)


class Leases:
    """The leases of one worker."""

    def __init__(self, store: Store, worker: str, lease_s: float = LEASE_S) -> None:
        self._store, self._worker, self._lease_s = store, worker, lease_s
        meant = {"$ours": _OURS, "$now": _NOW[store.database.dialect.name]}
        self._sql = {what: Statement(text(_filled(sql, meant))) for what, sql in _SQL.items()}

    def take(self, key: Key) -> tuple[bool, float | None]:
        """Whether the lease is this worker's now, and for how many seconds a call has been without a known result."""
        found = self._store.read(self._sql["take"], self._of(key) | {"lease_s": self._lease_s})
        return (True, found[0]["calling_for"]) if found else (False, None)

    def take_turn(self, key: Key, seconds: float) -> bool:
        """Whether nobody had this turn for so many seconds; it is this worker's then."""
        return bool(self._store.read(self._sql["take"], self._of(key) | {"worker": f"turn {key}", "lease_s": seconds}))

    def renew(self) -> None:
        """Keep all leases."""
        self._store.write(self._sql["renew"], {"worker": self._worker, "lease_s": self._lease_s})

    def calling(self, key: Key) -> bool:
        """Note that a call begins now, within the lease; False where it has gone to another: do not call."""
        return bool(self._store.read(self._sql["call"], self._of(key) | {"lease_s": self._lease_s}))

    def settled(self, key: Key) -> None:
        """Note that nothing came of the call, for certain."""
        self._store.write(self._sql["settle"], self._of(key))

    def done(self, key: Key) -> None:
        """Delete the lease: what came of the wish is recorded."""
        self._store.write(self._sql["done"], self._of(key))

    def forget_turns(self) -> None:
        """Forget the turns of runs that nobody looks at any more."""
        self._store.write(self._sql["forget"], {})

    def stop(self) -> None:
        """Let others take all of them at once."""
        self._store.write(self._sql["stop"], {"worker": self._worker})

    def _of(self, key: Key) -> dict[str, object]:
        named = {"of_stream": key.stream, "of_kind": key.kind, "of_number": key.number, "of_version": key.version}
        return named | {"worker": self._worker}


def _filled(sql: str, meant: Mapping[str, str]) -> str:
    for name, meaning in meant.items():
        sql = sql.replace(name, meaning)
    return sql
