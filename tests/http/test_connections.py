"""Over a real connection, to `release-ledger serve`: what the test client of Flask cannot show."""

from http.client import HTTPConnection
from typing import Final

import pytest

from tests.support.server import LiveServer

JSON: Final = {"Content-Type": "application/json"}


@pytest.mark.parametrize("size", [2, 300_000])
def test_a_refusal_leaves_the_connection_open(live_server: LiveServer, size: int) -> None:
    """Refused before its body is read, a request does not cost the caller the next one on the same connection."""
    connection = HTTPConnection("127.0.0.1", live_server.port, timeout=10)
    statuses = []

    for path in ["/api/releases/web", "/api/releases/web/releases/1.0", "/nowhere", "/healthz"] * 5:
        for method, body in (("POST", b"x" * size), ("GET", None)):
            connection.request(method, path, body=body, headers=JSON)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)

    connection.close()
    assert statuses == [405, 401, 401, 401, 404, 404, 405, 200] * 5


def test_a_path_arrives_as_it_was_sent(live_server: LiveServer) -> None:
    """The server hands on the bytes of a path: text in UTF-8 is a name, anything else is refused."""
    connection = HTTPConnection("127.0.0.1", live_server.port, timeout=10)
    statuses = {}

    for version in ("a%FF-rc1", "a%00-rc1", "v%C3%A9-rc1", "v%E2%82%AC-rc1", "a%2Fb-rc1"):
        headers = {"Authorization": f"Bearer {live_server.token}"}
        connection.request("GET", f"/api/releases/web/releases/{version}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        statuses[version] = answer.status

    connection.close()
    assert statuses == {
        "a%FF-rc1": 400,
        "a%00-rc1": 400,
        "v%C3%A9-rc1": 404,
        "v%E2%82%AC-rc1": 404,
        "a%2Fb-rc1": 404,
    }
