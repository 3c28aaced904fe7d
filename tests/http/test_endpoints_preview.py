"""`GET …/rollback` answers what a POST would do, with the reason, and records nothing."""

import pytest

from .client import EnvironmentClient, Service, fine, refused

HISTORIES = {
    "nothing": "",
    "one success": "A+",
    "three successes": "A+ B+ C+",
    "a failure": "A+ B+ C-",
    "unfinished ones": "A+ B+ C~ D~",
    "the running version again": "A+ B+ B~",
    "a rollback": "A+ B+ < C+",
    "only failures": "A- B-",
}


def lived(environment: EnvironmentClient, history: str) -> None:
    for step in history.split():
        version = fine(environment.press())["release_candidate_version"] if step == "<" else f"{step[0]}-rc1"
        environment.report(version, {"-": "failure", "~": "in_progress"}.get(step[-1], "success"))


@pytest.mark.parametrize("strategy", ["previous", "walk_back"])
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_the_preview_is_what_the_post_does(lasting_service: Service, history: str, strategy: str) -> None:
    """Target, cancellations and refusal of the POST are those of the preview just before it."""
    production = lasting_service.environment()
    lived(production, history)

    preview = production.preview(f"?strategy={strategy}")
    answer = production.press(strategy=strategy)

    after = {each["id"]: each["status"] for each in production.deployments("?per_page=100")}
    if preview["target"] is None:
        refused(answer, 404, "no_rollback_target")
    else:
        assert fine(answer)["release_candidate_version"] == preview["target"]
    assert preview["strategy"] == strategy
    assert [each for each in after if after[each] == "canceled"] == list(reversed(preview["would_cancel"]))


def test_the_preview_records_nothing(production: EnvironmentClient, service: Service) -> None:
    """Asking what would happen is not an event."""
    production.ran("A-rc1", "B-rc1")
    known = service.event_count(), production.shown()

    production.preview()
    production.preview("?to=A-rc1")

    assert (service.event_count(), production.shown()) == known


def test_what_was_considered(production: EnvironmentClient) -> None:
    """Newest first, up to the chosen one, each with a verdict and a reason in words."""
    production.ran("A-rc1", "B-rc1")
    production.report("C-rc1", "failure")
    production.report("B-rc1", "in_progress")
    production.report("B-rc1", "success")

    preview = production.preview()

    looked_at = [(each["release_candidate_version"], each["verdict"]) for each in preview["considered"]]
    assert looked_at == [("B-rc1", "skipped"), ("C-rc1", "skipped"), ("B-rc1", "skipped"), ("A-rc1", "chosen")]
    assert [each["id"] for each in preview["considered"]] == [each["id"] for each in production.deployments()]
    assert all(each["why"].endswith(".") for each in preview["considered"])
    assert preview["explanation"].endswith(".")


def test_at_most_a_hundred_are_considered(lasting_service: Service) -> None:
    """However far the rule has to look, a hundred are named, the chosen one last."""
    production = lasting_service.environment()
    production.ran("A-rc1")
    for number in range(60):
        production.report(f"B-rc{number}", "failure")
        production.report(f"C-rc{number}", "canceled")

    considered = production.preview()["considered"]

    assert len(considered) == 100
    assert considered[-1]["release_candidate_version"] == "A-rc1"
    assert {each["verdict"] for each in considered[:-1]} == {"skipped"}


def test_the_preview_needs_no_thaw(production: EnvironmentClient) -> None:
    """A frozen environment is previewed as any other, and says that it is frozen."""
    production.ran("A-rc1", "B-rc1")
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays"}))

    preview = production.preview()

    assert (preview["frozen"], preview["target"]) == (True, "A-rc1")


def test_a_preview_to_a_version(production: EnvironmentClient) -> None:
    """`to` is previewed as it is posted: the version, none, or the same refusal."""
    production.ran("A-rc1", "B-rc1", "C-rc1")
    production.cut("never-here-rc1")

    assert production.preview("?to=A-rc1")["target"] == "A-rc1"
    assert production.preview("?to=never-here-rc1")["target"] is None
    refused(production.client.get(f"{production.path}/rollback?to=uncut-rc1"), 404, "release_not_found")


@pytest.mark.parametrize("query", ["to=A-rc1&strategy=previous", "strategy=best", "to=A"])
def test_what_cannot_be_previewed(production: EnvironmentClient, query: str) -> None:
    """What a POST would refuse as a request is refused here too."""
    answer = production.client.get(f"{production.path}/rollback?{query}")

    code = "invalid_release_candidate_version" if query == "to=A" else "invalid_request"
    refused(answer, 400, code)
