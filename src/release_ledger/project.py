"""The rules of a project: its settings, and the release candidates that it cuts.

A project's stream grows with its candidates, so its state is bounded too: the settings and a counter. The candidate
in question is a read-model row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypedDict

from .errors import ReleaseCandidateExists, RepositoryNotFound
from .events import BuildRequested, Json, ProjectConfigured, ProjectEvent, ReleaseCandidateCut
from .versions import parse_candidate_version

Events = tuple[ProjectEvent, ...]
UNCHECKED: Final = "unchecked"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """The state of one project."""

    project_name: str = ""
    repo: str = ""
    build_workflow: Json | None = None
    deploy_after_build: str | None = None
    created_at: str = ""
    candidates: int = 0


class Deployable(TypedDict):
    """What a deployment needs of a release candidate."""

    release_candidate_version: str
    release_version: str
    commit: str
    status: str
    created_at: str


class Candidate(Deployable):
    """A row of the read model `release_candidates`.

    `build_id` is its newest build's; `build_key` and `build_url_key` say which report a status and an address came
    from. `commit_check`: `unchecked` (GitHub is still to be asked), `unknown` (it does not know the commit), or null.
    """

    number: int
    repo: str
    build_id: str | None
    build_key: str | None
    build_url: str | None
    build_url_key: str | None
    error_message: str | None
    commit_check: str | None
    person_id: str | None


@dataclass(frozen=True, kw_only=True)
class CutCandidate:
    """A release candidate to create; `commit` in lower case."""

    release_candidate_version: str
    repo: str
    commit: str
    build_id: str = ""
    trigger_build_workflow: bool = False
    checked: bool = True


def apply(state: Project | None, event: ProjectEvent) -> Project:
    """The state after this event."""
    state = state or Project(project_name=event.project_name, created_at=event.recorded_at)
    match event:
        case ProjectConfigured():
            return replace(
                state,
                repo=event.repo,
                build_workflow=event.build_workflow,
                deploy_after_build=event.deploy_after_build,
            )
        case ReleaseCandidateCut():
            return replace(state, candidates=event.number)
    return state


def configure(
    state: Project | None, repo: str, build_workflow: Json | None, deploy_after_build: str | None = None
) -> Events:
    """The project gets these settings; the same again records nothing."""
    asked = (repo, build_workflow, deploy_after_build)
    if state is not None and (state.repo, state.build_workflow, state.deploy_after_build) == asked:
        return ()
    return (ProjectConfigured(repo=repo, build_workflow=build_workflow, deploy_after_build=deploy_after_build),)


def cut(state: Project, known: Candidate | None, command: CutCandidate) -> Events:
    """A candidate of one commit for ever; the same again records nothing (contract, section 2)."""
    if command.repo.lower() != state.repo.lower():
        raise RepositoryNotFound(repo=command.repo)
    if known is not None and known["commit"] != command.commit:
        raise ReleaseCandidateExists(
            release_candidate_version=command.release_candidate_version, commit=known["commit"]
        )
    if known is not None:
        is_unbuilt = known["build_id"] is None or known["status"] == "failed"
        if not command.trigger_build_workflow or not is_unbuilt or known["commit_check"] == UNKNOWN:
            return ()
        return (build(state, known, command.build_id),)
    made = ReleaseCandidateCut(
        number=state.candidates + 1,
        release_candidate_version=command.release_candidate_version,
        release_version=parse_candidate_version(command.release_candidate_version).release_version,
        commit=command.commit,
        repo=state.repo,
        status="pending" if command.trigger_build_workflow else "ready",
        trigger_build_workflow=command.trigger_build_workflow,
        checked=command.checked,
    )
    return (made, build(state, candidate_of(made), command.build_id)) if command.trigger_build_workflow else (made,)


def candidate_of(event: ReleaseCandidateCut) -> Candidate:
    """The candidate that was cut."""
    return Candidate(
        number=event.number,
        release_candidate_version=event.release_candidate_version,
        release_version=event.release_version,
        commit=event.commit,
        repo=event.repo,
        status=event.status,
        created_at=event.happened_at,
        build_id=None,
        build_key=None,
        build_url=None,
        build_url_key=None,
        error_message=None,
        commit_check=None if event.checked else UNCHECKED,
        person_id=event.person_id,
    )


def build(state: Project, candidate: Candidate, build_id: str) -> BuildRequested:
    """The candidate is to be built: by the project's workflow, or by a CI that reports by itself."""
    return BuildRequested(
        number=candidate["number"],
        release_candidate_version=candidate["release_candidate_version"],
        build_id=build_id,
        release_version=candidate["release_version"],
        commit=candidate["commit"],
        repo=state.repo,
        workflow=state.build_workflow,
    )
