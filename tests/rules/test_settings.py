"""Settings and freezes of an environment, settings and candidates of a project, tokens."""

from typing import cast

import pytest

from release_ledger import project
from release_ledger.environment import Settings
from release_ledger.errors import InvalidRequest, ReleaseCandidateExists, RepositoryNotFound
from release_ledger.events import (
    EnvironmentConfigured,
    EnvironmentWasFrozen,
    EnvironmentWasUnfrozen,
    ProjectEvent,
    ReleaseCandidateCut,
    stamp,
)
from release_ledger.project import CutCandidate, Project
from tests.rules.story import at, given, success

COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40


# An environment's settings.


def test_an_environment_begins_with_the_settings_of_the_contract() -> None:
    """`previous`, the documented rule, unless somebody asks for another."""
    production = given()

    assert production.state.settings == Settings()
    assert (production.state.settings.rollback_strategy, production.state.settings.deploy_workflow) == (
        "previous",
        None,
    )
    assert (production.state.project_name, production.state.environment_name) == ("shop", "production")


def test_settings_replace_all_that_were_there() -> None:
    """A PUT names everything that differs from the defaults; what runs and who froze it stay."""
    production = given(success("A"))
    production.freeze()
    workflow = {"file": "deploy.yml", "inputs": {"where": "eu"}}
    production.configure(Settings(tier="production", deploy_workflow=workflow, stuck_after_s=60))

    events = production.configure(Settings(rollback_strategy="walk_back"))

    assert isinstance(events[0], EnvironmentConfigured)
    assert production.state.settings == Settings(rollback_strategy="walk_back")
    assert (production.running, production.state.freeze is not None) == ("A", True)


def test_the_same_settings_again_record_nothing() -> None:
    """A pipeline may send its settings at every run."""
    production = given()
    settings = Settings(tier="staging", deploy_workflow={"file": "deploy.yml"}, stuck_after_s=1)
    production.configure(settings)

    assert production.configure(settings) == []


# Freezes.


def test_a_freeze_says_who_froze_the_environment_and_why() -> None:
    """Until when, or for good; whatever is said of the one before is gone."""
    production = given()
    frozen_at = production.now

    production.freeze("holidays")

    freeze = production.state.freeze_at(production.now)
    assert freeze is not None
    assert (freeze.reason, freeze.until, freeze.frozen_by, freeze.frozen_at) == ("holidays", None, "ci", frozen_at)


def test_a_freeze_ends_by_itself_at_its_until() -> None:
    """In force at the microsecond before, not at that moment; nothing needs to be recorded for it."""
    production = given()
    until = at(production.minute + 10)

    production.freeze(until=until)

    assert production.state.freeze_at(at(production.minute + 8.999)) is not None
    assert production.state.freeze_at(until) is None
    assert production.state.freeze_at(at(production.minute + 99)) is None


@pytest.mark.parametrize("minutes", [0, -1])
def test_a_freeze_that_is_over_already_is_refused(minutes: int) -> None:
    """`until` must be in the future; this very moment is not."""
    production = given()
    before = list(production.events)

    with pytest.raises(InvalidRequest) as refusal:
        production.freeze(until=at(production.minute + minutes))

    assert "until" in refusal.value.details
    assert production.events == before


def test_the_same_freeze_again_records_nothing() -> None:
    """Another reason or another end is another freeze."""
    production = given()
    production.freeze("holidays", until=at(5_000))

    assert production.freeze("holidays", until=at(5_000)) == []
    assert isinstance(production.freeze("audit", until=at(5_000))[0], EnvironmentWasFrozen)
    assert isinstance(production.freeze("audit", until=at(6_000))[0], EnvironmentWasFrozen)
    assert isinstance(production.freeze("audit")[0], EnvironmentWasFrozen)


def test_a_freeze_that_has_ended_can_be_set_again() -> None:
    """What is past freezes nothing, so freezing again is not a repetition."""
    production = given()
    until = at(production.minute + 2)
    production.freeze("holidays", until=until)
    production.minute += 10

    with pytest.raises(InvalidRequest):
        production.freeze("holidays", until=until)
    events = production.freeze("holidays", until=at(5_000))

    assert len(events) == 1


