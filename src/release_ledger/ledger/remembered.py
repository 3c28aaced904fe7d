"""What this process saw last of an environment and its project, so that its next command need not look again.

Never an answer: it only serves to decide what to append, and the append is refused where any of the streams (the
environment's, the project's, that of the tokens) has moved. Then, and where the decision is a refusal, the command
looks as ever. So a wrong memory costs an exchange with the database and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from ..access import Token
from ..deployment import Deployment
from ..environment import Environment
from ..project import Candidate, Project
from ..projection import ACCESS, FoldedSource, Rows, listed
from ..projections.environments import NOW
from ..projections.running_periods import NEWEST, Period
from ..store import Append, Head, Store
from .views import View

ENVIRONMENTS: Final = 500
PROJECTS: Final = 100
CANDIDATES: Final = 100  # of each project
DEPLOYMENTS: Final = 20  # of each environment: unfinished ones
LONG: Final = 1000  # an error message of so many characters is not kept at hand
TOKENS: Final = 1000

T = TypeVar("T")
K = TypeVar("K")


class KnownToken(NamedTuple):
    """A token, its owner's e-mail, and how the tokens stood when it was looked up (`Head.mark`)."""

    token: Token
    email: str | None
    mark: str


@dataclass(kw_only=True)
class OfProject:
    """A project as it stood at a version, and candidates of it with the e-mails of who cut them."""

    head: Head
    project: Project
    candidates: dict[str, tuple[Candidate, str | None]] = field(default_factory=dict)


@dataclass(kw_only=True)
class OfEnvironment:
    """An environment as it stood at a version, and deployments of it by number, with the e-mails of who asked."""

    head: Head
    environment: Environment
    access: str
    newest_period: Period | None = None
    deployments: dict[int, tuple[Deployment, str | None]] = field(default_factory=dict)


