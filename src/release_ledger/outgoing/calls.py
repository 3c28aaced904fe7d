"""One call: its redirects, which are calls with the same checks, and its bounds.

Connections are not kept: one that had died meanwhile would leave in doubt whether a request arrived.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from http.client import HTTPException
from math import inf
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from .addresses import Permitted, origin_of, says_loopback
from .answers import Answer, Trouble
from .connecting import Adapter, Bound, Hop

MOST_BYTES: Final = 1_048_576
MOST_REDIRECTS: Final = 3
PIECE_BYTES: Final = 65_536
FOLLOWED: Final = frozenset({301, 302, 307, 308})  # 303 asks for another method: it is an answer
OURS_ALONE: Final = ("authorization", "cookie", "webhook-", "x-")  # headers for the first origin only


class Outgoing:
    """Calls out; may be shared by threads. `trusted`: URLs whose origin may be private, and http; the operator's own.

    `allow_private`: any https host may be at a private address. `within_s` bounds one whole call, redirects included.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        trusted: Iterable[str] = (),
        connect_within_s: float = 3.0,
        within_s: float = 10.0,
    ) -> None:
        """Raises ValueError for a trusted URL that is none."""
        self._allow_private, self._trusted = allow_private, frozenset(map(origin_of, trusted))
        self._connect_within_s, self._within_s = connect_within_s, within_s
        self._verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most_bytes: int = MOST_BYTES,
        begin_by: float = inf,
    ) -> Answer:
        """The answer, whatever its status; up to three redirects are followed by the same method and body.

        No request begins after `begin_by` (of `time.monotonic`): who was held up for so long may not call any more.
        Raises Trouble.
        """
        request = _prepared(method, url, headers, body)
        first = origin_of(str(request.url))
        with Bound(self._within_s) as bound:
            for _ in range(MOST_REDIRECTS + 1):
                hop = self._hop(str(request.url), first, bound, begin_by)
                answer = _ask(hop, request, self._verify, most_bytes)
                location = answer.headers.get("location")
                if answer.status not in FOLLOWED or location is None:
                    return answer
                target = _target(hop, str(request.url), location)
                request = _prepared(method, target, headers, body)
                if origin_of(str(request.url)) != first:
                    request = _prepared(method, target, _shared(headers), body)
        raise Trouble(f"{first} redirects more than {MOST_REDIRECTS} times.")

    def _hop(self, url: str, first: str, bound: Bound, begin_by: float) -> Hop:
        """The way to this URL. That a host is loopback counts only at the `first` origin, which the caller named."""
        origin = origin_of(url)
        private = self._allow_private or origin in self._trusted
        loopback = says_loopback(urlsplit(url).hostname or "") and (origin == first or private)
        if url.lower().startswith("http:") and not (loopback or origin in self._trusted):
            raise Trouble(f"{origin} is not called: it is neither https nor on loopback.", final=True)
        return Hop(origin, Permitted(private=private, loopback=loopback), bound, self._connect_within_s, begin_by)


def _prepared(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.PreparedRequest:
    """The request. Raises Trouble, which shows neither URL nor headers."""
    with suppress(OSError, ValueError):  # requests' own are OSErrors
        request = requests.Request(method, url, headers=dict(headers), data=body).prepare()
        origin_of(str(request.url))
        return request
    raise Trouble("The request cannot be sent: its URL or a header is malformed, or has a password in it.", final=True)


def _shared(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.lower().startswith(OURS_ALONE)}


def _target(hop: Hop, url: str, location: str) -> str:
    """Where this redirect leads. Raises Trouble."""
    with suppress(ValueError):
        target = urljoin(url, location)
        origin_of(target)
        return target
    raise Trouble(f"{hop.origin} redirects to a URL that cannot be called.", final=True)


def _ask(hop: Hop, request: requests.PreparedRequest, verify: bool | str, most_bytes: int) -> Answer:
    """The answer of one origin. Raises Trouble, outside of `except`: what they raised may show the URL or a header."""
    timeout_s = (hop.left_to_connect_s(), hop.bound.left_s())
    try:
        with (
            closing(Adapter(hop)) as adapter,
            closing(adapter.send(request, stream=True, timeout=timeout_s, verify=verify, proxies={})) as response,
        ):
            answer = Answer(response.status_code, response.headers, _body(hop, response, most_bytes))
        trouble = hop.trouble(None) if hop.bound.is_over else None
    except (OSError, HTTPError, HTTPException, ValueError) as error:
        trouble = hop.trouble(error)
    if trouble is not None:
        raise trouble
    return answer


def _body(hop: Hop, response: requests.Response, most_bytes: int) -> bytes:
    body = bytearray()
    while piece := response.raw.read(PIECE_BYTES):
        body += piece
        if len(body) > most_bytes:
            raise Trouble(f"{hop.origin} answered with more than {most_bytes} bytes.", maybe_done=True)
    return bytes(body)
