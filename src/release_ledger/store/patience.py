"""A connection to PostgreSQL that does not wait for ever.

The server bounds what it does itself (`statement_timeout`), the kernel what nobody acknowledges (`tcp_user_timeout`).
A proxy that hangs, or a server that is stopped, acknowledges everything and answers nothing.
"""

from __future__ import annotations

import select
import time
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen

SILENCE_S: Final = 11.0  # longer than `statement_timeout`: a server that is there speaks first
T = TypeVar("T")


class PatientConnection(psycopg.Connection[Any]):
    """Waits `SILENCE_S` for an answer; then it is closed, and OperationalError raised as for one that was lost."""

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        return super().wait(self._bounded(gen), *args, **kwargs)

    @property
    def was_ended(self) -> bool:
        """Whether the server spoke unasked, or hung up, between two uses: what is sent then would be in doubt."""
        heard = select.poll()
        heard.register(self.fileno(), select.POLLIN)
        return bool(heard.poll(0))

    def _bounded(self, exchange: PQGen[T]) -> PQGen[T]:
        give_up_at = time.monotonic() + SILENCE_S
        try:
            wanted = next(exchange)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > give_up_at:
                    self.close()
                    raise psycopg.OperationalError(f"no answer for {SILENCE_S} s")
                wanted = exchange.send(ready)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return] # a T, as it is a PQGen[T]
