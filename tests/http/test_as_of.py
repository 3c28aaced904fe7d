"""`as_of` and `as_of_version`: what the ledger would have answered then; and what changed between two moments."""

import re
from typing import Any, Final

import pytest

from .client import BOTH_DATABASES, EnvironmentClient, Service, alone, fine, refused

QUESTIONS: Final = ("", "/deployments", "/deployments/{id}", "/rollback", "/running")
LATER: Final = "2999-01-01T00:00:00Z"


def asked(production: EnvironmentClient, question: str, **query: Any) -> Any:
    shown = production.client.get(production.path + question, query_string=query)
    return fine(shown), shown.headers["ETag"]


def at(production: EnvironmentClient, version: int) -> str:
    (event,) = fine(production.client.get(f"{production.path}/history?after={version - 1}&limit=1"))
    return str(event["recorded_at"])


@BOTH_DATABASES
def test_what_was_answered_then(production: EnvironmentClient) -> None:
    """By version and by time, with the tag of then; what came after is not known yet."""
    production.deploy("A-rc1")
    production.report("A-rc1", "success")
    made = production.deploy("B-rc1", reason="weekly")
    questions = [question.format(id=made["id"]) for question in QUESTIONS]
    then = [asked(production, question) for question in questions]

    production.report("B-rc1", "success", error_message="none")
    production.ran("C-rc1")
    fine(production.client.put(production.path, {"tier": "production"}))

    assert [asked(production, question, as_of_version=4) for question in questions] == then
    assert [asked(production, question, as_of=at(production, 4)) for question in questions] == then
    assert [asked(production, question) for question in questions] != then
    assert then[0][1] == '"4"'


def test_pages_and_filters(production: EnvironmentClient) -> None:
    """Counted and filtered as they were then; the links ask for the same moment."""
    production.ran("A-rc1", "B-rc1", "A-rc1")
    production.report("A-rc1", "failure")
    production.ran("C-rc1")

    def numbers(query: str) -> list[int]:
        answer = production.client.get(f"{production.deployments_path}?as_of_version=7&{query}")
        return [each["number"] for each in fine(answer)]

    answer = production.client.get(f"{production.deployments_path}?as_of_version=7&per_page=2&status=success")
    assert numbers("") == [3, 2, 1]
    assert numbers("per_page=2&page=2") == [1]
    assert numbers("status=success") == [3, 2, 1]
    assert numbers("status=success&per_page=2&page=2") == [1]
    assert numbers("status=failure") == numbers("status=pending") == numbers("release_candidate_version=C-rc1") == []
    assert numbers("status=success&release_candidate_version=A-rc1") == [3, 1]
    corrected = production.client.get(f"{production.deployments_path}?as_of_version=8&status=success&per_page=1&page=2")
    assert [each["number"] for each in fine(corrected)] == [1]
    assert "as_of_version=7&status=success&page=2&per_page=2" in answer.headers["Link"]


