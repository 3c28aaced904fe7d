"""Processes that answer requests, replaced whenever they die, as often as that is."""

# mypy: allow-untyped-calls
# granian's own methods have no types.
from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Final

from granian.server.mp import MPServer, WorkerProcess

FALSE_STARTS: Final = 5
"""Processes in a row that ended by themselves before they were well, while no other was: the next one will, too."""

KILLED_STARTS: Final = 100
"""The same for those that were killed (`kill -9`, out of memory): that is somebody else's doing, and may pass."""

PAUSE_LIMIT_S: Final = 1.0
SECOND_SIGNAL_S: Final = 1.0

Load = Callable[[int, Connection], Any]
"""Makes the application in a process. It gets a number that no other process alive has, from 1 on and as small as can
be, and a pipe to which it sends its process id, four bytes, once it is well."""


class SupervisedServer(MPServer):
    """granian's server, which by itself ends when one process dies twice within five seconds."""

    def __init__(self, target: str, **options: Any) -> None:
        super().__init__(target, **options)
        self.gave_up = False
        """It ended because its processes do not start."""
        self._heard, self._tell = Pipe(duplex=False)
        self._well: set[int] = set()
        self._numbers: dict[int, WorkerProcess] = {}
        self._false_starts = self._killed_starts = 0
        self._told_to_stop_at = 0.0

    def signal_handler_interrupt(self, *_: object) -> None:
        """Stop in order; told again, later than a launcher's echo of the same Ctrl-C, at once."""
        if not self.interrupt_signal:
            self._told_to_stop_at = time.monotonic()
        elif time.monotonic() - self._told_to_stop_at > SECOND_SIGNAL_S:
            for worker in list(self.wrks):
                worker.kill()
        super().signal_handler_interrupt()

    def _spawn_worker(  # type: ignore[override] # as granian's own subclass has it
        self, idx: int, target: Any, callback_loader: Load
    ) -> WorkerProcess:
        number = next(n for n in range(1, 10_000) if n not in self._numbers or not self._numbers[n].is_alive())
        worker = super()._spawn_worker(idx, target, partial(callback_loader, number, self._tell))
        self._numbers[number] = worker
        return worker

    def _serve_loop(self, spawn_target: Any, target_loader: Load) -> None:
        while True:
            self.main_loop_interrupt.wait()
            # Before the reasons are looked at: what comes meanwhile sets it again, and is not missed.
            self.main_loop_interrupt.clear()
            while self.interrupt_children and not self.interrupt_signal:
                idx = self.interrupt_children.pop(0)
                self._judge(self.wrks[idx])
                if self.gave_up:
                    return
                time.sleep(min(PAUSE_LIMIT_S, 0.1 * (self._false_starts + self._killed_starts)))
                self._respawn_workers([idx], spawn_target, target_loader)
            if self.interrupt_signal:
                return
            if self.reload_signal:
                self._reload(spawn_target, target_loader)
                self.main_loop_interrupt.set()  # which it cleared, whatever had come

    def _judge(self, dead: WorkerProcess) -> None:
        """Count the starts that came to nothing, in a row; `gave_up` when they are too many and nobody answers."""
        while self._heard.poll():
            self._well.add(int.from_bytes(self._heard.recv_bytes()))
            self._false_starts = self._killed_starts = 0
        pid, status = dead.inner.pid, dead.inner.exitcode or 0
        if pid not in self._well:
            self._killed_starts += status == -9
            self._false_starts += status != -9
        self._well &= {worker.inner.pid for worker in self.wrks if worker.is_alive()}
        too_many = self._false_starts >= FALSE_STARTS or self._killed_starts >= KILLED_STARTS
        self.gave_up = too_many and not self._well
