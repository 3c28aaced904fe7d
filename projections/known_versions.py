"""Known versions: a second witness of which release candidate versions a stream has seen.

Where a command finds no row of a version, it would cut the candidate, or observe a deployment of it, for ever. A row
that somebody deleted, or changed the version of, must not lead to that: what is not found is asked here, too.
See `docs/decisions/0016-absence-has-a-witness.md`.
"""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import BigInteger, Column, Index, Text

from release_ledger.events import DeploymentRequested, ReleaseCandidateCut
from release_ledger.projection import Projection, Rows, on, read_model


class KnownVersion(TypedDict):
    """A row: the number of a candidate, or of a deployment, and its version."""

    number: int
    release_candidate_version: str


class KnownVersions(Projection):
    """Which versions does this stream know, and which is the candidate, or the newest deployment, of each?"""

    name = "known_versions"
    key = ("number",)
    table = read_model(
        "known_versions",
        Column("number", BigInteger),
        Column("release_candidate_version", Text, nullable=False),
        key=key,
        indexes=[Index("known_versions_by_version", "stream", "generation", "release_candidate_version", "number")],
    )

    @on(ReleaseCandidateCut, DeploymentRequested)
    def seen(self, event: ReleaseCandidateCut | DeploymentRequested, rows: Rows) -> None:
        known: KnownVersion = {
            "number": event.number,
            "release_candidate_version": event.release_candidate_version,
        }
        rows[event.number] = known
