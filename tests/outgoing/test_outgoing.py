"""Calling out: what is refused, what is bounded, what is kept secret, and what is known after a failure."""

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from release_ledger.outgoing import Outgoing, Trouble, origin_of
from tests.outgoing.sites import AUTHORITY, HERE, PUBLIC, Internet, peer, site, to
from tests.support.github_faults import TRICKLED, Asked, Reply

SECRET = "s3cr3t"
WITHIN_S = 0.5
OUTGOING = Outgoing(connect_within_s=0.3, within_s=WITHIN_S)

NOT_PUBLIC = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.192",
    "192.0.2.1",
    "168.63.129.16",
    "::ffff:192.0.0.192",
    "::ffff:168.63.129.16",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::5db8:d822",
    "2002:a00:1::1",
    "2001:0:5db8:d822::1",
    "2001:db8::1",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC_IN_SOME_WAY = [PUBLIC, "2606:4700::1111", f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}", "2002:5db8:d822::1"]


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
    return Internet(monkeypatch)


def trouble(call: Callable[[], object]) -> Trouble:
    with pytest.raises(Trouble) as caught:
        call()
    return caught.value


def refused(url: str, outgoing: Outgoing = OUTGOING) -> str:
    """Why it is; for good, and nothing was sent."""
    found = trouble(lambda: outgoing.call("POST", url, headers={}, body=b"{}"))
    assert (found.final, found.maybe_done) == (True, False), found
    return found.message


def test_an_answer_has_status_headers_and_body() -> None:
    """Whatever the status; headers are found in any case."""
    with site(lambda asked: Reply(418, b"short", {"X-Stout": asked.headers["x-spout"]})) as teapot:
        answer = OUTGOING.call("PUT", f"{teapot.url}/pot?full=1", headers={"X-Spout": "1"}, body=b"tea")

    assert (answer.status, answer.headers["x-sTOUT"], answer.body) == (418, "1", b"short")
    assert [(each.method, each.url, each.body) for each in teapot.asked] == [("PUT", "/pot?full=1", b"tea")]


# Where it may go


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_a_name_of_a_private_address_is_refused(internet: Internet, address: str) -> None:
    """In each of the ways to write one; nobody is connected to."""
    internet.names = {"ledger.test": [[address]]}

    assert "private address" in refused("https://ledger.test/")
    assert internet.connected == []


@pytest.mark.parametrize("address", PUBLIC_IN_SOME_WAY)
def test_a_name_of_a_public_address_is_called(internet: Internet, address: str) -> None:
    """IPv6 that carries a public IPv4 address is public."""
    internet.names = {"ledger.test": [[address]]}

    found = trouble(lambda: OUTGOING.call("GET", "https://ledger.test/", headers={}))

    assert internet.connected == [address]
    assert (found.message, found.final) == ("https://ledger.test could not be reached: Network is unreachable.", False)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "[::ffff:10.0.0.1]", "[fe80::1]", "169.254.169.254", "0", "0x7f.1", "2130706433", "127.1"]
)
def test_a_private_address_in_the_url_is_refused(internet: Internet, host: str) -> None:
    """Also in the shapes that only inet_aton reads: loopback is given literally as localhost, 127.x.x.x or [::1]."""
    refused(f"https://{host}/")

    assert internet.connected == []


def test_of_several_addresses_the_public_ones_are_tried(internet: Internet) -> None:
    """One after the other; a private one among them is passed over."""
    internet.names = {"ledger.test": [["10.0.0.1", "2606:4700::1111", "::1", PUBLIC]]}
    with site(tls=True) as ledger:
        internet.places = {PUBLIC: ledger.port}

        assert Outgoing().call("GET", "https://ledger.test/", headers={}).body == b"here"

    assert internet.connected == ["2606:4700::1111", PUBLIC]


