"""Release candidates: what was cut, of which commit, newest first."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Text

from release_ledger.builds import with_build
from release_ledger.events import (
    BuildReported,
    BuildRequested,
    BuildTriggered,
    DeployedAfterBuild,
    ReleaseCandidateChecked,
    ReleaseCandidateCut,
)
from release_ledger.project import UNKNOWN, candidate_of
from release_ledger.projection import Projection, Rows, on, read_model


class ReleaseCandidates(Projection):
    """Which candidates did a project cut, and may they be deployed?

    Keyed by `number`, which the ledger hands out; a version that CI sends is only an index. The columns are those of
    `project.Candidate`.
    """

    name = "release_candidates"
    definition = "2"
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
        Column("build_id", Text),
        Column("build_key", Text),
        Column("build_url", Text),
        Column("build_url_key", Text),
        Column("error_message", Text),
        Column("commit_check", Text),
        Column("person_id", Text),
        key=key,
        indexes=[
            Index("release_candidates_by_version", "stream", "generation", "release_candidate_version"),
        ],
    )

    @on(ReleaseCandidateCut)
    def cut(self, event: ReleaseCandidateCut, rows: Rows) -> None:
        rows[event.number] = candidate_of(event)

    @on(ReleaseCandidateChecked)
    def checked(self, event: ReleaseCandidateChecked, rows: Rows) -> None:
        known = {**rows[event.number], "commit_check": None if event.found else UNKNOWN}
        if not event.found:
            known |= {"status": "failed", "error_message": event.error_message}
        rows[event.number] = known

    @on(BuildRequested)
    def build_requested(self, event: BuildRequested, rows: Rows) -> None:
        of_build = dict.fromkeys(("build_key", "build_url", "build_url_key", "error_message"))
        rows[event.number] = {**rows[event.number], **of_build, "build_id": event.build_id, "status": "pending"}

    @on(BuildTriggered)
    def build_triggered(self, event: BuildTriggered, rows: Rows) -> None:
        known = rows[event.number]
        if event.build_id == known["build_id"] and known["build_url"] is None and event.run_url is not None:
            rows[event.number] = {**known, "build_url": event.run_url, "build_url_key": ""}

    @on(DeployedAfterBuild)
    def deployed(self, event: DeployedAfterBuild, rows: Rows) -> None:
        if event.error_message is not None:
            why = f"Not deployed to {event.to_environment}: {event.error_message}."
            rows[event.number] = {**rows[event.number], "error_message": why}

    @on(BuildReported)
    def build_reported(self, event: BuildReported, rows: Rows) -> None:
        known = rows[event.number]
        if event.build_id in ("", known["build_id"]):
            rows[event.number] = with_build(
                known, event.status, event.happened_at, event.build_url, event.error_message
            )
