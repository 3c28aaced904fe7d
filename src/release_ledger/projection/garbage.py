"""How often cycles of objects are looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

COLLECTED_AFTER: Final = 100_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """What a fold makes ends with its last reference: looking for cycles all the time costs a tenth of a rebuild."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECTED_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
