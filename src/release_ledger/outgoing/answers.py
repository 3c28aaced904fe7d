"""What comes of a call: an answer, or trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """What came back; `headers` are found in any case, `body` is bounded by the caller, 1 MiB else."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Trouble(Exception):
    """No answer that can be used. The message is one sentence and shows nothing of a URL but its origin.

    `final`: trying again cannot help. `maybe_done`: the request may have reached them. `retry_after_s`: they asked
    for this pause. `refused`: only somebody who gives us the right to it can help.
    """

    def __init__(
        self,
        message: str,
        *,
        final: bool = False,
        maybe_done: bool = False,
        retry_after_s: float | None = None,
        refused: bool = False,
    ) -> None:
        super().__init__(message)
        self.message, self.final, self.maybe_done, self.retry_after_s = message, final, maybe_done, retry_after_s
        self.refused = refused
