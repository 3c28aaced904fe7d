"""Release candidates: what was cut, of which commit, newest first."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Text

from release_ledger.events import ReleaseCandidateCut
from release_ledger.projection import Projection, Rows, on, read_model


class ReleaseCandidates(Projection):
    """Which candidates did a project cut, and may they be deployed?

    Keyed by `number`, which the ledger hands out; a version that CI sends is only an index.
    """

    name = "release_candidates"
    key = ("number",)
    table = read_model(
        "release_candidates",
        Column("number", BigInteger),
        Column("release_candidate_version", Text, nullable=False),
        Column("release_version", Text, nullable=False),
        Column("commit", Text, nullable=False),
        Column("repo", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("created_at", Text, nullable=False),
        Column("build_url", Text),
        Column("person_id", Text),
        key=key,
        indexes=[
            Index("release_candidates_by_version", "stream", "generation", "release_candidate_version"),
        ],
    )

    @on(ReleaseCandidateCut)
    def cut(self, event: ReleaseCandidateCut, rows: Rows) -> None:
        rows[event.number] = {
            "number": event.number,
            "release_candidate_version": event.release_candidate_version,
            "release_version": event.release_version,
            "commit": event.commit,
            "repo": event.repo,
            "status": event.status,
            "created_at": event.happened_at,
            "build_url": None,
            "person_id": event.person_id,
        }
