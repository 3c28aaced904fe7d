"""Making a checkpoint: a leaf for each stream that moved, the root over all leaves, a note that says so.

One at a time: PostgreSQL by an advisory lock, SQLite because there is one writer. Older leaves are hashed before that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import bindparam, func, select, update

from ..errors import LedgerUnavailable
from ..store import Statement, Store
from ..store.database import Database
from ..store.schema import CHECKPOINT_LEAVES, CHECKPOINTS, STREAMS
from ..store.statement import Cursor
from ..store.transaction import insert_row
from ..versions import write_moment
from .merkle import Tree
from .note import Checkpoint, NotACheckpoint, is_signed_by, parse, signed
from .rows import PAGE, Reader
from .tree import DIGEST_BYTES, grow, leaf_of, origin_of

_KEY: Final = 0x72656C6E  # of the advisory lock; the next one to that of a rebuild
WAITS_S: Final = 60.0
ASK_AGAIN_S: Final = 0.05

_last = (
    select(func.max(CHECKPOINT_LEAVES.c.position))
    .where(CHECKPOINT_LEAVES.c.stream == STREAMS.c.stream)
    .correlate(STREAMS)
    .scalar_subquery()
)
_leaf = CHECKPOINT_LEAVES.c
_MOVED: Final = Statement(
    select(STREAMS.c.stream, STREAMS.c.version, STREAMS.c.digest, _leaf.version, _leaf.digest)
    .select_from(STREAMS.outerjoin(CHECKPOINT_LEAVES, _leaf.position == _last))
    .where(
        STREAMS.c.stream > bindparam("after"),
        STREAMS.c.version.is_distinct_from(_leaf.version) | STREAMS.c.digest.is_distinct_from(_leaf.digest),
    )
    .order_by(STREAMS.c.stream)
    .limit(bindparam("limit"))
)
_LEAVES: Final = Statement(
    select(CHECKPOINT_LEAVES)
    .where(_leaf.position >= bindparam("first"))
    .order_by(_leaf.position)
    .limit(bindparam("limit"))
)
_GONE: Final = Statement(
    select(_leaf.stream)
    .select_from(CHECKPOINT_LEAVES.outerjoin(STREAMS, STREAMS.c.stream == _leaf.stream))
    .where(STREAMS.c.stream.is_(None))
    .limit(1)
)
_NEWEST: Final = Statement(select(CHECKPOINTS).order_by(CHECKPOINTS.c.size.desc()).limit(1))
_SET_NOTE: Final = Statement(
    update(CHECKPOINTS).where(CHECKPOINTS.c.size == bindparam("of_size")).values(note=bindparam("note"))
)


class NotSound(Exception):
    """What is there is not what was signed before: nothing new is signed over it. The message says what."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A checkpoint and how many leaves are new in it."""

    checkpoint: Checkpoint
    leaves: int


def newest_note(store: Store) -> str | None:
    """The note of the newest checkpoint; None while there is none."""
    return next((str(row["note"]) for row in store.read(_NEWEST, {})), None)


def make_checkpoint(store: Store, key: Ed25519PrivateKey | None) -> Made | None:
    """Make a checkpoint of the heads as they are at one moment; where none moved, the newest again. None: no events.

    Raises `NotSound`, `LedgerUnavailable`.
    """
    database, tree, origin = store.database, Tree(), ""
    with closing(Reader(database)) as reader:
        try:
            for _, leaf in grow(tree, reader.leaves()):
                origin = origin or origin_of(leaf)
        except ValueError as error:
            raise NotSound(str(error)) from None
    with _alone(database) as cursor:
        return _Making(database, cursor, tree, origin).made(key)


@contextmanager
def _alone(database: Database) -> Iterator[Cursor]:
    """One transaction that sees one state of the streams, when no other checkpoint is being made."""
    if not database.is_postgresql:
        with database.transaction(write=True) as cursor:
            yield cursor
        return
    with database.cursor() as cursor:
        give_up_at = time.monotonic() + WAITS_S
        while not cursor.execute("SELECT pg_try_advisory_lock($1)", [_KEY]).fetchall()[0][0]:
            if time.monotonic() > give_up_at:
                raise LedgerUnavailable(reason="another checkpoint is being made")
            time.sleep(ASK_AGAIN_S)
        try:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(Exception):
                cursor.execute("ROLLBACK")
            raise
        finally:
            with suppress(Exception):
                cursor.execute("SELECT pg_advisory_unlock($1)", [_KEY])


