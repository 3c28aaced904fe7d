"""GitHub Actions as we ask it, over real sockets, every exchange judged by GitHub's own description."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from release_ledger.github import GitHub, Run, Started, run_of
from release_ledger.outgoing import Outgoing, Trouble
from tests.outgoing.conftest import SHA, TOKEN
from tests.support.github_contract import WEBHOOKS
from tests.support.github_faults import (
    BAD_GATEWAY,
    BAD_GATEWAY_AFTER,
    BROKEN,
    CUT_AFTER,
    CUT_BEFORE,
    EVERY,
    GARBAGE,
    HUGE,
    INVALID,
    LIMITED,
    LIMITED_AS_403,
    NOT_FOUND,
    SLOW,
    TRICKLED,
    UNAUTHORIZED,
    UNAVAILABLE,
    Fault,
    moved,
)
from tests.support.github_stand_in import StandIn

INPUTS = {"aviator_deployment_id": "d-1", "tier": "gold"}
WITHIN_S = 1.5


@pytest.fixture
def github(stand_in: StandIn) -> GitHub:
    return GitHub(stand_in.url, TOKEN, Outgoing(within_s=WITHIN_S))


def start(github: GitHub, deployment: str = "d-1") -> Started:
    return github.dispatch("acme/shop", "deploy.yml", "main", {"aviator_deployment_id": deployment})


def trouble(ask: Callable[[], object]) -> Trouble:
    with pytest.raises(Trouble) as caught:
        ask()
    return caught.value


def test_a_repository_and_a_commit_are_there_or_not(github: GitHub) -> None:
    """Unknown ones are an answer, not trouble: GitHub says 404 for the one and 422 for the other."""
    assert github.has_repository("acme/shop")
    assert github.has_commit("acme/shop", SHA)
    assert github.has_commit("acme/shop", SHA.upper())
    assert not github.has_repository("acme/unknown")
    assert not github.has_commit("acme/unknown", SHA)
    assert not github.has_commit("acme/shop", "0" * 40)


def test_a_branch_whose_name_could_be_asked_for_is_no_commit(github: GitHub, stand_in: StandIn) -> None:
    """GitHub resolves branches and tags at the same address; the answer must be the commit itself."""
    stand_in.fail_next(Fault(name="a branch", status=200, body=b'{"sha": "%s"}' % SHA.encode()))

    assert not github.has_commit("acme/shop", "f" * 40)


def test_an_empty_repository_has_no_commit(github: GitHub, stand_in: StandIn) -> None:
    """GitHub answers 409 there."""
    stand_in.fail_next(Fault(name="409", status=409, body=b'{"message": "Git Repository is empty."}'))

    assert not github.has_commit("acme/shop", SHA)


def test_a_dispatch_says_which_run_it_became(github: GitHub, stand_in: StandIn) -> None:
    """The id and the page of the run come with the answer, and the inputs arrive as they were given."""
    started = github.dispatch("acme/shop", "deploy.yml", "main", INPUTS)

    run = stand_in.runs[int(started.run_id or 0)]
    assert started.url == f"https://github.com/acme/shop/actions/runs/{run.id}"
    assert run.inputs == INPUTS
    assert stand_in.started == {"d-1": 1}


def test_a_server_that_does_not_know_run_details_is_asked_without(github: GitHub, stand_in: StandIn) -> None:
    """Older GitHub Enterprise Servers refuse the field, and have done nothing then."""
    stand_in.returns_details = False

    started = start(github)

    assert started == Started(None, None)
    assert stand_in.started == {"d-1": 1}
    assert [exchange.reply.status for exchange in stand_in.exchanges] == [422, 204]


def test_a_dispatch_refused_for_another_reason_is_final_with_its_message(github: GitHub) -> None:
    """Not asked again without the field: that would not help, and hide the reason."""
    found = trouble(lambda: github.dispatch("acme/shop", "deploy.yml", "no-such-branch", INPUTS))

    assert "No ref found for: no-such-branch" in found.message
    assert (found.final, found.maybe_done) == (True, False)


def test_a_workflow_that_does_not_exist_is_final(github: GitHub) -> None:
    """404 for a dispatch ends the deployment."""
    found = trouble(lambda: github.dispatch("acme/shop", "unknown.yml", "main", INPUTS))

    path = "/repos/acme/shop/actions/workflows/unknown.yml/dispatches"
    assert found.message == f"GitHub answered 404 to POST {path}: Not Found"
    assert (found.final, found.maybe_done) == (True, False)


def test_a_run_is_followed_from_queued_to_its_end(github: GitHub, stand_in: StandIn) -> None:
    """Its title shows the deployment where the workflow's run-name does; an unknown run is None."""
    run_id = start(github).run_id or ""

    queued = github.run("acme/shop", run_id)
    stand_in.finish(run_id, "failure")
    ended = github.run("acme/shop", run_id)

    assert queued is not None
    assert ended is not None
    assert (queued.id, queued.title, queued.status, queued.conclusion) == (run_id, "Deploy d-1", "queued", None)
    assert (ended.status, ended.conclusion, ended.attempt) == ("completed", "failure", 1)
    assert github.run("acme/shop", "1") is None


