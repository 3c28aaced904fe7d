"""429: one token's requests are counted, and wrong tokens of one address. The clock is the tests'."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from release_ledger.access import digest
from release_ledger.api import create_app
from release_ledger.api.rates import WINDOW_S, WRONG_TOKENS_PER_S, Buckets, Rates
from release_ledger.ledger.remembered import Remembered
from release_ledger.settings import Settings

from .client import OPERATOR, REPO, Client, Service, fine, refused

PER_S: Final = 2
BURST: Final = PER_S * WINDOW_S
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Clock:
    """Seconds, which pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.25

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(service: Service, clock: Clock) -> Service:
    """A service that takes two requests a second of a token, and two wrong tokens of an address."""
    service.app.extensions["rates"] = Rates(PER_S, PER_S, clock)
    return service


@pytest.fixture
def lookups(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests that the database was asked for, in their order."""
    asked: list[str] = []
    token = service.ledger.token

    def counted(token_sha256: str) -> Any:
        asked.append(token_sha256)
        return token(token_sha256)

    monkeypatch.setattr(service.ledger, "token", counted)
    return asked


def ask(client: Client, address: str = HERE, **given: Any) -> TestResponse:
    """A question from this address."""
    client.http.environ_base["REMOTE_ADDR"] = address
    return client.get("/api/releases", **given)


def guess(service: Service, number: object, address: str = HERE, **given: Any) -> TestResponse:
    """A question with a token that nobody ever had."""
    return ask(Client(service.app.test_client(), f"rl_guess-{number}"), address, **given)


def is_too_many(answer: TestResponse, retry_after_s: int = 1) -> None:
    body = refused(answer, 429, "too_many_requests", "Too many requests")
    assert set(body) == {"error", "code"}
    assert answer.headers["Retry-After"] == str(retry_after_s)


def test_a_token_has_a_burst_and_then_its_rate(service: Service, clock: Clock) -> None:
    """Ten seconds' worth at once; then as many as time brings, and a whole burst again after ten quiet seconds."""
    client = service.client("read")

    for _ in range(BURST):
        fine(ask(client))
    is_too_many(ask(client))
    is_too_many(ask(client))  # to be refused costs nothing
    clock.now_s += 1
    for _ in range(PER_S):
        fine(ask(client))
    is_too_many(ask(client))
    clock.now_s += 100 * WINDOW_S
    for _ in range(BURST):
        fine(ask(client))
    is_too_many(ask(client))


def test_tokens_are_counted_apart(service: Service) -> None:
    """A pipeline in a loop does not stop another, wherever both come from."""
    busy, quiet = service.client("read"), service.client("read")

    for _ in range(BURST):
        fine(ask(busy))

    is_too_many(ask(busy, ELSEWHERE))
    fine(ask(quiet))


def test_a_client_that_waits_as_it_is_told_is_served(service: Service, clock: Clock) -> None:
    """`Retry-After` is long enough, in whole seconds, also for a rate below one in many seconds."""
    client = service.client("read")
    service.app.extensions["rates"].of_tokens = Buckets(1, clock)
    for _ in range(WINDOW_S):
        fine(ask(client))
    clock.now_s += 0.25

    answer = ask(client)
    is_too_many(answer)
    clock.now_s += int(answer.headers["Retry-After"])

    fine(ask(client))


def test_it_is_decided_after_the_token_and_before_its_role(service: Service) -> None:
    """A caller who may not, and is too fast, is told of being too fast; one that is nobody is told that."""
    reader = service.client("read")
    for _ in range(BURST):
        refused(reader.put("/api/releases/web", {"repo": REPO}), 403, "forbidden")

    is_too_many(reader.put("/api/releases/web", b"{", headers={"Idempotency-Key": " "}))
    refused(guess(service, "x"), 401, "unauthorized")


def test_wrong_tokens_of_one_address_are_not_looked_up_for_ever(
    service: Service, clock: Clock, lookups: list[str]
) -> None:
    """After a burst of guesses the database is left alone until time has brought a new one; others go on guessing."""
    for number in range(BURST):
        refused(guess(service, number), 401, "unauthorized")

    for number in range(BURST, 3 * BURST):
        is_too_many(guess(service, number))

    assert len(lookups) == BURST
    refused(guess(service, "other", ELSEWHERE), 401, "unauthorized")
    clock.now_s += 1 / PER_S
    refused(guess(service, "late"), 401, "unauthorized")
    is_too_many(guess(service, "too-late"))


def test_a_token_that_opened_before_still_opens_beside_a_guesser(service: Service, lookups: list[str]) -> None:
    """Behind one proxy all have one address: who was served before is served on, remembered by the ledger or not."""
    client, new = service.client("read"), service.client("read")
    fine(ask(client))
    for number in range(BURST):
        refused(guess(service, number), 401, "unauthorized")
    lookups.clear()

    fine(ask(client))
    service.ledger.remembered = Remembered()
    fine(ask(client))

    assert lookups[-1:] == [digest(str(client.token))]
    is_too_many(ask(new))
    fine(ask(new, ELSEWHERE))
    fine(ask(new))


def test_a_token_that_opens_no_more_is_a_wrong_one(service: Service, lookups: list[str]) -> None:
    """A revoked token in a pipeline that nobody stopped costs the database no more than a guess does."""
    client = service.client("read", name="ci")
    fine(ask(client))
    service.ledger.revoke_token("ci", by=OPERATOR)
    lookups.clear()

    for _ in range(BURST):
        refused(ask(client), 401, "unauthorized")

    is_too_many(ask(client))
    assert len(lookups) == BURST


def test_a_token_that_must_be_looked_up_again_is_counted_once(service: Service, clock: Clock) -> None:
    """Whatever is done to other tokens meanwhile, a burst is a burst."""
    client = service.client("read")
    for number in range(BURST):
        fine(ask(client))
        service.token("read", name=f"another-{number}")

    is_too_many(ask(client))
    clock.now_s += 1
    for _ in range(PER_S):
        fine(ask(client))


def test_a_forged_address_is_no_other_address(service: Service) -> None:
    """`X-Forwarded-For` and its like are what the guesser likes them to be."""
    for number in range(BURST):
        guess(service, number, headers={"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=10.0.0.{number}"})

    is_too_many(guess(service, "more", headers={"X-Forwarded-For": "203.0.113.99", "X-Real-IP": "203.0.113.99"}))


def test_neither_the_open_pages_nor_a_missing_token_are_limited(service: Service) -> None:
    """A probe of health is never refused, and no token at all costs the database nothing."""
    for number in range(BURST + 1):
        guess(service, number)
    stranger = service.stranger()
    stranger.http.environ_base["REMOTE_ADDR"] = HERE

    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        for _ in range(BURST + 1):
            assert stranger.get(path).status_code == 200
    for _ in range(BURST + 1):
        refused(stranger.get("/api/releases"), 401, "unauthorized")


def test_refusals_are_counted_and_say_nothing(service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    """`/metrics` shows them; no token is in the log, neither the wrong ones nor the good ones."""
    client = service.client("read")
    for number in range(BURST + 3):
        guess(service, number)
        ask(client)
    is_too_many(ask(client))

    measured = service.client("admin").send("GET", "/metrics", environ_base={"REMOTE_ADDR": ELSEWHERE}).text

    assert [line for line in measured.splitlines() if 'status="429"' in line and "list_projects" in line]
    printed = capfd.readouterr()
    for secret in ("rl_guess", str(client.token), digest(str(client.token)), HERE):
        assert secret not in printed.out + printed.err + measured


@pytest.mark.parametrize(("limit", "answers"), [(1, {200, 429}), (0, {200})])
def test_the_setting_reaches_the_application(
    upgraded_url: str, limit: int, answers: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request a second is ten at once; 0 is no limit, of guesses neither."""
    service = Service(upgraded_url)
    app = create_app(Settings(database_url=upgraded_url, rate_limit=limit), ledger=service.ledger)
    client = Client(app.test_client(), service.token("read"))

    assert {ask(client).status_code for _ in range(WINDOW_S + 10)} == answers
    strangers = app.extensions["rates"].of_strangers
    monkeypatch.setattr(strangers, "_clock", lambda: 0.0)
    for _ in range(WRONG_TOKENS_PER_S * WINDOW_S):
        strangers.take(HERE)
    assert ask(Client(app.test_client(), "rl_wrong")).status_code == (429 if limit else 401)
    service.close()


def test_the_limit_is_counted_over_many_threads(service: Service) -> None:
    """Requests at once are each counted: of four times a burst, one burst is served."""
    token = service.token("read")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(Client(service.app.test_client(), token)).status_code, range(4 * BURST)))

    assert sorted(answers) == [200] * BURST + [429] * 3 * BURST
