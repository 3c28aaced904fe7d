"""Where tests keep what they throw away: in memory where there is room, since no power cut must spare any of it."""

import os
import shutil
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # a short path, as that of a PostgreSQL's socket must be
ROOM_BYTES = 4_000_000_000


def quick_folder() -> Path:
    """A folder for files that are gone with the run; programs can be run from it."""
    if not os.access(SHARED_MEMORY, os.W_OK) or os.statvfs(SHARED_MEMORY).f_flag & os.ST_NOEXEC:
        return Path("/tmp")
    return SHARED_MEMORY if shutil.disk_usage(SHARED_MEMORY).free > ROOM_BYTES else Path("/tmp")
