"""The connection to PostgreSQL is cut at every point of a request: a client that retries with a key counts once.

Without a key: what was answered with a success is there once, what was answered 503 may be there or not.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from typing import Any, Final, NamedTuple

import pytest
from werkzeug.test import TestResponse

from tests.support.cuts import Network, Point, network, points, spread
from tests.support.proxy import Way

from .client import REPO, Client, EnvironmentClient, Service, commit_of, fine, refused

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"])
WAYS_TO_CUT: Final[tuple[Way, ...]] = ("close", "reset")


class Request(NamedTuple):
    """One request: where to, with what, and what it makes of an environment that was made ready for it."""

    method: str
    path: str
    body: dict[str, Any]


def deploy(environment: EnvironmentClient) -> Request:
    return Request("POST", environment.deployments_path, {"release_candidate_version": "A-rc1"})


def report(environment: EnvironmentClient) -> Request:
    return Request("PATCH", environment.deployments_path, {"release_candidate_version": "A-rc1", "status": "success"})


def release(environment: EnvironmentClient) -> Request:
    version = f"{environment.name}-rc1"
    body = {"repo": REPO, "commit": commit_of(version)}
    return Request("POST", f"{environment.project_path}/releases/{version}", body)


def settings(environment: EnvironmentClient) -> Request:
    return Request("PUT", environment.path, {"tier": "production"})


def rollback(environment: EnvironmentClient) -> Request:
    environment.ran("A-rc1", "B-rc1")
    return Request("POST", f"{environment.path}/rollback", {})


def repeated_report(environment: EnvironmentClient) -> Request:
    """Records nothing, and is a success."""
    environment.ran("A-rc1")
    return report(environment)


def repeated_release(environment: EnvironmentClient) -> Request:
    """Records nothing, and is a success."""
    fine(environment.client.send(*release(environment)))
    return release(environment)


def remembered_deploy(environment: EnvironmentClient) -> Request:
    """Decided from what the process remembers."""
    return deploy(environment)


def remembered_report(environment: EnvironmentClient) -> Request:
    return report(environment)


FROM_MEMORY: Final = (remembered_deploy, remembered_report)
REQUESTS: Final = (deploy, report, release, settings, rollback, repeated_report, repeated_release, *FROM_MEMORY)
IN_EACH_WAY: Final = pytest.mark.parametrize("request_for", REQUESTS)
Asked = Callable[[EnvironmentClient], Request]


class Sweep:
    """Requests to a service that reaches its database through a network, each cut once."""

    def __init__(self, cuttable: Network, upgraded_url: str, request_for: Asked) -> None:
        self.network, self.request_for = cuttable, request_for
        self.near, self.far = Service(upgraded_url), Service(cuttable.url)
        self.admin = self.near.client()
        self.caller = Client(self.far.app.test_client(), self.admin.token)
        self.admin.environment("first").cut("A-rc1")
        self.number, self.came = 0, Counter[str]()

    def points(self, *, with_key: bool) -> list[Point]:
        """Where such a request can be cut, found by making it once; `self.recorded` is what it records."""
        asked, before = self._next(), self.near.event_count()
        fine(self._send(asked, self._key() if with_key else None))
        found = points(self.network.proxy, inside=83)
        self.recorded = self.near.event_count() - before
        return found

    def _next(self) -> Request:
        """The request, for an environment of its own, and a connection over which nothing has passed."""
        self.number += 1
        environment = self.admin.environment(f"e{self.number:05}")
        environment.known_versions.add("A-rc1")
        asked = self.request_for(environment)
        if self.request_for in FROM_MEMORY:
            there = EnvironmentClient(self.caller, environment.project_path, environment.name, {"A-rc1", "B-rc1"})
            there.deploy("A-rc1")
            there.report("A-rc1", "in_progress")
        self.network.proxy.watch()
        self.far.ledger.store.database.forget_connections()
        fine(self.caller.get("/api/releases"))
        self.network.proxy.watch()
        return asked

    def _key(self) -> str:
        return f"key-{self.number:05}"

    def _send(self, asked: Request, key: str | None) -> TestResponse:
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self.caller.send(*asked, headers=headers)

    def _is_done(self, before: int, key: str) -> bool:
        """Whether the request was carried out, as soon as nobody is at it any more."""
        self.far.ledger.store.database.forget_connections()
        self.network.settle()
        kept = self.near.rows("SELECT count(*) AS n FROM idempotency_keys WHERE key = :key", key=key)[0]["n"]
        done = self.near.event_count() - before
        assert done in (0, self.recorded)
        assert kept == 0 or done == self.recorded
        return bool(kept) or done > 0

    def keyed(self, point: Point, way: Way, *, stays_down: bool) -> None:
        """Retried until it is answered: recorded once, answered as the first answer, and told a replay only if so."""
        asked, before = self._next(), self.near.event_count()
        key, was_done, proxy = self._key(), False, self.network.proxy
        proxy.arm(*point, way, proxy.go_down if stays_down else None)
        answer = self._send(asked, key)
        if refused_at_first := answer.status_code == 503:
            assert stays_down, f"503 at {point}, though the network came back"
            unavailable(answer)
            proxy.watch()
            was_done = self._is_done(before, key)
            answer = self._send(asked, key)
        proxy.watch()
        again = self._send(asked, key)

        is_put = asked.method == "PUT"  # keys are for POST and PATCH
        assert is_put or (fine(answer), answer.status_code) == (fine(again), again.status_code)
        assert not is_put or (fine(answer)["tier"], fine(again)["tier"]) == ("production", "production")
        replays = [each.headers.get("Idempotent-Replayed") for each in (answer, again)]
        assert replays == ([None, None] if is_put else ["true" if was_done else None, "true"]), f"cut at {point}"
        assert self.near.event_count() - before == self.recorded
        self._count("with a key", refused_at_first, was_done)

    def without_a_key(self, point: Point, way: Way, *, stays_down: bool) -> None:
        """Once: a success is recorded once, a 503 once or not at all."""
        asked, before, proxy = self._next(), self.near.event_count(), self.network.proxy
        proxy.arm(*point, way, proxy.go_down if stays_down else None)
        answer = self._send(asked, None)
        proxy.watch()

        done = self._is_done(before, "")
        if refused_at_first := answer.status_code == 503:
            assert stays_down, f"503 at {point}, though the network came back"
            unavailable(answer)
        else:
            fine(answer)
            assert done == (self.recorded > 0)
        self._count("without", refused_at_first, done)

    def _count(self, sent: str, refused_at_first: bool, was_done: bool) -> None:
        came = "answered" if not refused_at_first else "503, recorded" if was_done else "503, not recorded"
        self.came[f"{sent}: {came}"] += 1

    def close(self) -> None:
        self.near.close()
        self.far.close()


def unavailable(answer: TestResponse) -> None:
    refused(answer, 503, "ledger_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.fixture
def swept(upgraded_url: str, request_for: Asked) -> Iterator[Sweep]:
    with network(upgraded_url) as cuttable:
        made = Sweep(cuttable, upgraded_url, request_for)
        yield made
        made.close()


def sweep(swept: Sweep, most: int, monkeypatch: pytest.MonkeyPatch, *, last: int = 1, fully: bool = False) -> None:
    ways, count = cycle(WAYS_TO_CUT), 0
    for once in (swept.keyed, swept.without_a_key):
        comes_back = fully or once == swept.keyed
        for point in spread(swept.points(with_key=once == swept.keyed), most if comes_back else 2, last=last):
            if comes_back:
                count += 1
                swept.network.proxy.until_cut(partial(once, point, next(ways), stays_down=False))
            with monkeypatch.context() as patched:
                patched.setattr("release_ledger.store.store.IN_DOUBT_S", 0.05)
                patched.setattr("release_ledger.store.store.CONNECT_S", 0.05)
                count += 1
                swept.network.proxy.until_cut(partial(once, point, next(ways), stays_down=True))
    print(f"{swept.request_for.__name__}: {swept.network.proxy.cuts} cuts, {dict(swept.came)}")
    assert swept.network.proxy.cuts == count
    assert swept.came["with a key: 503, not recorded"] > 0
    assert swept.came["with a key: 503, recorded"] > 0 or swept.request_for is settings


@IN_EACH_WAY
def test_cut_at_some_points(swept: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key exactly once; without one never twice."""
    sweep(swept, 6, monkeypatch)


@pytest.mark.soak
@IN_EACH_WAY
def test_cut_at_many_points(swept: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, hundreds of times."""
    sweep(swept, 22, monkeypatch, last=7, fully=True)