def test_runs_progress_by_themselves_where_the_test_says_so(github: GitHub, stand_in: StandIn) -> None:
    """The stand-in queues a run for a third of its time, then runs it, then ends it."""
    stand_in.takes_s, stand_in.concludes = 0.3, lambda inputs: "timed_out"
    run_id = start(github).run_id or ""

    seen: list[str | None] = [None]
    while seen[-1] != "completed":
        run = github.run("acme/shop", run_id)
        seen.append(run.status if run else None)
        time.sleep(0.02)

    assert list(dict.fromkeys(seen)) == [None, "queued", "in_progress", "completed"]
    assert stand_in.workflow_run(run_id)["conclusion"] == "timed_out"


def test_the_runs_since_a_moment_are_listed_page_by_page(github: GitHub, stand_in: StandIn) -> None:
    """Newest first, three pages at most: a lost answer is looked for among these. Threads share one GitHub."""
    with ThreadPoolExecutor(8) as threads:
        started = list(threads.map(lambda number: start(github, f"d-{number}"), range(305)))
    stand_in.exchanges[20:] = []

    found = github.runs("acme/shop", "deploy.yml", datetime(2026, 1, 1, microsecond=7, tzinfo=UTC))

    assert stand_in.started == {f"d-{number}": 1 for number in range(305)}
    assert [run.id for run in found] == sorted((each.run_id or "" for each in started), reverse=True)[:300]
    assert [exchange.asked.query["page"] for exchange in stand_in.exchanges[20:]] == ["1", "2", "3"]
    assert {exchange.asked.query["event"] for exchange in stand_in.exchanges[20:]} == {"workflow_dispatch"}
    assert {exchange.asked.query["created"] for exchange in stand_in.exchanges[20:]} == {">=2026-01-01T00:00:00Z"}


