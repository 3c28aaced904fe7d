"""What the web server lets a client take of it, each limit with its reason. For operators: docs/limits.md."""

from __future__ import annotations

from typing import Final

THREADS: Final = 4
"""Requests a process works on at once: the database sets the pace, and more threads only wait for each other."""

BODY_WITHIN_S: Final = 10.0
"""A whole body. 1 MiB in ten seconds is 105 kB/s; reports are a hundredth of that."""

BODIES_BYTES: Final = 64 * 1024 * 1024
"""Of all bodies that a process holds at once: without it every connection could make it keep a whole 1 MiB."""

TURN_WITHIN_S: Final = 30.0
"""Until a thread is free. Above the longest that the database may keep one (11 s), below what clients wait (60 s)."""

READ_WITHIN_S: Final = 30.0
"""For the reader of a stream to take the next piece: meanwhile the stream may hold a connection to the database."""

WHOLE_BYTES: Final = 4 * 1024 * 1024
"""An answer that says its length and is no longer than this is handed over whole, so that its reader holds nothing."""

LINGER_BYTES: Final = 8 * 1024 * 1024
LINGER_S: Final = 2.0
"""Of a body that was refused, this much is still taken in and dropped: a client that first sends all of it, and is
hung up on meanwhile, never reads why."""

HEADERS_BYTES: Final = 64 * 1024
"""Of the request line and all headers, which are kept until the last one is there."""

HEADERS_WITHIN_MS: Final = 10_000
"""For the headers, and so for a connection that is kept open and idle, too."""

CONNECTIONS: Final = 4096
"""Open at once in a process. At its worst each holds 64 KiB of headers that do not end: 256 MiB."""

FILES_OTHERWISE: Final = 256
"""File descriptors for all that is no connection of a client: the database, logs, measures, the event loop."""

BACKLOG: Final = 1024
"""Connections that the kernel keeps for a process that has not come round to them."""

STOPPING_S: Final = 20
"""For the requests under way once the server is told to stop; twice what a body may take."""

WAITING: Final = 64
"""Requests that wait for events at once, in a process. They hold a connection, no thread; more are answered at once."""

LOOK_EVERY_S: Final = 0.25
"""Between two looks of one of them. A look adds up the streams' versions: a few ms at 10,000 streams."""