@BOTH_DATABASES
@pytest.mark.parametrize("at_once", [1, 2, 50])
def test_what_was_corrected_since(production: EnvironmentClient, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filtered by the status of then, in pages, however many have another one now."""
    monkeypatch.setattr("release_ledger.ledger.past_rows.AT_ONCE", at_once)
    made = [production.deploy(version) for version in ("A-rc1", "B-rc1", "C-rc1", "D-rc1")]
    for deployment in made:
        production.report(deployment["release_candidate_version"], "success", id=deployment["id"])
    for deployment in (made[0], made[2]):
        production.report(deployment["release_candidate_version"], "failure", id=deployment["id"])
    production.report("C-rc1", "success", id=made[2]["id"])

    def numbers(version: int, status: str) -> list[int]:
        pages = [
            fine(production.client.get(f"{production.deployments_path}?as_of_version={version}&status={status}&{page}"))
            for page in ("per_page=2&page=1", "per_page=2&page=2")
        ]
        assert len(pages[0]) == 2 or pages[1] == []
        return [each["number"] for page in pages for each in page]

    assert [numbers(version, "success") for version in (8, 9, 10, 11, 12)] == [
        [3, 2, 1], [4, 3, 2, 1], [4, 3, 2], [4, 2], [4, 3, 2],
    ]  # fmt: skip
    assert [numbers(version, "failure") for version in (9, 10, 11, 12)] == [[], [1], [3, 1], [1]]


def folded(*_: object) -> None:
    raise AssertionError("the stream was folded")


@BOTH_DATABASES
def test_nothing_is_folded_however_many_were_corrected(
    production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that had the status come from their own events, a page of them at a time; pages are as they were."""
    monkeypatch.setattr("release_ledger.ledger.past_rows.AT_ONCE", 2)
    monkeypatch.setattr("release_ledger.ledger.as_of.fold_streams", folded)
    made = [production.deploy(f"{name}-rc1") for name in "ABCDEFGHI"]
    for deployment in made:
        production.report(deployment["release_candidate_version"], "success", id=deployment["id"])
    then = int(asked(production, "")[1].strip('"'))
    lists = [f"/deployments?status=success&per_page={size}&page={page}" for size in (1, 2, 4) for page in range(1, 10)]
    lists.append("/deployments?status=success&release_candidate_version=C-rc1")
    answers = [asked(production, f"{question}&as_of_version={then}") for question in lists]

    for deployment in (made[7], made[2], made[0], made[3], made[5]):
        production.report(deployment["release_candidate_version"], "failure", id=deployment["id"])

    assert [asked(production, f"{question}&as_of_version={then}") for question in lists] == answers
    assert [each["number"] for each in answers[0][0] + answers[9][0]] == [9, 9, 8]


def test_a_deployment_of_more_events_than_its_row_names(
    production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was since its newest event nothing is folded; amid its events the history is, and says the same."""
    monkeypatch.setattr("release_ledger.projections.deployments.EVENTS_NAMED", 3)
    made = production.deploy("A-rc1")
    then = []
    for number in range(5):
        production.report("A-rc1", "in_progress", id=made["id"], error_message=f"step {number}")
        then.append(asked(production, "/deployments"))
    production.report("A-rc1", "success", id=made["id"])
    newest = asked(production, "/deployments")
    fine(production.client.put(production.path, {"tier": "production"}))

    assert [asked(production, "/deployments", as_of_version=version) for version in range(3, 8)] == then
    monkeypatch.setattr("release_ledger.ledger.as_of.fold_streams", folded)
    assert asked(production, "/deployments", as_of_version=8) == newest


def test_a_freeze_as_it_stood(production: EnvironmentClient) -> None:
    """Evaluated at the moment that is asked for: frozen then, though it has been lifted; not yet, before."""
    fine(production.client.put(f"{production.path}/freeze", {"reason": "audit", "until": LATER}))
    production.client.delete(f"{production.path}/freeze")

    assert [asked(production, "", as_of_version=version)[0]["frozen"] for version in (1, 2, 3)] == [False, True, False]
    assert asked(production, "/rollback", as_of_version=2)[0]["frozen"]
    assert asked(production, "", as_of_version=2)[0]["freeze"]["frozen_by"] == "dev@example.com"


@BOTH_DATABASES
def test_a_candidate_that_was_not_cut_yet(production: EnvironmentClient) -> None:
    """A rollback `to` it would have been refused for that; to one that was cut and never ran here, led nowhere."""
    production.cut("A-rc1")
    production.ran("B-rc1")
    before = at(production, 3)
    production.cut("C-rc1")
    production.ran("C-rc1")

    then = production.client.get(f"{production.path}/rollback", query_string={"to": "C-rc1", "as_of": before})
    nowhere, _ = asked(production, "/rollback", to="A-rc1", as_of=before)
    now, _ = asked(production, "/rollback", to="C-rc1")

    refused(then, 404, "release_not_found")
    assert nowhere["target"] is None
    assert now["target"] == "C-rc1"


def test_what_is_not_there_at_a_moment(production: EnvironmentClient) -> None:
    """Before the first event, a deployment of later, an environment of nobody."""
    made = production.deploy("A-rc1")
    one = f"{production.deployments_path}/{made['id']}"
    read = production.client.get

    for question in ("", "/deployments", "/rollback", "/running"):
        too_early = read(f"{production.path}{question}?as_of=2001-01-01T00:00:00Z")
        refused(too_early, 404, "environment_not_found")
        refused(
            read(f"{production.project_path}/environments/none{question}?as_of_version=1"), 404, "environment_not_found"
        )
        refused(read(f"/api/releases/none/environments/none{question}?as_of_version=1"), 404, "project_not_found")
    refused(read(f"{one}?as_of_version=1"), 404, "deployment_not_found")
    assert alone(read(f"{one}?as_of_version=2")) == made


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        (f"as_of={LATER}", "as_of"),
        ("as_of=2026-01-01T00:00:00", "as_of"),
        ("as_of=yesterday", "as_of"),
        ("as_of_version=0", "as_of_version"),
        ("as_of_version=-1", "as_of_version"),
        ("as_of_version=2", "as_of_version"),
        ("as_of_version=99999999999999999999999", "as_of_version"),
        ("as_of=2026-01-01T00:00:00Z&as_of_version=1", "as_of"),
    ],
)
def test_no_moment_of_the_past(production: EnvironmentClient, query: str, wrong: str) -> None:
    """Later than now, no timestamp, no version that there was, or both at once."""
    for question in ("", "/deployments", "/rollback", "/running"):
        answer = production.client.get(f"{production.path}{question}?{query}")
        assert set(refused(answer, 400, "invalid_request")["details"]) == {wrong}


@pytest.mark.parametrize(
    "question",
    ["/environments", "/releases", "/releases/A-rc1", "", "/history", "/environments/production/history",
     "/environments/production/compare?from=2026-01-01T00:00:00Z", f"/commits/{'a' * 40}/exposure"],
)  # fmt: skip
def test_what_is_answered_of_now_alone(production: EnvironmentClient, question: str) -> None:
    """Asked of the past, it is refused: an answer of now would be taken for one of then."""
    production.ran("A-rc1")

    for query in ("as_of_version=1", "as_of=2026-01-01T00:00:00Z", "as_of="):
        path = f"{production.project_path}{question}{'&' if '?' in question else '?'}{query}"
        answer = production.client.get(path)
        assert set(refused(answer, 400, "invalid_request")["details"]) == {query.split("=")[0]}


def test_a_list_of_projects_is_of_now_alone(production: EnvironmentClient) -> None:
    """As the feed and the checkpoint are."""
    for path in ("/api/releases", "/api/feed", "/api/checkpoint"):
        answer = production.client.get(f"{path}?as_of_version=1")
        assert set(refused(answer, 400, "invalid_request")["details"]) == {"as_of_version"}


@pytest.mark.parametrize("query", ["as_of_version=1&as_of_version=2", "as_of_version=1&as_of_version=1"])
def test_two_moments_at_once(production: EnvironmentClient, query: str) -> None:
    """Which one was meant, nobody knows."""
    for question in ("", "/deployments", "/rollback", "/running"):
        answer = production.client.get(f"{production.path}{question}?{query}")
        assert set(refused(answer, 400, "invalid_request")["details"]) == {"as_of_version"}


def test_a_person_since_forgotten(production: EnvironmentClient, service: Service) -> None:
    """The only thing that is not as it was answered then."""
    production.ran("A-rc1")
    then, _ = asked(production, "/deployments", as_of_version=3)
    service.run("delete from people")

    now, _ = asked(production, "/deployments", as_of_version=3)

    assert then[0]["actor"] == "dev@example.com"
    assert now == [then[0] | {"actor": None}]


@BOTH_DATABASES
@pytest.mark.parametrize("every", [2, 200])
def test_nothing_is_folded_where_the_rows_are_live(
    production: EnvironmentClient, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the longest history is as fast by: no answer about any version needs all that came before it."""
    monkeypatch.setattr("release_ledger.projections.environments.SNAPSHOT_EVERY", every)
    production.ran("A-rc1", "B-rc1")
    made = production.deploy("C-rc1")
    production.report("B-rc1", "failure")
    production.ran("D-rc1")
    production.press()

    monkeypatch.setattr("release_ledger.ledger.as_of.fold_streams", folded)
    one = f"{production.deployments_path}/{made['id']}"
    assert refused(production.client.get(f"{one}?as_of_version=3"), 404, "deployment_not_found")
    for version in range(1, int(asked(production, "")[1].strip('"')) + 1):
        for question in ("", "/deployments", "/deployments?status=success", "/rollback", "/running", "/running?page=2"):
            asked(production, f"{question}{'&' if '?' in question else '?'}as_of_version={version}")


DAMAGE: Final = (
    "drop table deployments",
    "drop table running_periods",
    "drop table environments",
    "update deployments set seal = 1",
    "update running_periods set from_version = 1",
    "update environments set state = '{}'",
    "delete from environments where slot > 0",
    "delete from running_periods",
    "update streams set folded = ''",
)


@BOTH_DATABASES
@pytest.mark.parametrize("damage", DAMAGE)
def test_folded_where_the_rows_are_not_live(
    production: EnvironmentClient, service: Service, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers, from the history alone."""
    monkeypatch.setattr("release_ledger.projections.environments.SNAPSHOT_EVERY", 2)
    production.ran("A-rc1", "B-rc1")
    production.deploy("C-rc1")
    production.ran("D-rc1")
    questions = ["", "/deployments", "/deployments?status=success", "/rollback", "/rollback?to=A-rc1", "/running"]
    places = [f"{question}{'&' if '?' in question else '?'}as_of_version=6" for question in questions]
    then = [asked(production, place) for place in places]

    service.run(damage)

    assert [asked(production, place) for place in places] == then


@BOTH_DATABASES
def test_what_changed_between_two_moments(production: EnvironmentClient) -> None:
    """What ran at both, what was requested and what ended, which candidates ran, and where to compare them."""
    production.ran("A-rc1")
    waiting = production.deploy("B-rc1")
    begins = at(production, 4)
    production.report("B-rc1", "failure", id=waiting["id"])
    production.ran("C-rc1")
    last = production.deploy("D-rc1")
    ends = at(production, 8)
    production.report("D-rc1", "success")

    answer = production.client.get(f"{production.path}/compare", query_string={"from": begins, "to": ends})

    found = fine(answer)
    commits = [found[moment]["running"]["commit"] for moment in ("from", "to")]
    assert answer.headers["ETag"] == '"8"'
    assert (found["from"]["version"], found["from"]["running"]["release_candidate_version"]) == (4, "A-rc1")
    assert (found["to"]["version"], found["to"]["running"]["release_candidate_version"]) == (8, "C-rc1")
    assert [each["number"] for each in found["requested"]] == [4, 3]
    assert found["requested"][0] == last
    assert [(each["number"], each["status"]) for each in found["ended"]] == [(3, "success"), (2, "failure")]
    assert (found["requested_total"], found["ended_total"], found["ran_more"]) == (2, 2, False)
    assert [each["release_candidate_version"] for each in found["ran"]] == ["C-rc1", "A-rc1"]
    assert found["compare_url"] == f"https://github.com/acme/web/compare/{commits[0]}...{commits[1]}"


def test_compared_in_the_repository_of_then(production: EnvironmentClient) -> None:
    """The one that the candidate was cut from, wherever the project has moved since."""
    production.ran("A-rc1")
    begins = at(production, 3)
    production.ran("B-rc1")
    fine(production.client.put(production.project_path, {"repo": "acme/moved"}))

    found = fine(production.client.get(f"{production.path}/compare", query_string={"from": begins}))

    assert found["compare_url"].startswith("https://github.com/acme/web/compare/")


def test_compared_with_before_it_was_there(production: EnvironmentClient) -> None:
    """Nothing ran then, so there is nothing to compare with."""
    production.ran("A-rc1")

    found = fine(
        production.client.get(
            f"{production.path}/compare", query_string={"from": "2001-01-01T00:00:00Z", "to": at(production, 3)}
        )
    )

    assert found["from"] == {"at": "2001-01-01T00:00:00.000000+00:00", "version": 0, "running": None}
    assert (found["requested_total"], found["compare_url"]) == (1, None)


def test_moments_that_cannot_be_compared(production: EnvironmentClient) -> None:
    """Both are needed, in their order, and none is to come."""
    early, later = "2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z"
    for query, status, code in (
        ({}, 400, "invalid_request"),
        ({"to": early}, 400, "invalid_request"),
        ({"from": LATER}, 400, "invalid_request"),
        ({"from": later, "to": early}, 400, "invalid_request"),
        ({"from": early, "to": LATER}, 400, "invalid_request"),
        ({"from": early, "to": later}, 404, "environment_not_found"),
    ):
        refused(production.client.get(f"{production.path}/compare", query_string=query), status, code)


def test_no_row_is_looked_for_from_end_to_end(production: EnvironmentClient, service: Service) -> None:
    """Each of the lookups of the past goes by an index."""
    from release_ledger.ledger import as_of_selects, event_selects
    from release_ledger.store.statement import SQLITE

    production.ran("A-rc1")
    names = ("SNAPSHOT", "EVENTS_BETWEEN", "BY_ID", "NEWEST_PERIOD", "PERIODS", "BEGUN", "LAST_CUT")
    statements = [getattr(as_of_selects, name) for name in names]
    statements += [event_selects.STORED, event_selects.SOME]
    statements += [*event_selects.NUMBERS_BY.values(), *event_selects.CORRECTED.values()]
    for statement in statements:
        sql, binds, own = statement.compiled(SQLITE)
        with service.ledger.store.database.cursor() as cursor:
            cursor.execute(f"explain query plan {sql}", [own.get(bind, 1) for bind in binds])
            plan = "\n".join(row[3] for row in cursor.fetchall())
        assert not re.search(r"^SCAN |TEMP B-TREE", plan, re.MULTILINE), f"{sql}\n{plan}"
        if statement in event_selects.CORRECTED.values():
            assert "deployments_corrected" in plan