def test_a_name_that_changes_between_check_and_use_changes_nothing(internet: Internet) -> None:
    """It is resolved once for a call, and the connection goes to what was checked; the next call checks again."""
    internet.names = {"ledger.test": [[PUBLIC], ["127.0.0.1"]]}
    with site(tls=True) as ledger:
        internet.places = {PUBLIC: ledger.port}

        assert Outgoing().call("GET", f"https://ledger.test:{ledger.port}/", headers={}).status == 200
        assert internet.resolved == ["ledger.test"]
        assert "private address" in refused(f"https://ledger.test:{ledger.port}/")

    assert internet.connected == [PUBLIC]
    assert len(ledger.asked) == 1


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "[::1]"])
def test_loopback_given_literally_may_be_called(internet: Internet, host: str) -> None:
    """Without TLS too: a worker's own neighbour."""
    trouble(lambda: OUTGOING.call("GET", f"http://{host}:1/", headers={}))

    assert internet.connected
    assert set(internet.connected) <= {"127.0.0.1", "127.0.0.2", "::1"}


def test_localhost_is_loopback_whatever_the_name_service_says(internet: Internet) -> None:
    """It may be called without TLS because nothing leaves the machine."""
    internet.names = {"localhost": [[PUBLIC]]}

    refused("http://localhost/")
    assert internet.connected == []


@pytest.mark.parametrize(
    "url",
    [
        "http://ledger.test/",
        f"http://{PUBLIC}/",
        "http://[::ffff:127.0.0.1]/",
        "ftp://ledger.test/",
        "file:///etc/passwd",
        "https:///path",
        "https://ledger.test:x/",
        "https://[::1/",
        "ledger.test",
        "",
        f"https://me:{SECRET}@ledger.test/",
        f"https://{SECRET}@ledger.test/",
    ],
)
def test_another_url_than_https_is_refused(internet: Internet, url: str) -> None:
    """Or http to loopback; none has a password in it. The message does not repeat it."""
    internet.names = {"ledger.test": [[PUBLIC]]}

    assert SECRET not in refused(url)
    assert internet.connected == internet.resolved == []


def test_what_the_operator_trusts_may_be_private_and_without_tls(internet: Internet) -> None:
    """A GitHub of the company's own. Only that origin: another port is another."""
    with site() as enterprise:
        internet.names = {"github.corp": [["10.1.2.3"]]}
        internet.places = {"10.1.2.3": enterprise.port}
        outgoing = Outgoing(trusted=[f"http://GitHub.corp:{enterprise.port}/api/v3"])

        assert outgoing.call("GET", f"http://github.corp:{enterprise.port}/api/v3", headers={}).status == 200
        assert "neither https" in refused("http://github.corp/api/v3", outgoing)
        assert "private address" in refused(f"https://github.corp:{enterprise.port}/", outgoing)


@pytest.mark.parametrize("outgoing", [Outgoing(allow_private=True), Outgoing(trusted=["https://ledger.test"])])
def test_a_setting_allows_private_addresses_but_not_the_clouds_metadata(internet: Internet, outgoing: Outgoing) -> None:
    """Link-local, multicast and the like are never called."""
    internet.names = {"ledger.test": [["10.0.0.1"], ["127.0.0.1"], ["fc00::1"], ["169.254.169.254"], ["224.0.0.1"]]}

    for _ in range(3):
        trouble(lambda: outgoing.call("GET", "https://ledger.test/", headers={}))
    assert internet.connected == ["10.0.0.1", "127.0.0.1", "fc00::1"]

    for _ in range(2):
        refused("https://ledger.test/", outgoing)


def test_the_settings_url_must_be_one() -> None:
    """A trusted origin that is none is told at once."""
    assert origin_of("HTTPS://API.GitHub.com:443/x?y") == "https://api.github.com"
    assert origin_of("http://[::1]:8080") == "http://[::1]:8080"
    with pytest.raises(ValueError, match="not an http or https URL"):
        Outgoing(trusted=["github.corp"])