def test_the_last_page_of_runs_ends_the_list(github: GitHub, stand_in: StandIn) -> None:
    """One request where one is enough; none since a moment to come; an unknown workflow is trouble."""
    run_id = start(github).run_id

    assert [run.id for run in github.runs("acme/shop", "deploy.yml", datetime(2026, 1, 1, tzinfo=UTC))] == [run_id]
    assert len(stand_in.exchanges) == 2
    assert github.runs("acme/shop", "deploy.yml", datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert trouble(lambda: github.runs("acme/shop", "unknown.yml", datetime(2026, 1, 1, tzinfo=UTC))).final


def test_a_run_is_canceled_once(github: GitHub, stand_in: StandIn) -> None:
    """False says that it had ended already; an unknown run is final trouble."""
    run_id = start(github).run_id or ""

    assert github.cancel("acme/shop", run_id)
    assert not github.cancel("acme/shop", run_id)
    assert stand_in.workflow_run(run_id)["conclusion"] == "cancelled"
    assert trouble(lambda: github.cancel("acme/shop", "1")).final


def test_a_renamed_repository_is_followed(github: GitHub, stand_in: StandIn) -> None:
    """301 for what is read and 307 for what is done: the same method, the same body, once."""
    stand_in.rename("acme/shop", "acme/store")

    assert github.has_repository("acme/shop")
    assert start(github).run_id is not None
    assert stand_in.started == {"d-1": 1}


@pytest.mark.parametrize(
    ("fault", "final", "maybe_done", "retry_after_s", "says"),
    [
        (BROKEN, False, True, None, "answered 500"),
        (BAD_GATEWAY, False, True, None, "answered 502"),
        (BAD_GATEWAY_AFTER, False, True, None, "answered 502"),
        (UNAVAILABLE, False, False, None, "answered 503"),
        (LIMITED, False, False, 1.0, "answered 429"),
        (LIMITED_AS_403, False, False, 0.0, "answered 403"),
        (UNAUTHORIZED, False, False, None, "answered 401"),
        (Fault(name="403", status=403), False, False, None, "answered 403"),
        (NOT_FOUND, True, False, None, "answered 404"),
        (INVALID, True, False, None, "A fault on demand"),
        (CUT_BEFORE, False, True, None, "ended the connection"),
        (CUT_AFTER, False, True, None, "ended the connection"),
        (GARBAGE, False, True, None, "cannot be read"),
        (HUGE, False, True, None, "more than 1048576 bytes"),
        (SLOW, False, True, None, "did not answer within 1.5 s"),
        (TRICKLED, False, True, None, "did not answer within 1.5 s"),
        (Fault(name="303", status=303, headers={"Location": "/"}), False, True, None, "answered 303"),
        (moved(307, "http://10.0.0.1/"), True, False, None, "neither https nor on loopback"),
        (moved(307, "https://10.0.0.1/"), True, False, None, "private address"),
        (Fault(name="no id", status=200, body=b'{"workflow_run_id": true}'), False, True, None, "cannot be read"),
        (Fault(name="deep", status=200, body=b"[" * 100_000), False, True, None, "cannot be read"),
    ],
    ids=lambda each: each.name if isinstance(each, Fault) else "",
)
def test_each_way_to_fail_says_what_may_be_done_next(
    github: GitHub,
    stand_in: StandIn,
    fault: Fault,
    final: bool,
    maybe_done: bool,
    retry_after_s: float | None,
    says: str,
) -> None:
    """Whether trying again can help, whether the workflow may have started, how long to wait, and why: in a sentence
    without the token."""
    stand_in.fail_next(fault)
    began_at = time.monotonic()

    found = trouble(lambda: start(github))

    assert (found.final, found.maybe_done, found.retry_after_s) == (final, maybe_done, retry_after_s)
    assert says in found.message
    assert TOKEN not in repr(found)
    assert time.monotonic() - began_at < WITHIN_S + 1
    assert sum(stand_in.started.values()) == (1 if fault.taken else 0)


def test_each_fault_is_over_with_its_request(github: GitHub, stand_in: StandIn) -> None:
    """The next call succeeds, once the pause is over that was asked for. What GitHub started is known to be started,
    or may have been, by what we know."""
    for fault in EVERY:
        fault = replace(fault, headers={**fault.headers, "Retry-After": "0"}) if fault is LIMITED else fault
        stand_in.fail_next(fault)

        found = trouble(lambda fault=fault: start(github, fault.name))  # type: ignore[misc]

        assert found.maybe_done or not fault.taken
        assert stand_in.started[fault.name] == (1 if fault.taken else 0)
        assert start(github, fault.name).run_id is not None


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "999999999"}, 3_600.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2150 07:28:00 GMT"}, 3_600.0),
        ({"Retry-After": "9" * 400}, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "99999999999"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}, 3_600.0),
        ({"x-ratelimit-remaining": "0"}, None),
    ],
)
def test_the_pause_that_github_asks_for_is_bounded(
    github: GitHub, stand_in: StandIn, headers: dict[str, str], pause_s: float | None
) -> None:
    """From 0 to 3,600 s; what is no number asks for nothing."""
    stand_in.fail_next(Fault(name="limited", status=403, headers=headers))

    assert trouble(lambda: start(github)).retry_after_s == pause_s


def test_a_pause_that_was_asked_for_is_obeyed_by_whatever_asks_next(github: GitHub, stand_in: StandIn) -> None:
    """A token has one limit for all of its calls."""
    stand_in.fail_next(replace(LIMITED, headers={"Retry-After": "1"}))
    trouble(lambda: start(github))
    asked = len(stand_in.exchanges)

    found = trouble(lambda: github.run("acme/shop", "1"))

    assert (len(stand_in.exchanges), found.final, found.maybe_done) == (asked, False, False)
    assert 0 < (found.retry_after_s or 0) <= 1
    time.sleep(1)
    assert github.has_repository("acme/shop")


