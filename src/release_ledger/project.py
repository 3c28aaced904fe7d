"""The rules of a project: its settings, and the release candidates that it cuts.

A project's stream grows with its candidates, so its state is bounded too: the settings and a counter. The candidate
in question is a read-model row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

from .errors import ReleaseCandidateExists, RepositoryNotFound
from .events import Json, ProjectConfigured, ProjectEvent, ReleaseCandidateCut
from .versions import parse_candidate_version

Events = tuple[ProjectEvent, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """The state of one project."""

    project_name: str = ""
    repo: str = ""
    build_workflow: Json | None = None
    created_at: str = ""
    candidates: int = 0


class Candidate(TypedDict):
    """What the rules need of a release candidate."""

    release_candidate_version: str
    release_version: str
    commit: str
    status: str
    created_at: str


@dataclass(frozen=True, kw_only=True)
class CutCandidate:
    """A release candidate to create; `commit` in lower case."""

    release_candidate_version: str
    repo: str
    commit: str
    trigger_build_workflow: bool = False


def apply(state: Project | None, event: ProjectEvent) -> Project:
    """The state after this event."""
    state = state or Project(project_name=event.project_name, created_at=event.recorded_at)
    match event:
        case ProjectConfigured():
            return replace(state, repo=event.repo, build_workflow=event.build_workflow)
        case ReleaseCandidateCut():
            return replace(state, candidates=event.number)
    return state


def configure(state: Project | None, repo: str, build_workflow: Json | None) -> Events:
    """The project gets these settings; the same again records nothing."""
    if state is not None and (state.repo, state.build_workflow) == (repo, build_workflow):
        return ()
    return (ProjectConfigured(repo=repo, build_workflow=build_workflow),)


def cut(state: Project, known: Candidate | None, command: CutCandidate) -> Events:
    """A candidate of one commit for ever; the same again records nothing (contract, section 2)."""
    if command.repo.lower() != state.repo.lower():
        raise RepositoryNotFound(repo=command.repo)
    if known is not None and known["commit"] != command.commit:
        raise ReleaseCandidateExists(
            release_candidate_version=command.release_candidate_version, commit=known["commit"]
        )
    if known is not None:
        return ()
    return (
        ReleaseCandidateCut(
            number=state.candidates + 1,
            release_candidate_version=command.release_candidate_version,
            release_version=parse_candidate_version(command.release_candidate_version).release_version,
            commit=command.commit,
            repo=state.repo,
            status="pending" if command.trigger_build_workflow else "ready",
            trigger_build_workflow=command.trigger_build_workflow,
        ),
    )
