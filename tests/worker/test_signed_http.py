"""Workflows of kind `http`: a signed POST, and the status by PATCH."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from release_ledger.events import DeploymentTriggered, DeploymentTriggerFailed
from release_ledger.ledger import Ledger
from release_ledger.settings import Settings
from release_ledger.versions import read_moment
from release_ledger.worker.signed_http import signature
from tests.support.github_faults import Asked, Exchange, Fault, Listener, Reply
from tests.support.github_stand_in import StandIn
from tests.support.working import API, Shop, commit, eventually, settings_for, working
from tests.worker.test_triggering import events

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """A receiver on loopback that answers 200 unless it is told otherwise."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self._listener = Listener(self._fault, lambda _: Reply(200, b"", {}), self.exchanges.append)
        self.url = f"{self._listener.url}/hook"

    def _fault(self, _: Asked) -> Fault | None:
        return self.faults.pop(0) if self.faults else None

    def release(self) -> None:
        """Answer whatever hangs."""
        self._listener.ending.set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        self._listener.start()
        try:
            yield
        finally:
            self._listener.end()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with made.listening():
        yield made


@pytest.fixture
def hooked(ledger: Ledger, receiver: Receiver) -> Shop:
    return Shop(ledger, "production", workflow={"kind": "http", "url": receiver.url, "parameters": {"to": "${commit}"}})


def settings(url: str) -> Settings:
    return Settings(database_url=url, http_secret=SECRET)


def test_a_message_is_signed_as_the_standard_says() -> None:
    """A vector of the Standard Webhooks libraries."""
    body = b'{"test": 2432232314}'

    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_deployment_is_posted_and_signed(hooked: Shop, receiver: Receiver, upgraded_url: str) -> None:
    """The id is the deployment's, the signature over the very bytes."""
    deployment = hooked.deploy()

    with working(hooked.ledger, settings(upgraded_url)):
        assert eventually(lambda: events(hooked.ledger, DeploymentTriggered))

    asked = receiver.exchanges[0].asked
    assert asked.headers["webhook-id"] == deployment
    signed = f"{deployment}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == f"v1,{expected}"
    said: dict[str, Any] = json.loads(asked.body)
    assert said["inputs"]["aviator_deployment_id"] == said["id"] == deployment
    assert said["inputs"]["to"] == said["commit"] == commit(1)
    assert hooked.report("success", id=deployment)["status"] == "success"


def test_a_receiver_that_is_busy_is_asked_again(hooked: Shop, receiver: Receiver, upgraded_url: str) -> None:
    """The id stays, so that it can tell a repetition."""
    busy = Fault(name="503", status=503)
    receiver.faults = [busy, replace(busy, status=429), replace(busy, status=500)]
    hooked.deploy()

    with working(hooked.ledger, settings(upgraded_url)):
        assert eventually(lambda: events(hooked.ledger, DeploymentTriggered))

    assert len(events(hooked.ledger, DeploymentTriggerFailed)) == 3
    assert len({each.asked.headers["webhook-id"] for each in receiver.exchanges}) == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(name="cut after", cut=True, taken=True), "may have been triggered"),
        (Fault(name="400", status=400), "answered 400"),
        (Fault(name="302", status=304), "answered 304"),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_what_cannot_be_known_or_mended_is_an_error(
    fault: Fault, message: str, hooked: Shop, receiver: Receiver, upgraded_url: str
) -> None:
    """It is not posted again by itself."""
    receiver.faults = [fault]
    deployment = hooked.deploy()

    with working(hooked.ledger, settings(upgraded_url)):
        ended = hooked.becomes("error", deployment)

    assert message in ended["error_message"]
    assert len(receiver.exchanges) == 1


def test_the_pause_that_a_receiver_asks_for_is_kept(hooked: Shop, receiver: Receiver, upgraded_url: str) -> None:
    """However short ours would be."""
    receiver.faults = [Fault(name="429", status=429, headers={"Retry-After": "1"})]
    hooked.deploy()

    with working(hooked.ledger, settings(upgraded_url)):
        assert eventually(lambda: events(hooked.ledger, DeploymentTriggered))

    (failed,), (started,) = events(hooked.ledger, DeploymentTriggerFailed), events(hooked.ledger, DeploymentTriggered)
    assert (read_moment(started.recorded_at) - read_moment(failed.recorded_at)).total_seconds() >= 0.9


def test_receivers_that_hang_hold_up_nobody_else(
    hooked: Shop, receiver: Receiver, github: StandIn, upgraded_url: str
) -> None:
    """However many wait for them: only so many calls of one origin are made at once."""
    names = [f"a{number}" for number in range(24)]
    Shop(hooked.ledger, *names, workflow={"kind": "http", "url": receiver.url})
    receiver.faults = [Fault(name="hangs", status=503, late_s=60)] * 100
    for name in names:
        hooked.deploy(name)
    Shop(hooked.ledger, "zeta")
    try:
        with working(hooked.ledger, settings_for(upgraded_url, github, http_secret=SECRET)):
            assert eventually(lambda: len(receiver.exchanges) >= 6)
            deployment = hooked.deploy("zeta")
            assert eventually(lambda: github.started[deployment] == 1, within_s=5)
            receiver.release()
    finally:
        receiver.release()


def test_without_a_secret_nothing_is_posted(hooked: Shop, receiver: Receiver, upgraded_url: str) -> None:
    """The deployment says which setting is missing."""
    deployment = hooked.deploy()

    with working(hooked.ledger, Settings(database_url=upgraded_url)):
        ended = hooked.becomes("error", deployment)

    assert "RELEASE_LEDGER_HTTP_SECRET" in ended["error_message"]
    assert not receiver.exchanges


def test_a_private_address_is_not_called(ledger: Ledger, upgraded_url: str) -> None:
    """Neither named nor behind a name; the settings were saved when it was allowed, say."""
    shop = Shop(ledger, "production", workflow={"kind": "http", "url": "https://10.0.0.1/hook"})
    ledger.environment("shop", "production")
    deployment = ledger.deploy("shop", "production", release_candidate_version="1.1-rc1", by=API)[0]["id"]

    with working(ledger, settings(upgraded_url)):
        ended = shop.becomes("error", deployment)

    assert "10.0.0.1" in ended["error_message"]
