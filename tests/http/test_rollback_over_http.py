"""The rollback table of the contract's section 3, row by row, pressed over HTTP on both databases.

A history reads `A+` (deployed with success), `A-` (failed), `A~` (in progress), `<` (rolled back with success).
Presses read `B` (the target, which then succeeds), `B-` (which then fails), `B~` (still in progress), `—` (a 404).
"""

from typing import Final

import pytest

from .client import ON_BOTH_DATABASES, EnvironmentClient, Service, fine, refused

pytestmark = ON_BOTH_DATABASES

OUTCOMES: Final = {"+": "success", "-": "failure", "~": "in_progress"}
TABLE: Final = [
    ("A+ B+ C+", "B C B", "B A —"),
    ("A+ B+ C-", "B A", "B A"),
    ("A+", "—", "—"),
    ("A+ B+ B+", "A", "A"),
    ("A+ B+", "A- B", "A- A"),
    ("A+ B+ < C+", "A C", "A —"),
    ("A+ B- C-", "A", "A"),
    ("A+ B~", "A", "A"),
    ("A+ B+", "A~ A", "A~ A"),
    ("A+ B+ B~", "A", "A"),
    ("A+ B+ C~", "B", "B"),
    ("A~", "—", "—"),
]


@pytest.fixture
def production(lasting_service: Service) -> EnvironmentClient:
    return lasting_service.environment()


def version(letter: str) -> str:
    return f"{letter}-rc1"


def lived(environment: EnvironmentClient, history: str) -> None:
    """Bring the environment to where the row of the table begins."""
    for step in history.split():
        if step == "<":
            target = fine(environment.press())["release_candidate_version"]
            environment.report(target, "success")
        else:
            environment.deploy(version(step[0]))
            environment.report(version(step[0]), OUTCOMES[step[1]])


def pressed(environment: EnvironmentClient, press: str, strategy: str | None) -> str:
    """Press once, let the rollback end as the row says, and write down where it went."""
    previewed = environment.preview(f"?strategy={strategy}" if strategy else "")["target"]
    answer = environment.press(**({"strategy": strategy} if strategy else {}))
    if answer.status_code == 404:
        refused(answer, 404, "no_rollback_target", "No previous deployment to roll back from")
        assert previewed is None
        return "—"
    made = fine(answer)
    assert (answer.status_code, made["kind"], made["status"]) == (201, "rollback", "pending")
    assert previewed == made["release_candidate_version"]
    outcome = press[1:] or "+"
    environment.report(made["release_candidate_version"], OUTCOMES[outcome])
    return str(made["release_candidate_version"])[0] + press[1:]


@pytest.mark.parametrize("told", ["by the setting", "by the request"])
@pytest.mark.parametrize("strategy", ["previous", "walk_back"])
@pytest.mark.parametrize(("history", "previous", "walk_back"), TABLE)
def test_the_table(
    lasting_service: Service, history: str, previous: str, walk_back: str, strategy: str, told: str
) -> None:
    """Every row of the table holds, whether the environment names the strategy or the request does."""
    by_request = told == "by the request"
    environment = lasting_service.environment(**({} if by_request else {"rollback_strategy": strategy}))
    lived(environment, history)
    expected = previous if strategy == "previous" else walk_back

    went = [pressed(environment, press, strategy if by_request else None) for press in expected.split()]

    assert " ".join(went) == expected


def test_a_rollback_cancels_what_is_unfinished(production: EnvironmentClient) -> None:
    """Every unfinished deployment of the environment is canceled by the press, and the preview names them before."""
    production.ran(version("A"))
    under_way = [production.deploy(version("B"))["id"], production.report(version("C"), "in_progress")["id"]]
    promised = production.preview()["would_cancel"]

    fine(production.press())

    status_of = {each["id"]: each["status"] for each in production.deployments()}
    assert sorted(promised) == sorted(under_way)
    assert [status_of[each] for each in under_way] == ["canceled", "canceled"]


def test_a_refused_rollback_leaves_what_is_unfinished_alone(production: EnvironmentClient) -> None:
    """Where there is nowhere to go back to, the deployment in progress goes on."""
    production.report(version("A"), "in_progress")

    refused(production.press(), 404, "no_rollback_target")

    assert [each["status"] for each in production.deployments()] == ["in_progress"]
    assert production.preview()["would_cancel"] == []


@pytest.mark.parametrize("strategy", ["previous", "walk_back"])
def test_walking_back_returns_to_a_left_version_once_it_is_deployed_forward(
    lasting_service: Service, strategy: str
) -> None:
    """A version that was left is a target again after it was deployed forward with success."""
    environment = lasting_service.environment(rollback_strategy=strategy)
    environment.ran(version("A"), version("B"))
    environment.report(fine(environment.press())["release_candidate_version"], "success")

    environment.ran(version("B"), version("C"))

    assert environment.preview()["target"] == version("B")


def test_to_a_version_that_was_never_cut(production: EnvironmentClient) -> None:
    """`to` a version that the project does not know is a 404 about the release."""
    production.ran(version("A"), version("B"))

    answer = production.press(to="never-rc1")

    refused(answer, 404, "release_not_found", "Release not found")


def test_to_a_version_that_never_succeeded_here(production: EnvironmentClient) -> None:
    """`to` a version without a success in this environment is a 404 about the target."""
    production.ran(version("A"))
    production.report(version("B"), "failure")

    answer = production.press(to=version("B"))

    refused(answer, 404, "no_rollback_target", "No previous deployment to roll back from")


@pytest.mark.parametrize("letter", ["A", "B", "C"])
def test_to_any_version_that_succeeded_here(production: EnvironmentClient, letter: str) -> None:
    """`to` goes to any version that succeeded here, the running one among them; the preview agrees."""
    production.ran(version("A"), version("B"), version("C"))

    previewed = production.preview(f"?to={version(letter)}")
    answer = fine(production.press(to=version(letter)))

    assert previewed["target"] == answer["release_candidate_version"] == version(letter)


def test_a_frozen_environment_is_rolled_back_only_by_force(production: EnvironmentClient) -> None:
    """A freeze refuses a rollback and cancels nothing; `force` breaks it; the preview says that it is frozen."""
    production.ran(version("A"), version("B"))
    production.report(version("C"), "in_progress")
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays"}))

    refused(production.press(), 400, "environment_frozen", "Environment is frozen")
    under_way = production.deployments()[0]["status"]
    forced = fine(production.press(force=True))

    assert production.preview()["frozen"] is True
    assert (under_way, forced["release_candidate_version"]) == ("in_progress", version("B"))