def test_a_limit_that_is_said_in_words_only_asks_for_a_minute(github: GitHub, stand_in: StandIn) -> None:
    """As GitHub's description of its secondary limits says; any other 403 or 401 is a refusal."""
    said = b'{"message": "You have exceeded a secondary rate limit."}'
    refused = Fault(name="403", status=403)
    stand_in.fail_next(refused, replace(refused, body=said))

    assert trouble(lambda: start(github)).refused
    limited = trouble(lambda: start(github))

    assert (limited.refused, limited.retry_after_s) == (False, 60.0)


def test_no_dispatch_begins_too_late(github: GitHub, stand_in: StandIn) -> None:
    """Neither the first call nor the second, which an older server needs; nothing was done then, for certain."""
    late = trouble(lambda: github.dispatch("acme/shop", "deploy.yml", "main", {}, time.monotonic() - 0.1))
    assert (late.final, late.maybe_done, stand_in.exchanges) == (False, False, [])

    stand_in.fail_next(Fault(name="slow", status=422, late_s=0.4, body=b'{"message": "return_run_details?"}'))
    late = trouble(lambda: github.dispatch("acme/shop", "deploy.yml", "main", {}, time.monotonic() + 0.3))

    assert (late.final, late.maybe_done, len(stand_in.exchanges)) == (False, False, 1)
    assert "held up" in late.message


def test_githubs_message_is_told_on_one_line_cut_and_without_the_token(
    github: GitHub, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever an answer repeats, the token is in no error, and in no log line of any library."""
    caplog.set_level(logging.DEBUG)
    said = b'{"message": "Bad\\n\\ud800\\u0000 %s %s"}' % (TOKEN.encode(), b"x" * 2_000)
    stand_in.fail_next(Fault(name="chatty", status=422, body=said))

    found = trouble(lambda: start(github))

    assert ": Bad … xxx" in found.message
    assert len(found.message) < 700
    assert found.message.isprintable()
    assert TOKEN not in repr(found) + caplog.text


def test_names_cannot_lead_to_another_path(github: GitHub, stand_in: StandIn) -> None:
    """Each part is quoted, and dots are no name."""
    assert not github.has_repository("acme/shop?x=1#/../y")
    assert [exchange.asked.path for exchange in stand_in.exchanges] == [("repos", "acme", "shop?x=1#/../y")]
    for repo in ("..", "acme", "acme/..", "/shop"):
        assert trouble(lambda repo=repo: github.has_repository(repo)).final  # type: ignore[misc]


def test_without_a_token_none_is_sent() -> None:
    """A public repository can be asked for without."""
    with StandIn() as stand_in:
        stand_in.add_repository("acme/shop")

        assert GitHub(stand_in.url, None, Outgoing()).has_repository("acme/shop")

        assert "authorization" not in stand_in.exchanges[0].asked.headers


def test_real_webhooks_have_a_run_in_them() -> None:
    """Also those from years ago, which lack fields that GitHub's description asks for."""
    found = [run_of(payload["workflow_run"]) for payload in WEBHOOKS]

    assert found[1] == Run(
        id="289782451",
        url="https://github.com/octo-org/octo-repo/actions/runs/289782451",
        title="ci(action): update actions/setup-node digest to 8c91899",
        status="completed",
        conclusion="success",
        attempt=1,
        updated_at="2020-10-05T16:33:49Z",
    )
    assert [run.status for run in found] == ["queued", "completed", "completed", "queued", "completed"]
    assert found[0].title == "Manually triggered workflow"


def test_what_an_old_server_leaves_out_is_filled_in() -> None:
    """No attempt is the first, no title is the name, or empty."""
    least = {"id": 7, "html_url": "https://x/7", "status": "queued", "updated_at": "2020-10-05T16:33:49Z"}

    assert run_of(least) == Run("7", "https://x/7", "", "queued", None, 1, "2020-10-05T16:33:49Z")
    assert run_of({**least, "name": "CI", "run_attempt": 3}).title == "CI"


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None},
        {"id": True},
        {"id": "7"},
        {"id": -1},
        {"html_url": None},
        {"status": None},
        {"updated_at": None},
        {"updated_at": "yesterday"},
        {"updated_at": "2020-10-05T16:33:49"},
        {"conclusion": 1},
        {"run_attempt": "2"},
    ],
    ids=str,
)
def test_what_is_no_run_is_refused(wrong: dict[str, object]) -> None:
    """ValueError, whatever came."""
    with pytest.raises(ValueError, match=r"a run|isoformat"):
        run_of({**WEBHOOKS[1]["workflow_run"], **wrong})
