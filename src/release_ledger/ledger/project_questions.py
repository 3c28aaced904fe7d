"""Questions about projects, candidates and tokens: each one SELECT on read models, or folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from ..access import Token
from ..errors import ProjectNotFound, ReleaseNotFound
from ..projection import ACCESS, FoldedSource, fold_now, project_stream
from ..store import Row, Source, Statement, Store
from ..store.store import as_head, stream_names
from . import answers, selects
from .answers import Answer
from .asking import NotLive, ask, picked, require, require_page, state_in
from .remembered import KnownToken, Remembered
from .views import project_view


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list, newest first; `version` is the stream's, `more` whether older ones follow."""

    items: list[Answer]
    version: int
    more: bool
    total: int | None = None


class ProjectQuestions:
    """What can be asked of projects, and of tokens."""

    def __init__(self, store: Store, remembered: Remembered | None = None) -> None:
        self.store, self.remembered = store, remembered or Remembered()

    def projects(self, only: Iterable[str] | None = None) -> list[Answer]:
        """All projects in the order of their names, or those of some names."""
        wanted = None if only is None else set(only)

        def listed(source: Source, row: Row) -> Answer | None:
            head = as_head(row["head_stream"], picked(row, "head"))
            found = answers.project(state_in(source, head, row, "projects", "of_project"))
            return found if wanted is None or found["name"] in wanted else None

        return self._over_streams("project/", selects.PROJECTS, listed)

    def project(self, project_name: str) -> tuple[Answer, int]:
        """A project's settings, and its stream's version."""
        view = ask(self.store, [project_stream(project_name)], lambda source: project_view(source, project_name))
        return answers.project(view.found_project()), view.head.version

    def candidates(self, project_name: str, *, page: int = 1, per_page: int = 10) -> Page:
        """A page of a project's release candidates, newest first."""
        stream = project_stream(project_name)
        params = {"stream": stream, "skipped": (page - 1) * per_page, "per_page": per_page}

        def question(source: Source) -> Page | None:
            rows = source.read(selects.CANDIDATES, params)
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            project = state_in(source, head, rows[0], "projects", "of_project")
            require(source, head, "release_candidates")
            found = [
                answers.candidate(picked(row, "candidate"), row["cutter_email"])
                for row in rows
                if row["candidate_number"] is not None
            ]
            total = project.candidates
            require_page(head, "release_candidates", len(found), total, page, per_page)
            return Page(items=found, version=head.version, more=page * per_page < total, total=total)

        found = ask(self.store, [stream], question)
        if found is None:
            raise ProjectNotFound()
        return found

    def candidate(self, project_name: str, version: str) -> tuple[Answer, int]:
        """One release candidate, and its project's version."""
        view = ask(
            self.store, [project_stream(project_name)], lambda source: project_view(source, project_name, version)
        )
        view.found_project()
        if view.candidate is None:
            raise ReleaseNotFound()
        return answers.candidate(view.candidate, view.candidate_email), view.head.version

    def token(self, token_sha256: str) -> KnownToken | None:
        """The token of a digest, whether it opens or not; it is remembered."""

        def question(source: Source) -> Row | None:
            rows = source.read(selects.TOKEN, {"token_sha256": token_sha256})
            if not rows:
                return None
            require(source, as_head(ACCESS, picked(rows[0], "head")), "tokens")
            found = rows[0] | {"token": picked(rows[0], "token")}
            return found if found["token"]["token_name"] is not None else None

        row = ask(self.store, [ACCESS], question)
        if row is None:  # a row may have been lost; what was folded is kept, so that guesses cost little
            with fold_now(self.store, [ACCESS]) as folded:
                row = question(folded)
        if row is None:
            return None
        known = KnownToken(cast(Token, row["token"]), row["owner_email"], row["access_mark"])
        self.remembered.note_token(known)
        return known

    def tokens(self) -> list[Answer]:
        """All tokens in the order of their names, without their digests; by the history, as no row counts them."""

        def question(source: Source) -> list[Row]:
            if not isinstance(source, FoldedSource):
                raise NotLive(ACCESS, "tokens")
            rows = source.read(selects.TOKENS, {})
            if rows:
                require(source, as_head(ACCESS, picked(rows[0], "head")), "tokens")
            found = [picked(row, "token") | {"email": row["owner_email"]} for row in rows]
            return [token for token in found if token["token_name"] is not None]

        hidden = ("token_sha256", "owner_person_id")
        return [
            {name: value for name, value in token.items() if name not in hidden}
            for token in ask(self.store, [ACCESS], question)
        ]

    def _over_streams(
        self, prefix: str, statement: Statement, listed: Callable[[Source, Row], Answer | None]
    ) -> list[Answer]:
        """One answer a stream, in the order of their names; where one stream is not live, all are folded."""

        def question(source: Source) -> list[Answer | None]:
            beyond = {"first": prefix, "beyond": prefix + "\U0010ffff"}
            return [listed(source, row) for row in source.read(statement, beyond)]

        found = ask(self.store, Lazily(lambda: stream_names(self.store, prefix)), question)
        return [answer for answer in found if answer is not None]


class Lazily:
    """The names of streams, read only when somebody needs them."""

    def __init__(self, read: Callable[[], list[str]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())
