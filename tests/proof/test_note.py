"""Notes are C2SP's, by the vectors in docs/proof.md and by an implementation of its own."""

import base64
import hashlib
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from release_ledger.errors import ConfigurationError
from release_ledger.proof.merkle import leaf_hash
from release_ledger.proof.note import (
    Checkpoint,
    NotACheckpoint,
    is_signed_by,
    key_hash,
    parse,
    public_key,
    signed,
    signing_key,
)
from release_ledger.proof.tree import leaf_of, origin_of

from .ledgers import _verify_py

DOCUMENT = (Path(__file__).parents[2] / "docs" / "proof.md").read_text()
SECTION = DOCUMENT.partition("### Test vectors of a checkpoint")[2].partition("\n## ")[0]
LEAVES, NOTE, PUBLIC, VKEY = re.findall(r"^```text\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def pem(key: Any, tmp_path: Path, *, public: bool = False) -> Path:
    file = tmp_path / "key.pem"
    if public:
        file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    else:
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def test_the_published_note_is_what_the_document_specifies(tmp_path: Path) -> None:
    """By SHA-256 and Ed25519 alone: leaves, roots, origin, key hash and signature."""
    first, second = LEAVES.splitlines()[0], LEAVES.splitlines()[3]
    hashes = [hashlib.sha256(b"\0" + leaf.encode()).digest() for leaf in (first, second)]
    root = hashlib.sha256(b"\1" + hashes[0] + hashes[1]).digest()
    shown = re.findall(r"^(?:leaf hash|root) +([0-9a-f]{64})$", LEAVES, re.MULTILINE)
    assert shown == [hashes[0].hex(), hashes[0].hex(), hashes[1].hex(), root.hex()]

    text = f"release-ledger/{hashes[0].hex()[:16]}\n2\n{base64.b64encode(root).decode()}\n"
    raw = KEY.public_key().public_bytes_raw()
    four = hashlib.sha256(text.split("\n")[0].encode() + b"\n\x01" + raw).digest()[:4]
    signature = base64.b64encode(four + KEY.sign(text.encode())).decode()

    assert f"{text}\n— {text.partition(chr(10))[0]} {signature}\n" == NOTE
    assert pem(KEY, tmp_path, public=True).read_text() == PUBLIC
    assert f"{text.partition(chr(10))[0]}+{four.hex()}+{base64.b64encode(chr(1).encode() + raw).decode()}\n" == VKEY


def test_our_code_arrives_at_the_published_note() -> None:
    """And so does docs/verify.py."""
    checkpoint = parse(NOTE)
    unsigned = Checkpoint(origin=checkpoint.origin, size=2, root=checkpoint.root)

    assert signed(unsigned, KEY).note == NOTE
    assert is_signed_by(checkpoint, KEY.public_key()) is True
    assert _verify_py().Note(NOTE).is_signed_by(KEY.public_key()) is True
    digest = bytes.fromhex("9573e0276892804de18cc68bce048babcdf853f5b68aeadea658bf814b9f776d")
    assert origin_of(leaf_of("environment/shop/production", 1, digest)) == checkpoint.origin
    assert leaf_hash(LEAVES.splitlines()[0].encode()).hex()[:16] == checkpoint.origin.partition("/")[2]


@pytest.mark.parametrize("at", range(0, 94, 7))
def test_no_byte_of_a_signed_text_can_change(at: int) -> None:
    """Origin, size and root are all under the signature."""
    checkpoint = parse(NOTE)
    text = bytearray(checkpoint.text.encode())
    text[min(at, len(text) - 1)] ^= 1
    lines = text.decode("latin-1").split("\n")
    note = f"{text.decode('latin-1')}\n{NOTE.partition(chr(10) * 2)[2]}"

    for read in (lambda: is_signed_by(parse(note), KEY.public_key()), lambda: _signed_offline(note)):
        with suppress(NotACheckpoint, _verify_py().Unreadable):
            assert not read(), lines


def _signed_offline(note: str) -> Any:
    return _verify_py().Note(note).is_signed_by(KEY.public_key())


def test_keys_are_told_apart() -> None:
    """A note may have several signatures; that of another key is none of ours, and a forged one is wrong."""
    checkpoint = parse(NOTE)
    both = signed(checkpoint, OTHER)

    assert is_signed_by(checkpoint, OTHER.public_key()) is None
    assert [is_signed_by(parse(both.note), key.public_key()) for key in (KEY, OTHER)] == [True, True]
    assert len(signed(both, OTHER).signatures) == 2
    forged = key_hash(checkpoint.origin, OTHER.public_key()) + KEY.sign(checkpoint.text.encode())
    note = f"{checkpoint.text}\n— {checkpoint.origin} {base64.b64encode(forged).decode()}\n"
    assert is_signed_by(parse(note), OTHER.public_key()) is False
    assert _verify_py().Note(note).is_signed_by(OTHER.public_key()) is False


@pytest.mark.parametrize(
    "note",
    [
        "",
        "x",
        "origin\n1\nAAAA\n\n",
        NOTE.replace("\n2\n", "\n02\n"),
        NOTE.replace("\n2\n", "\n-2\n"),
        NOTE.replace("\n2\n", "\n٢\n"),
        NOTE.replace("— ", "- "),
        NOTE[:-1],
        NOTE + "x",
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("=\n\n", "\n\n"),
        NOTE.replace("aCI=", "aCJ="),
        NOTE.replace("aCI=", "aA=="),
        NOTE.replace("— release-ledger/", "— release+ledger/"),
        NOTE.replace("— ", "—  "),
        NOTE.replace("— ", "—\u2028"),
        NOTE + "— name AAAA\n",
        NOTE + "— name AAAAAAA=\u2028",
        NOTE.replace("\n\n", "\n\x1b[2J\n\n"),
        NOTE.replace("\n\n", "\n\ttab\n\n"),
        NOTE.replace("release", "\0"),
        NOTE.replace("release", "\ud800"),
        "\n" + NOTE,
    ],
    ids=ascii,
)
def test_what_is_no_checkpoint_is_refused(note: str) -> None:
    """With a sentence, and never as something else: by the ledger and by docs/verify.py."""
    with pytest.raises(NotACheckpoint):
        parse(note)
    with pytest.raises(_verify_py().Unreadable):
        _verify_py().Note(note)


@given(
    st.text(max_size=300)
    | st.text("— \nAx=0129\x0b\u2028+", max_size=60).map(lambda tail: NOTE[:60] + tail)
    | st.text("— \nAx=0129\x0b\u2028+", max_size=60).map(lambda tail: NOTE + tail)
    | st.tuples(st.integers(0, len(NOTE)), st.text("— \nAI=\x85+", max_size=2)).map(
        lambda put: NOTE[: put[0]] + put[1] + NOTE[put[0] :]
    )
)
def test_both_readers_take_the_same_notes(note: str) -> None:
    """What the ledger reads as a checkpoint, docs/verify.py does, and reads the same in it; and nothing else."""
    try:
        here = parse(note)
    except NotACheckpoint:
        with pytest.raises(_verify_py().Unreadable):
            _verify_py().Note(note)
        return

    there = _verify_py().Note(note)

    assert (there.origin, there.size, there.root, there.text) == (here.origin, here.size, here.root, here.text)
    assert there.signatures == [(each.name, each.key_hash + each.signature) for each in here.signatures]
    assert there.is_plain == (not here.more)


@given(st.text(max_size=300) | st.text("— \nAx=0129", max_size=60).map(lambda tail: NOTE[:60] + tail))
def test_any_text_is_a_checkpoint_or_none(text: str) -> None:
    """Whatever somebody hands in: what is read is written the same again."""
    with suppress(NotACheckpoint):
        assert parse(text).note == text


def test_keys_are_read_from_files(tmp_path: Path) -> None:
    """Private or public, as openssl writes them."""
    made = tmp_path / "made.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(made)], check=True, capture_output=True)
    shown = tmp_path / "public.pem"
    subprocess.run(["openssl", "pkey", "-in", str(made), "-pubout", "-out", str(shown)], check=True)

    assert public_key(shown).public_bytes_raw() == public_key(made).public_bytes_raw()
    assert signing_key(made).public_key().public_bytes_raw() == public_key(shown).public_bytes_raw()


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    """Another kind of key, a public one to sign with, no key at all, no file: each with a sentence."""
    garbage = tmp_path / "garbage"
    garbage.write_text("-----BEGIN PRIVATE KEY-----\n????\n-----END PRIVATE KEY-----\n")
    rsa = pem(generate_private_key(65537, 2048), tmp_path)

    for file, read in ((garbage, signing_key), (garbage, public_key), (rsa, signing_key), (rsa, public_key)):
        with pytest.raises(ConfigurationError, match=r"holds no Ed25519 private key.*openssl genpkey"):
            read(file)
    with pytest.raises(ConfigurationError, match="holds no Ed25519 private key"):
        signing_key(pem(KEY, tmp_path, public=True))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        signing_key(tmp_path / "nowhere")