def test_a_freeze_is_lifted_once() -> None:
    """DELETE also when not frozen: nothing is recorded then."""
    production = given()
    production.freeze()

    first, second = production.unfreeze(), production.unfreeze()

    assert isinstance(first[0], EnvironmentWasUnfrozen)
    assert second == []
    assert production.state.freeze is None


# A project's settings and candidates.


def shop(repo: str = "Acme/shop") -> Project:
    """A project as its own rules make it."""
    return folded(None, *project.configure(None, repo, None))


def folded(state: Project | None, *events: ProjectEvent) -> Project:
    for event in stamp(events, "project/shop", 0, recorded_at=at(1), project_name="shop"):
        state = project.apply(state, event)
    return cast(Project, state)


def cut(version: str = "1.4.0-rc1", repo: str = "Acme/shop", commit: str = COMMIT, build: bool = False) -> CutCandidate:
    return CutCandidate(release_candidate_version=version, repo=repo, commit=commit, trigger_build_workflow=build)


KNOWN = project.candidate_of(
    ReleaseCandidateCut(
        number=1,
        release_candidate_version="1.4.0-rc1",
        release_version="1.4.0",
        commit=COMMIT,
        repo="Acme/shop",
        status="ready",
        trigger_build_workflow=False,
        recorded_at=at(1),
    )
)


def test_a_projects_settings_are_replaced_and_the_same_again_record_nothing() -> None:
    """The repository and the build workflow, each counts; the candidates stay."""
    state = folded(shop(), *project.cut(shop(), None, cut()))

    assert project.configure(state, "Acme/shop", None) == ()
    assert len(project.configure(state, "Acme/store", None)) == 1
    changed = folded(state, *project.configure(state, "Acme/shop", {"file": "build.yml"}))

    assert (changed.repo, changed.build_workflow, changed.candidates) == ("Acme/shop", {"file": "build.yml"}, 1)
    assert project.configure(changed, "Acme/shop", {"file": "build.yml"}) == ()


def test_a_candidate_is_tied_to_its_commit_and_numbered() -> None:
    """`ready` at once, without a build to wait for."""
    state = shop()

    (event,) = project.cut(state, None, cut("2026.08.05-2-rc1"))

    assert vars(event)["release_version"] == "2026.08.05-2"
    assert (vars(event)["number"], vars(event)["commit"], vars(event)["status"]) == (1, COMMIT, "ready")
    assert vars(project.cut(folded(state, event), None, cut("x-rc1"))[0])["number"] == 2


def test_a_candidate_with_a_build_waits_for_it() -> None:
    """`pending` until the build has ended, which is asked for with it: by the project's workflow, if there is one."""
    state = folded(shop(), *project.configure(shop(), "Acme/shop", {"kind": "http", "url": "https://b.example"}))

    event, build = project.cut(state, None, cut(build=True))

    assert (vars(event)["status"], vars(event)["trigger_build_workflow"]) == ("pending", True)
    assert (vars(build)["number"], vars(build)["commit"], vars(build)["repo"]) == (1, COMMIT, "Acme/shop")
    assert vars(build)["workflow"] == {"kind": "http", "url": "https://b.example"}


def test_the_same_candidate_with_the_same_commit_again_records_nothing() -> None:
    """A retry is answered with what is there."""
    assert project.cut(shop(), KNOWN, cut()) == ()


def test_the_same_candidate_with_another_commit_is_refused() -> None:
    """409, with the commit that it is tied to for ever."""
    with pytest.raises(ReleaseCandidateExists) as refusal:
        project.cut(shop(), KNOWN, cut(commit=OTHER_COMMIT))

    assert (refusal.value.status, refusal.value.details["commit"]) == (409, COMMIT)


def test_a_candidate_of_another_repository_is_refused() -> None:
    """404, also for a candidate that is known."""
    for known in (None, KNOWN):
        with pytest.raises(RepositoryNotFound) as refusal:
            project.cut(shop(), known, cut(repo="Acme/shop2"))

        assert refusal.value.status == 404


def test_a_repository_is_known_whatever_its_capital_letters() -> None:
    """GitHub's names are not case sensitive; the event carries the project's own spelling."""
    (event,) = project.cut(shop("Acme/Shop"), None, cut(repo="aCME/shop"))

    assert vars(event)["repo"] == "Acme/Shop"
