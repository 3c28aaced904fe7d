"""The Merkle tree of RFC 6962 (section 2.1): the one root of a list of leaves that only grows.

Kept as the roots of its complete subtrees, at most one a size: any number of leaves, 64 hashes of memory.
"""

from __future__ import annotations

import hashlib

_LEAF = b"\0"
_NODE = b"\1"


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(_LEAF + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return hashlib.sha256(_NODE + left + right).digest()


class Tree:
    """A tree that grows by one leaf at a time."""

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []  # the largest first: one for each bit of the size

    def append(self, leaf: bytes) -> None:
        """Add an entry."""
        root, size = leaf_hash(leaf), self.size
        while size & 1:
            root = node_hash(self._subtrees.pop(), root)
            size >>= 1
        self._subtrees.append(root)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The hash over all entries so far; of none, SHA-256 of nothing."""
        if not self._subtrees:
            return hashlib.sha256().digest()
        *others, root = self._subtrees
        for left in reversed(others):
            root = node_hash(left, root)
        return root
