"""The tree is RFC 6962's: its published vectors, and its definition written out."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from release_ledger.proof.merkle import Tree, leaf_hash

# Of certificate-transparency's own reference implementation: eight leaves, and the root after each.
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def by_the_rfc(leaves: list[bytes]) -> bytes:
    """MTH, as section 2.1 defines it."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + by_the_rfc(leaves[:k]) + by_the_rfc(leaves[k:])).digest()


def test_the_published_vectors() -> None:
    """The root after each leaf, and that of no leaf."""
    tree, roots = Tree(), []
    assert tree.root.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for leaf in LEAVES:
        tree.append(bytes.fromhex(leaf))
        roots.append(tree.root.hex())

    assert tuple(roots) == ROOTS
    assert tree.size == len(LEAVES)
    assert leaf_hash(b"").hex() == ROOTS[0]


@given(st.lists(st.binary(max_size=3), max_size=70))
def test_any_tree_is_the_rfcs(leaves: list[bytes]) -> None:
    """Whatever its size."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)

    assert tree.root == by_the_rfc(leaves)
