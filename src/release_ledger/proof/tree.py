"""The tree of checkpoints: its leaves, the roots over them, the notes, and one that was carried away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..store import canonical
from .chains import Wrong
from .merkle import Tree, leaf_hash
from .note import ORIGIN, Checkpoint, NotACheckpoint, is_signed_by, parse
from .rows import Reader

_NONE: Final = (None, None, None)
DIGEST_BYTES: Final = 32


@dataclass
class TreeChecked:
    """What came of the tree; `signed` are the notes whose signature was checked and is right."""

    leaves: int = 0
    checkpoints: int = 0
    signed: int = 0
    wrong: list[Wrong] = field(default_factory=list)

    def say(self, word: str, what: str) -> None:
        self.wrong.append(Wrong(None, word, what))


def leaf_of(stream: str, version: int, digest: bytes) -> bytes:
    """The entry of a stream that stood at this version. Raises `NotCanonical`."""
    return canonical([stream, version, digest.hex()])


def origin_of(first_leaf: bytes) -> str:
    """The name of a tree: its first leaf's, which no other ledger has."""
    return ORIGIN + leaf_hash(first_leaf).hex()[:16]


def grow(tree: Tree, leaves: Iterator[Any]) -> Iterator[tuple[int, bytes]]:
    """Add rows of leaves to a tree as they come: its size then, and the leaf. Raises ValueError for one that cannot."""
    for position, stream, version, digest in leaves:
        if position != tree.size:
            raise ValueError(f"leaf {tree.size} is not there; the next one is {position!r}")
        is_digest = type(digest) is bytes and len(digest) == DIGEST_BYTES
        if not isinstance(stream, str) or type(version) is not int or not is_digest:
            raise ValueError(f"leaf {position} is not a stream, a version and a digest")
        leaf = leaf_of(stream, version, digest)
        tree.append(leaf)
        yield tree.size, leaf


def check_tree(reader: Reader, against: Checkpoint | None, key: Ed25519PublicKey | None) -> TreeChecked:
    """All leaves and all checkpoints, as of one moment; and the checkpoint that was carried away."""
    with reader.snapshot():
        return _TreeCheck(reader, against, key).checked()


class _TreeCheck:
    """The tree, on its way from its first leaf to its last."""

    def __init__(self, reader: Reader, against: Checkpoint | None, key: Ed25519PublicKey | None) -> None:
        self._leaves, self._checkpoints = reader.leaves(), reader.checkpoints()
        self._against, self._key = against, key
        self._found, self._origin = TreeChecked(), ""
        self._tree = Tree()
        self._due = next(self._checkpoints, _NONE)
        self._last_size = 0
        self._unsigned, self._is_signing = "", False  # the note without the key's signature that no signed one follows

    def checked(self) -> TreeChecked:
        """What came of it."""
        try:
            self._compare(0)
            for size, leaf in grow(self._tree, self._leaves):
                self._origin = self._origin or origin_of(leaf)
                self._compare(size)
        except ValueError as error:
            self._found.say("leaf", str(error))
            return self._told()
        if self._due[0] is not None:
            self._found.say("cut off", f"a checkpoint is of {self._due[0]} leaves, and {self._tree.size} are there")
        elif self._tree.size > self._last_size:
            self._found.say("inserted", f"leaf {self._last_size} and what follows it belong to no checkpoint")
        return self._told()

    def _told(self) -> TreeChecked:
        self._found.leaves = self._tree.size
        if self._unsigned:
            self._found.say("signature", f"{self._unsigned} is the newest, and is not signed with this key")
        if self._against is not None:
            self._compare_origin(self._against, "the checkpoint that was carried away")
            if self._against.size > self._tree.size:
                what = f"the checkpoint that was carried away is of {self._against.size} leaves"
                self._found.say("cut off", f"{what}, and {self._tree.size} are there")
            self._check_signature(self._against, "the checkpoint that was carried away")
        return self._found

    def _compare(self, size: int) -> None:
        """The checkpoints of just this size."""
        if self._against is not None and self._against.size == size and self._against.root != self._tree.root:
            what = f"the first {size} leaves do not have the root of the checkpoint that was carried away"
            self._found.say("checkpoint", what)
        while self._due[0] is not None and (not isinstance(self._due[0], int) or self._due[0] <= size):
            self._compare_stored(size, *self._due)
            self._due = next(self._checkpoints, _NONE)

    def _compare_stored(self, size: int, noted: Any, root: Any, note: Any) -> None:
        self._found.checkpoints += 1
        name = f"the checkpoint of {noted!r} leaves"
        self._last_size = size
        if noted != size or root != self._tree.root:
            self._found.say("checkpoint", f"{name}: the leaves have another root")
            return
        try:
            checkpoint = parse(note)
        except NotACheckpoint:
            checkpoint = None
        if checkpoint is None or (checkpoint.size, checkpoint.root, checkpoint.more) != (size, root, ()):
            self._found.say("checkpoint", f"{name}: its note does not say what was noted")
            return
        self._compare_origin(checkpoint, name)
        if self._key is None:
            return
        if self._check_signature(checkpoint, name) is not None:
            self._unsigned, self._is_signing = "", True
        elif self._is_signing:
            self._found.say("signature", f"{name} is not signed with this key, and one before it is")
        else:
            self._unsigned = name

    def _compare_origin(self, checkpoint: Checkpoint, name: str) -> None:
        if checkpoint.origin != self._origin:
            what = f"{name} is of the tree {checkpoint.origin}, and this one is {self._origin or 'empty'}"
            self._found.say("checkpoint", what)

    def _check_signature(self, checkpoint: Checkpoint, name: str) -> bool | None:
        is_right = None if self._key is None else is_signed_by(checkpoint, self._key)
        self._found.signed += bool(is_right)
        if is_right is False:
            self._found.say("signature", f"{name}: its signature is wrong")
        elif is_right is None and self._key is not None and checkpoint is self._against:
            self._found.say("signature", f"{name} is not signed with this key")
        return is_right