class _Making:
    """One checkpoint, inside its transaction."""

    def __init__(self, database: Database, cursor: Cursor, tree: Tree, origin: str) -> None:
        self._dialect, self._cursor = database.dialect, cursor
        self._tree, self._origin = tree, origin

    def made(self, key: Ed25519PrivateKey | None) -> Made | None:
        before = self._before()
        for gone in self._rows(_GONE):
            raise NotSound(f"{gone['stream']} was signed before, and is not there")
        leaves = self._add_leaves()
        if not self._tree.size:
            return None
        if before is not None and not leaves:
            return Made(checkpoint=self._signed_again(before, key), leaves=0)
        checkpoint = Checkpoint(origin=self._origin, size=self._tree.size, root=self._tree.root)
        checkpoint = signed(checkpoint, key) if key else checkpoint
        row = {
            "size": checkpoint.size,
            "root": checkpoint.root,
            "note": checkpoint.note,
            "made_at": write_moment(datetime.now(UTC)),
        }
        insert_row(CHECKPOINTS).execute(self._cursor, self._dialect, row)
        return Made(checkpoint=checkpoint, leaves=leaves)

    def _before(self) -> Checkpoint | None:
        """The newest checkpoint; what others added to the tree meanwhile is added here, too."""
        while page := self._rows(_LEAVES, first=self._tree.size, limit=PAGE):
            rows = ((row["position"], row["stream"], row["version"], row["digest"]) for row in page)
            try:
                for _, leaf in grow(self._tree, rows):
                    self._origin = self._origin or origin_of(leaf)
            except ValueError as error:
                raise NotSound(str(error)) from None
        newest = next(iter(self._rows(_NEWEST)), None)
        noted = (newest["size"], newest["root"]) if newest else (0, Tree().root)
        if noted != (self._tree.size, self._tree.root):
            raise NotSound("the leaves are not those that the newest checkpoint was made of")
        return self._said(newest["note"]) if newest else None

    def _said(self, note: object) -> Checkpoint:
        """What the newest note says: nothing but the tree, since it may be signed again."""
        try:
            checkpoint = parse(note)
        except NotACheckpoint as error:
            raise NotSound(f"the newest note is none: {error}") from None
        said = (checkpoint.origin, checkpoint.size, checkpoint.root, checkpoint.more)
        if said != (self._origin, self._tree.size, self._tree.root, ()):
            raise NotSound("the newest note does not say what its leaves do")
        return checkpoint

    def _add_leaves(self) -> int:
        """A leaf for each stream that moved; how many these are."""
        before, after = self._tree.size, ""
        while page := self._values(_MOVED, after=after, limit=PAGE):
            for stream, version, digest, last_version, _ in page:
                if type(version) is not int or type(digest) is not bytes or len(digest) != DIGEST_BYTES:
                    raise NotSound(f"the head of {stream} is not a version and a digest")
                if last_version is not None and version <= last_version:
                    raise NotSound(f"{stream} is at version {version}, and is not what it was at {last_version} before")
                leaf = leaf_of(stream, version, digest)
                self._origin = self._origin or origin_of(leaf)
                row = {"position": self._tree.size, "stream": stream, "version": version, "digest": digest}
                insert_row(CHECKPOINT_LEAVES).execute(self._cursor, self._dialect, row)
                self._tree.append(leaf)
                after = stream
        return self._tree.size - before

    def _signed_again(self, newest: Checkpoint, key: Ed25519PrivateKey | None) -> Checkpoint:
        """The newest checkpoint with this key's signature: there was no key when it was made, or another one."""
        if key is None or is_signed_by(newest, key.public_key()):
            return newest
        newest = signed(newest, key)
        _SET_NOTE.execute(self._cursor, self._dialect, {"of_size": newest.size, "note": newest.note})
        return newest

    def _rows(self, statement: Statement, **params: Any) -> list[dict[str, Any]]:
        return statement.rows(self._cursor, self._dialect, params)

    def _values(self, statement: Statement, **params: Any) -> list[Any]:
        statement.execute(self._cursor, self._dialect, params)
        return self._cursor.fetchall()
