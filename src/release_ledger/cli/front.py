"""What stands before the application in each process: it collects a request's body before a thread is taken for it.

So a client that sends slowly, or reads slowly, holds a connection and nothing else; and what a client may take is
bounded here (limits.py). To granian it is an ASGI application, to the application a WSGI server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from ..api.app import BODY_LIMIT_BYTES
from . import limits
from .threads import NoTurn, Threads
from .turned_away import BODY_TOO_LARGE, BODY_TOO_SLOW, FAILED, NO_ROOM, NO_TURN, TurnedAway, Why, refusal
from .wsgi import Answer, Application, Scope

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_LOG = structlog.get_logger("release_ledger.front")


class ClientGone(Exception):
    """Nobody waits for an answer any more."""


class Front:
    """An ASGI application over a WSGI one, which runs in a few threads of its own."""

    def __init__(
        self, app: Application, ready: Callable[[], None] = lambda: None, ended: Callable[[], None] = lambda: None
    ) -> None:
        """`ready` is called on the event loop before requests come, `ended` after the last one is answered."""
        self._app, self._ready, self._ended = app, ready, ended
        self._threads = Threads(limits.THREADS)
        self._held = self._waiting = 0
        self._stopping = False

    def stop_waiting(self) -> None:
        """Let nothing wait from now on: the server is to stop."""
        self._stopping = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = b""
        try:
            body = await self._body(dict(scope["headers"]), receive)
            answer = Answer(self._app, scope, body)
            await self._threads.run(answer.begin, limits.TURN_WITHIN_S)
            if answer.wait is not None and self._waiting < limits.WAITING:
                answer = await self._waited(answer, scope, body, receive)
        except NoTurn:
            await _turn_away(NO_TURN, scope, receive, send)
        except TurnedAway as turned_away:
            await _turn_away(turned_away.why, scope, receive, send)
        except ClientGone:
            pass
        except Exception:
            _LOG.exception("failed", method=scope["method"], path=scope["path"])
            await _turn_away(FAILED, scope, receive, send)
        else:
            await self._send(answer, receive, send)
        finally:
            self._held -= len(body)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._ready()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        self._ended()

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """All of the body; it counts as held. Raises `TurnedAway`, `ClientGone`."""
        length = -1 if b"transfer-encoding" in headers else int(headers.get(b"content-length", 0))
        if length > BODY_LIMIT_BYTES:
            raise TurnedAway(BODY_TOO_LARGE)
        if length == 0:
            return b""
        body = bytearray()
        try:
            async with asyncio.timeout(limits.BODY_WITHIN_S):
                while len(body) != length:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    self._take(body, message["body"])
                    if not message["more_body"]:
                        break
        except BaseException as reason:
            self._held -= len(body)
            if isinstance(reason, TimeoutError):
                raise TurnedAway(BODY_TOO_SLOW) from None
            raise
        return bytes(body)

    def _take(self, body: bytearray, piece: bytes) -> None:
        if len(body) + len(piece) > BODY_LIMIT_BYTES:
            raise TurnedAway(BODY_TOO_LARGE)
        if self._held + len(piece) > limits.BODIES_BYTES:
            raise TurnedAway(NO_ROOM)
        body += piece
        self._held += len(piece)

    async def _waited(self, answer: Answer, scope: Scope, body: bytes, receive: Receive) -> Answer:
        """The answer once it is worth asking again, or its time is over. Raises `ClientGone`."""
        self._waiting += 1
        gone = asyncio.create_task(_gone(receive))
        try:
            while (wait := answer.wait) is not None and time.monotonic() < wait.until_s and not self._stopping:
                if (await asyncio.wait((gone,), timeout=limits.LOOK_EVERY_S))[0]:
                    raise ClientGone
                if await self._threads.run(wait.is_over, limits.TURN_WITHIN_S):
                    answer = Answer(self._app, scope, body, wait.until_s)
                    await self._threads.run(answer.begin, limits.TURN_WITHIN_S)
        finally:
            self._waiting -= 1
            gone.cancel()
        return answer

    async def _send(self, answer: Answer, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if answer.whole is not None:
            await send({"type": "http.response.body", "body": answer.whole, "more_body": False})
            return
        gone = asyncio.create_task(_gone(receive))
        try:
            while not gone.done() and (piece := await self._threads.run(answer.more)) is not None:
                async with asyncio.timeout(limits.READ_WITHIN_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            _LOG.warning("a stream was given up: nobody reads it")
        except Exception:
            _LOG.exception("a stream broke off")
        finally:
            gone.cancel()
            await self._threads.run(answer.close)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    """Returns once the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _turn_away(why: Why, scope: Scope, receive: Receive, send: Send) -> None:
    status, headers, body = refusal(why, scope)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
    if why in (BODY_TOO_LARGE, NO_ROOM):
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.LINGER_S):
                await _drop(receive)


async def _drop(receive: Receive) -> None:
    """Take in what still comes of a body that was refused."""
    left = limits.LINGER_BYTES
    while left > 0 and (message := await receive())["type"] == "http.request" and message["more_body"]:
        left -= len(message["body"])