class Remembered:
    """What one process remembers, bounded; for all its threads."""

    def __init__(self) -> None:
        self._projects: dict[str, OfProject] = {}
        self._environments: dict[str, OfEnvironment] = {}
        self._doubted: dict[str, str] = {}
        self._tokens: dict[str, KnownToken] = {}
        self._lock = threading.Lock()

    def view(
        self,
        store: Store,
        stream: str,
        project_stream: str,
        version: str,
        *,
        of_deployment: bool,
        deployment_id: str | None,
    ) -> View | None:
        """What a command on a deployment would see, if all of it is remembered."""
        with self._lock:
            if not version or stream in self._doubted:
                return None
            known, project = self._environments.get(stream), self._projects.get(project_stream)
            candidate = project.candidates.get(version) if project else None
            if known is None or project is None or candidate is None:
                return None
            view = View(
                source=store,
                head=known.head,
                project_head=project.head,
                access=known.access,
                project=project.project,
                environment=known.environment,
                candidate=candidate[0],
                candidate_email=candidate[1],
            )
            view.known = {
                "environments": {(NOW,): known.environment},
                "deployments": {},
                "running_periods": {(NEWEST,): known.newest_period},
            }
            if of_deployment:
                target = _target(known, version, deployment_id)
                if target is None:
                    return None
                view.target, view.target_email = target
                view.known["deployments"][(target[0]["number"],)] = dict(target[0])
            return view

    def token(self, token_sha256: str) -> KnownToken | None:
        """The token of a digest; to be trusted only as `trusting` says."""
        return self._tokens.get(token_sha256)

    def note_token(self, known: KnownToken) -> None:
        with self._lock:
            _put(self._tokens, known.token["token_sha256"], known, TOKENS)

    def note(self, view: View, append: Append, rows: Mapping[str, Rows], email: str | None) -> None:
        """Remember what a command saw and what it recorded; `email` is the caller's."""
        if isinstance(view.source, FoldedSource) or view.project is None:
            return
        with self._lock:
            if view.head.stream == view.project_head.stream:
                self._note_project(view, append, rows, email)
                return
            project = self._projects.get(view.project_head.stream)
            if project is None or project.head.mark != view.project_head.mark:
                project = OfProject(head=view.project_head, project=view.project)
                _put(self._projects, view.project_head.stream, project, PROJECTS)
            if view.candidate is not None:
                version = view.candidate["release_candidate_version"]
                _put(project.candidates, version, (view.candidate, view.candidate_email), CANDIDATES)
            self._note_environment(view, append, rows, email)

    def doubt(self, stream: str) -> None:
        """Somebody else wrote there. It is trusted again once two commands from here follow one another."""
        with self._lock:
            self._environments.pop(stream, None)
            _put(self._doubted, stream, "", ENVIRONMENTS)

    def _note_project(self, view: View, append: Append, rows: Mapping[str, Rows], email: str | None) -> None:
        stream = view.head.stream
        written = _live(append, rows, "projects", "release_candidates")
        if written is None:
            return
        states, cut = written
        known = self._projects.get(stream)
        candidates = known.candidates if known is not None and known.head.mark == view.head.mark else {}
        for row in cut.changes().values():
            _put(candidates, row["release_candidate_version"], (row, email), CANDIDATES)
        made = OfProject(head=_after(append), project=states[()], candidates=candidates)
        _put(self._projects, stream, made, PROJECTS)

    def _note_environment(self, view: View, append: Append, rows: Mapping[str, Rows], email: str | None) -> None:
        stream = view.head.stream
        written = _live(append, rows, "environments", "deployments")
        if written is None:
            return
        states, changed = written
        known = self._environments.get(stream)
        is_same = known is not None and (known.head.mark, known.access) == (view.head.mark, view.access)
        deployments = known.deployments if known is not None and is_same else {}
        for (number,), row in changed.changes().items():
            asked = deployments.pop(number, None)
            if view.target is not None and view.target["number"] == number:
                asked = (view.target, view.target_email)
            elif view.environment is None or number > view.environment.deployments:
                asked = (row, email)  # this command made it
            if asked is not None and not row["finished"] and len(row["error_message"] or "") < LONG:
                _put(deployments, number, (row, asked[1]), DEPLOYMENTS)
        if stream in self._doubted and self._doubted.pop(stream) != view.head.mark:
            self._doubted[stream] = _after(append).mark
        periods = rows.get("running_periods")
        made = OfEnvironment(
            head=_after(append),
            environment=states[NOW],
            access=view.access,
            newest_period=periods.get(NEWEST) if periods is not None else None,
            deployments=deployments,
        )
        _put(self._environments, stream, made, ENVIRONMENTS)


def unmoved(view: View) -> list[tuple[str, str]]:
    """The streams that a remembered view tells of besides its own, and how they stood."""
    return [(view.project_head.stream, view.project_head.mark), (ACCESS, view.access)]


def _target(known: OfEnvironment, version: str, deployment_id: str | None) -> tuple[Deployment, str | None] | None:
    """The deployment that a report means, as `environment_view` finds it; None where the memory cannot tell."""
    if deployment_id is None:
        numbers = [ref.number for ref in known.environment.unfinished if ref.release_candidate_version == version]
        return known.deployments.get(max(numbers)) if numbers else None
    return next((one for one in known.deployments.values() if one[0]["id"] == deployment_id), None)


def _live(append: Append, rows: Mapping[str, Rows], *names: str) -> list[Rows] | None:
    """What these projections made of the append; None unless all of it is live."""
    if append.faults or not all(name in rows and listed(append.folded, name) for name in names):
        return None
    return [rows[name] for name in names]


def _after(append: Append) -> Head:
    last = append.last
    return Head(
        stream=append.head.stream,
        version=last.version,
        digest=last.digest,
        recorded_at=last.recorded_at,
        generation=append.head.generation,
        folded=append.folded,
    )


def _put(known: dict[K, T], key: K, value: T, most: int) -> None:
    """Remember something in a bounded memory: what was remembered longest ago goes first."""
    known.pop(key, None)
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]
