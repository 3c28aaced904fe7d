"""A checkpoint as it leaves the machine: a C2SP tlog-checkpoint, as a signed note with Ed25519.

https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note; `docs/proof.md` has vectors.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from ..errors import ConfigurationError

ORIGIN: Final = "release-ledger/"
HOW_TO_MAKE_A_KEY: Final = "openssl genpkey -algorithm ed25519 -out FILE"
NOTE_LIMIT_BYTES: Final = 100_000
_ED25519: Final = b"\x01"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE: Final = re.compile(r"— ([^\s+]+) (\S+)")


class NotACheckpoint(ValueError):
    """The text is no checkpoint; the message says where it is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """A line of signature: who signed, the first bytes of a hash of the key, and the signature itself."""

    name: str
    key_hash: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What a note says: of which tree, how many leaves, the root over them, and who signed that."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()

    @property
    def text(self) -> str:
        """The part that is signed."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.more)
        return "".join(f"{line}\n" for line in lines)

    @property
    def note(self) -> str:
        """All of it, as it is published."""
        signed = [
            f"— {each.name} {base64.b64encode(each.key_hash + each.signature).decode()}\n" for each in self.signatures
        ]
        return f"{self.text}\n{''.join(signed)}"


def parse(note: object) -> Checkpoint:
    """The checkpoint in a note, whatever is given as one. Raises `NotACheckpoint`."""
    if not isinstance(note, str) or _CONTROL.search(note) or not _is_unicode(note):
        raise NotACheckpoint("a checkpoint is text without control characters")
    text, blank, signed = note.partition("\n\n")
    origin, size, root, *more = [*text.split("\n"), "", ""]
    if not origin or not blank:
        raise NotACheckpoint("a checkpoint is an origin, a size and a root, then an empty line, then signatures")
    if not _NUMBER.fullmatch(size):
        raise NotACheckpoint("its second line is not a number of leaves")
    found = _decoded(root)
    if len(found) != hashlib.sha256().digest_size:
        raise NotACheckpoint("its third line is not a root, 32 bytes in base64")
    lines = signed.split("\n")
    if lines.pop():
        raise NotACheckpoint("its last line does not end")
    signatures = tuple(_signature(line) for line in lines)
    checkpoint = Checkpoint(origin=origin, size=int(size), root=found, more=tuple(more[:-2]), signatures=signatures)
    if checkpoint.note != note:
        raise NotACheckpoint("it is not written as a checkpoint is")
    return checkpoint


def _signature(line: str) -> Signature:
    found = _SIGNATURE.fullmatch(line)
    both = _decoded(found[2]) if found else b""
    if found is None or len(both) < 5:
        raise NotACheckpoint("a line after the empty one is no signature")
    return Signature(name=found[1], key_hash=both[:4], signature=both[4:])


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def key_hash(name: str, key: Ed25519PublicKey) -> bytes:
    """By which a signature says which key it is of."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.public_bytes_raw()).digest()[:4]


def signed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> Checkpoint:
    """The same with a signature by this key, too; the tree's origin is the name that it signs under."""
    name, public = checkpoint.origin, key.public_key()
    own = Signature(name=name, key_hash=key_hash(name, public), signature=key.sign(checkpoint.text.encode()))
    others = [each for each in checkpoint.signatures if (each.name, each.key_hash) != (name, own.key_hash)]
    return Checkpoint(
        origin=name,
        size=checkpoint.size,
        root=checkpoint.root,
        more=checkpoint.more,
        signatures=(*others, own),
    )


def is_signed_by(checkpoint: Checkpoint, key: Ed25519PublicKey) -> bool | None:
    """Whether the signature of this key is right; None where there is none of it."""
    name = checkpoint.origin
    own = [each for each in checkpoint.signatures if (each.name, each.key_hash) == (name, key_hash(name, key))]
    if not own:
        return None
    try:
        for each in own:
            key.verify(each.signature, checkpoint.text.encode())
    except InvalidSignature:
        return False
    return True


def signing_key(file: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file. Raises `ConfigurationError`."""
    try:
        key = load_pem_private_key(_read(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"{file} holds no Ed25519 private key in PEM without a password; `{HOW_TO_MAKE_A_KEY}` makes one."
        )
    return key


def public_key(file: Path) -> Ed25519PublicKey:
    """The public key in a PEM file, or that of the private key in it. Raises `ConfigurationError`."""
    content = _read(file)
    if b"PRIVATE KEY" in content:
        return signing_key(file).public_key()
    try:
        key = load_pem_public_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{file} holds no Ed25519 public key in PEM; `openssl pkey -pubout` writes one.")
    return key


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(NOTE_LIMIT_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
