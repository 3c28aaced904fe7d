"""A small disk of its own, which can be filled up and made free again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A file system whose root is `folder`."""

    folder: Path

    def fill(self) -> None:
        """Leave not one byte free, for the moment: what others give back meanwhile is free again."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        ballast.write(b"x" * size)

    def give_back(self, pages: int) -> None:
        """Make room for so many pages of 4 KiB."""
        os.truncate(self._ballast, self._ballast.stat().st_size - 4096 * pages)

    def make_free(self) -> None:
        """Take away what `fill` has put there."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def small_disk(folder: Path, *, mebibytes: int, owner: int | None = None) -> Iterator[SmallDisk]:
    """A tmpfs in this folder, which is made; the test is skipped where none can be mounted."""
    owner = os.geteuid() if owner is None else owner
    folder.mkdir()
    options = f"size={mebibytes}m,uid={owner},gid={owner},mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a disk to fill up is a tmpfs, and mounting one needs root: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a process that was killed may hold a file for a moment yet.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
