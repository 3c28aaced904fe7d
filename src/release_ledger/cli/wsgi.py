"""One request put to a WSGI application (PEP 3333), from the scope of an ASGI server and a body that is all there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from io import BytesIO
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ..api.waiting import UNTIL, WAIT, Wait
from .limits import WHOLE_BYTES

Scope = dict[str, Any]
Environ = dict[str, Any]
Application = Callable[..., Iterable[bytes]]

_PROTOCOLS: Final = {"1": "HTTP/1.0", "1.0": "HTTP/1.0"}
_PLAIN_NAMES: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_SAME_FOR_ALL: Final[Environ] = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "granian",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,  # werkzeug's: the input ends where the body does, also one that came in pieces
}


def environ_of(scope: Scope, body: bytes) -> Environ:
    """The request as WSGI has it: its path decoded to bytes, and those as latin-1; a repeated header as one."""
    environ = _SAME_FOR_ALL | {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": _PROTOCOLS.get(scope["http_version"], f"HTTP/{scope['http_version']}"),
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "REMOTE_ADDR": scope["client"][0],
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue  # it would pass for the one with a hyphen, which a proxy may have set or taken away
        key = _PLAIN_NAMES.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}{';' if name == b'cookie' else ','}{text}" if key in environ else text
    return environ


class Answer:
    """What the application answers: `begin` first, then, where it is not `whole`, `more` until the end, then `close`.

    The calls may come from different threads, one after the other; all of them see the same context variables.
    """

    def __init__(self, app: Application, scope: Scope, body: bytes, until_s: float | None = None) -> None:
        """`until_s`: until when the request may wait, where it has waited before."""
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.whole: bytes | None = None
        """All of the body; None where it comes in pieces."""
        self.wait: Wait | None = None
        """Until when, and for what, it may wait before it is given; another try may answer more."""
        self._app, self._scope, self._sent, self._until_s = app, scope, body, until_s
        self._context = copy_context()
        self._written: list[bytes] = []
        self._body: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] = iter(())

    def begin(self) -> None:
        """Let the application answer. A body that says how long it is, and is not long, is taken whole and closed."""
        self._context.run(self._begin)

    def more(self) -> bytes | None:
        """The next piece of the body, which is not empty; None at its end."""
        return self._context.run(self._more)

    def close(self) -> None:
        """Let go of what the body holds, where it is not at its end, too."""
        self._context.run(self._close)

    def _begin(self) -> None:
        environ = environ_of(self._scope, self._sent) | {UNTIL: self._until_s}
        self._body = self._app(environ, self._start)
        self.wait = environ.get(WAIT)
        try:
            self._pieces = iter(self._body)
            first = self._more()  # an application may call `start_response` as late as this
            length = next((int(value) for name, value in self.headers if name == b"content-length"), None)
            if first is None or (length is not None and length <= WHOLE_BYTES):
                self.whole = b"".join((first or b"", *self._pieces))
            else:
                self._written.insert(0, first)
        except BaseException:
            self._close()
            raise
        if self.whole is not None:
            self._close()

    def _more(self) -> bytes | None:
        if self._written:
            return self._written.pop(0)
        return next(filter(None, self._pieces), None)

    def _close(self) -> None:
        closing = getattr(self._body, "close", None)
        self._body = ()
        if closing is not None:
            closing()

    def _start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: object = None,  # noqa: ARG002 - PEP 3333
    ) -> Callable[[bytes], None]:
        self.status = int(status[:3])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return self._written.append
