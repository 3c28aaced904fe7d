"""The limits of the real server: who guesses tokens is told apart from others by the address of the connection."""

import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from tests.support.server import LiveServer

GUESSER, OTHER = "127.0.0.2", "127.0.0.3"
WITHIN_S = 40
GUESSERS = 4


def test_a_guesser_is_known_by_its_address(tmp_path: Path) -> None:
    """1,000 guesses, and no more; other addresses, and tokens that the process knows, are served as before."""
    with LiveServer(f"sqlite:///{tmp_path / 'ledger.db'}") as server:
        guesser, other = connection(server, GUESSER), connection(server, OTHER)
        # Several at once: one connection's guesses might be slower than the hundred a second that are allowed.
        with ThreadPoolExecutor(GUESSERS) as threads:
            guesses = sum(threads.map(lambda _: guess(server), range(GUESSERS)))

        assert guesses >= 1000
        assert ask(other, "rl_wrong") == (401, None)
        assert ask(other, server.token) == (200, None)
        assert ask(guesser, server.token) == (200, None)
        guesser.close()
        other.close()


def guess(server: LiveServer) -> int:
    """Guess until there is no more to guess; how often."""
    guesser, give_up_at, guesses = connection(server, GUESSER), time.monotonic() + WITHIN_S, 0
    while (answered := ask(guesser, "rl_wrong"))[0] == 401:
        guesses += 1
        assert time.monotonic() < give_up_at, f"{guesses} guesses"
    guesser.close()
    assert answered == (429, "1")
    return guesses


def connection(server: LiveServer, address: str) -> HTTPConnection:
    """A connection that comes from this address."""
    return HTTPConnection("127.0.0.1", server.port, timeout=WITHIN_S, source_address=(address, 0))


def ask(through: HTTPConnection, token: str | None) -> tuple[int, str | None]:
    """The status and the `Retry-After` of an answer."""
    through.request("GET", "/api/releases", headers={"Authorization": f"Bearer {token}", "X-Forwarded-For": "10.0.0.1"})
    answer = through.getresponse()
    answer.read()
    return answer.status, answer.headers["Retry-After"]
