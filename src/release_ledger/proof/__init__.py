"""The proof that nobody edited the history: chains recomputed, checkpoints signed, exports that verify elsewhere.

`docs/proof.md` specifies every form; `docs/verify.py` reads an export without any of this.
"""

from .checkpoint import Made, NotSound, make_checkpoint, newest_note
from .note import Checkpoint, NotACheckpoint, parse, public_key, signing_key
from .verification import Finding, Verified, verify

__all__ = [
    "Checkpoint",
    "Finding",
    "Made",
    "NotACheckpoint",
    "NotSound",
    "Verified",
    "make_checkpoint",
    "newest_note",
    "parse",
    "public_key",
    "signing_key",
    "verify",
]
