"""Known versions: a second witness of which release candidate versions a stream has seen.

Where a command finds no row of a version, it would cut the candidate, or observe a deployment of it, for ever. A row
that somebody deleted, or changed the version of, must not lead to that: what is not found is asked here, too.
See `docs/decisions/0016-absence-has-a-witness.md`.
"""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import BigInteger, Column, Text

from release_ledger.events import DeploymentRequested, ReleaseCandidateCut
from release_ledger.projection import Projection, Rows, on, read_model


class KnownVersion(TypedDict):
    """A row: a version, and the number of the candidate, or of the newest deployment, of it."""

    release_candidate_version: str
    number: int


class KnownVersions(Projection):
    """Which versions does this stream know, and which is the candidate, or the newest deployment, of each?"""

    name = "known_versions"
    key = ("release_candidate_version",)
    table = read_model(
        "known_versions",
        Column("release_candidate_version", Text),
        Column("number", BigInteger, nullable=False),
        key=key,
    )

    @on(ReleaseCandidateCut, DeploymentRequested)
    def seen(self, event: ReleaseCandidateCut | DeploymentRequested, rows: Rows) -> None:
        version = event.release_candidate_version
        known: KnownVersion = {"release_candidate_version": version, "number": event.number}
        rows[version] = known