def test_tls_still_verifies_the_name(internet: Internet) -> None:
    """The certificate is for ledger.test, whatever address it is at; trying again can help, and nothing was sent."""
    internet.names = {"other.test": [[PUBLIC]]}
    with site(tls=True) as ledger:
        internet.places = {PUBLIC: ledger.port}

        found = trouble(lambda: Outgoing().call("POST", "https://other.test/", headers={}, body=b"{}"))

    assert "could not be trusted: Hostname mismatch" in found.message
    assert (found.final, found.maybe_done, ledger.asked) == (False, False, [])


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", None])
def test_an_authority_of_ones_own_comes_from_the_environment(
    internet: Internet, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    """Without one, certificates are checked against the usual authorities."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    if variable:
        monkeypatch.setenv(variable, str(AUTHORITY))
    internet.names = {"ledger.test": [[PUBLIC]]}
    with site(tls=True) as ledger:
        internet.places = {PUBLIC: ledger.port}
        outgoing = Outgoing()

        if variable:
            assert outgoing.call("GET", "https://ledger.test/", headers={}).status == 200
        else:
            found = trouble(lambda: outgoing.call("GET", "https://ledger.test/", headers={}))
            assert "could not be trusted" in found.message


# Redirects


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_by_the_same_method_and_body(status: int) -> None:
    """A renamed repository gets its dispatch, with the token."""
    with site(lambda asked: to("/new?a=1", status) if asked.url == "/old" else Reply(201, b"", {})) as moved:
        answer = OUTGOING.call("POST", f"{moved.url}/old", headers={"Authorization": SECRET}, body=b"{}")

    assert answer.status == 201
    assert [(each.method, each.url, each.body) for each in moved.asked] == [
        ("POST", "/old", b"{}"),
        ("POST", "/new?a=1", b"{}"),
    ]
    assert moved.asked[1].headers["authorization"] == SECRET


@pytest.mark.parametrize("reply", [to("/new", 303), to("/new", 300), Reply(301, b"", {})])
def test_another_redirect_is_an_answer(reply: Reply) -> None:
    """303 wants another method, and one without a location leads nowhere."""
    with site(lambda asked: reply) as other:
        assert OUTGOING.call("POST", other.url, headers={}).status == reply.status

    assert len(other.asked) == 1


def test_three_redirects_are_followed_and_no_more() -> None:
    """A circle ends; nothing was done by whoever redirects."""
    with site(lambda asked: to(f"/{int(asked.path[0]) - 1}") if asked.path != ("0",) else Reply(200, b"", {})) as chain:
        assert OUTGOING.call("POST", f"{chain.url}/3", headers={}).status == 200
        found = trouble(lambda: OUTGOING.call("POST", f"{chain.url}/4", headers={}))

    assert "redirects more than 3 times" in found.message
    assert not found.maybe_done
    assert len(chain.asked) == 8


@pytest.mark.parametrize(
    "location",
    [
        "https://10.0.0.1/",
        "//10.0.0.1/",
        "http://10.0.0.1/",
        "https://127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "https://intern.test:{port}/",
        "https://[::ffff:127.0.0.1]:{port}/",
        "https://169.254.169.254/",
        "file:///etc/passwd",
        f"https://me:{SECRET}@ledger.test/",
        "https://[",
    ],
)
def test_a_redirect_cannot_lead_inside(internet: Internet, location: str) -> None:
    """Each hop is checked like the first one, but that loopback may only be named by the caller."""
    internet.names = {"intern.test": [["127.0.0.1"]]}
    with site() as inside, site(lambda asked: to(location.format(port=inside.port))) as outside:
        assert SECRET not in refused(outside.url)

    assert inside.asked == []
    assert len(internet.connected) == 1


def test_tokens_and_signatures_stay_with_the_first_origin() -> None:
    """Another origin gets the request without them; back at the first, they are sent again."""
    headers = {"Authorization": SECRET, "webhook-signature": SECRET, "X-Key": SECRET, "Cookie": SECRET, "Accept": "a/b"}
    there: list[str] = []
    with (
        site(lambda asked: to(f"{there[0]}/back")) as second,
        site(lambda asked: to(second.url) if asked.url == "/" else HERE) as first,
    ):
        there.append(first.url)
        answer = Outgoing(trusted=[second.url]).call("POST", f"{first.url}/", headers=headers, body=b"{}")

    assert (answer.status, len(first.asked)) == (200, 2)
    assert (second.asked[0].headers["accept"], second.asked[0].body) == ("a/b", b"{}")
    assert SECRET not in str(second.asked)
    assert [str(each).count(SECRET) for each in first.asked] == [4, 4]


# Bounds


def _silent(_connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def _trickled(before: bytes) -> Callable[[socket.socket, threading.Event], object]:
    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(before)
        while not over.wait(0.02):
            connection.sendall(b"x")

    return behave


@pytest.mark.parametrize(
    ("behave", "scheme", "maybe_done"),
    [
        (_silent, "http", True),
        (_trickled(b""), "http", True),
        (_trickled(b"HTTP/1.1 200 OK\r\n"), "http", True),
        (_trickled(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), "http", True),
        (_trickled(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"), "http", True),
        (_trickled(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n"), "http", True),
        (_silent, "https", False),
        (_trickled(b"\x16\x03\x03\x40\x00"), "https", False),
    ],
    ids=["silent", "status", "headers", "body", "endless body", "chunks", "silent TLS", "trickled TLS"],
)
def test_a_call_ends_in_time_whatever_its_peer_does(
    behave: Callable[[socket.socket, threading.Event], object], scheme: str, maybe_done: bool
) -> None:
    """Also against one that gives a byte at a time, so that no single read ever waits long."""
    with peer(behave) as url:
        began_at = time.monotonic()
        found = trouble(lambda: OUTGOING.call("POST", url.replace("http", scheme), headers={}, body=b"{}"))
        took_s = time.monotonic() - began_at

    assert took_s < WITHIN_S + 0.4
    assert (found.final, found.maybe_done) == (False, maybe_done), found
    assert "did not answer within 0.5 s" in found.message or scheme == "https"


def test_a_call_under_tls_ends_in_time_too(internet: Internet) -> None:
    """Where the socket is not the one that was connected any more."""
    internet.names = {"ledger.test": [[PUBLIC]]}
    with site(lambda asked: Reply(200, b"x" * 100, {}), tls=True, fault=TRICKLED) as ledger:
        internet.places = {PUBLIC: ledger.port}
        outgoing, began_at = Outgoing(within_s=WITHIN_S), time.monotonic()
        found = trouble(lambda: outgoing.call("GET", "https://ledger.test/", headers={}))

    assert time.monotonic() - began_at < WITHIN_S + 0.4
    assert (found.message, found.maybe_done) == ("https://ledger.test did not answer within 0.5 s.", True)


def test_a_peer_that_does_not_read_ends_in_time() -> None:
    """The request is larger than what lies between."""
    with peer(_silent) as url:
        began_at = time.monotonic()
        found = trouble(lambda: OUTGOING.call("POST", url, headers={}, body=b"x" * 30_000_000))

    assert time.monotonic() - began_at < WITHIN_S + 0.4
    assert found.maybe_done


def test_redirects_share_the_time_of_one_call() -> None:
    """Three slow ones do not take three times as long."""

    def slowly(_asked: Asked) -> Reply:
        time.sleep(0.2)
        return to("/again")

    with site(slowly) as slow:
        began_at = time.monotonic()
        found = trouble(lambda: OUTGOING.call("GET", slow.url, headers={}))

    assert time.monotonic() - began_at < WITHIN_S + 0.4
    assert "did not answer within" in found.message


def test_a_name_service_that_does_not_answer_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """getaddrinfo itself knows no bound."""
    asleep = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: asleep.wait(5) and [])

    began_at = time.monotonic()
    found = trouble(lambda: OUTGOING.call("GET", "https://ledger.test/", headers={}))
    asleep.set()

    assert time.monotonic() - began_at < WITHIN_S + 0.4
    assert found.message == "The name of https://ledger.test could not be resolved."
    assert (found.final, found.maybe_done) == (False, False)


@pytest.mark.parametrize(("size", "fits"), [(1_048_576, True), (1_048_577, False)])
def test_an_answer_has_at_most_a_mebibyte(size: int, fits: bool) -> None:
    """More is trouble, and the request may have been carried out; a caller may ask for more."""
    with site(lambda asked: Reply(200, b"x" * size, {})) as large:
        if fits:
            assert len(OUTGOING.call("GET", large.url, headers={}).body) == size
        else:
            found = trouble(lambda: OUTGOING.call("GET", large.url, headers={}))
            assert (found.final, found.maybe_done) == (False, True)
            assert len(OUTGOING.call("GET", large.url, headers={}, most_bytes=size).body) == size


# After a failure


def test_a_refused_connection_has_done_nothing() -> None:
    """It can be tried again without asking first."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    found = trouble(lambda: OUTGOING.call("POST", f"http://127.0.0.1:{port}/", headers={}, body=b"{}"))

    assert (found.final, found.maybe_done) == (False, False)
    assert found.message == f"http://127.0.0.1:{port} could not be reached: Connection refused."


def test_an_unknown_name_has_done_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name service may know it the next time."""

    def unknown(*_args: object, **_options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    found = trouble(lambda: OUTGOING.call("POST", "https://ledger.test/", headers={}))

    assert (found.final, found.maybe_done) == (False, False)


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"SSH-2.0-OpenSSH\r\n"]
)
def test_a_connection_that_is_cut_after_the_request_may_have_done_it(said: bytes) -> None:
    """Nobody can know: before the answer, in it, or with something else than an answer."""

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65_536)
        connection.sendall(said)

    with peer(behave) as url:
        found = trouble(lambda: OUTGOING.call("POST", url, headers={}, body=b"{}"))

    assert (found.final, found.maybe_done) == (False, True)
    assert found.message == f"{url} ended the connection before its answer was complete."


def test_a_failure_before_tls_stands_has_done_nothing() -> None:
    """The peer hangs up, or speaks no TLS: not a byte of the request was sent."""
    with peer(lambda connection, over: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")) as url:
        found = trouble(lambda: OUTGOING.call("POST", url.replace("http", "https"), headers={}, body=b"{}"))

    assert (found.final, found.maybe_done) == (False, False)


def test_a_redirect_has_done_nothing_so_what_fails_behind_it_has_not() -> None:
    """What may have been done is asked of the last hop."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        there = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with site(lambda asked: to(there)) as first:
        found = trouble(lambda: Outgoing(trusted=[there]).call("POST", first.url, headers={}))

    assert "could not be reached" in found.message
    assert not found.maybe_done


# Secrets


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("{url}", f"{SECRET}\r\nx: y"),
        ("{url}", f"{SECRET}\N{SNOWMAN}"),
        (f"{{url}}/?token={SECRET}", SECRET),
        (f"https://10.0.0.1/?token={SECRET}", SECRET),
        (f"http://10.0.0.1/?token={SECRET}", SECRET),
        (f"https://[::1/{SECRET}", SECRET),
        (f"https://ledger.test:{SECRET}/", SECRET),
    ],
)
def test_no_exception_and_no_log_shows_a_secret(url: str, header: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither does what lies behind the exception: a traceback, or a log of it, would print that too."""
    with peer(lambda connection, over: connection.recv(65_536)) as there:
        found = trouble(lambda: OUTGOING.call("POST", url.format(url=there), headers={"Authorization": header}))

    assert found.__cause__ is found.__context__ is None
    assert SECRET not in "".join(traceback.format_exception(found)) + repr(found)
    assert SECRET not in caplog.text


def test_no_log_of_a_library_shows_a_header(caplog: pytest.LogCaptureFixture) -> None:
    """Not even when everything is logged."""
    caplog.set_level(logging.DEBUG)
    with site() as there:
        OUTGOING.call("POST", there.url, headers={"Authorization": SECRET}, body=b"{}")

    assert "POST / " in caplog.text
    assert SECRET not in caplog.text


def test_the_environment_adds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, and no password out of a .netrc; nor is a cookie ever sent back."""
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with site(lambda asked: Reply(200, b"", {"Set-Cookie": "a=b"})) as there:
        for _ in range(2):
            assert OUTGOING.call("GET", there.url, headers={}).status == 200

    assert {name for each in there.asked for name in each.headers} == {"host", "accept-encoding", "user-agent"}
