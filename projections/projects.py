"""Projects: their settings, and how many candidates they have cut."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Text

from release_ledger.events import ProjectConfigured, ProjectEvent, ReleaseCandidateCut
from release_ledger.project import Project, apply
from release_ledger.projection import Projection, Rows, RowValues, on, read_model


class Projects(Projection):
    """What is a project, and what are its settings?"""

    name = "projects"
    definition = "2"
    table = read_model(
        "projects",
        Column("project_name", Text, nullable=False),
        Column("candidates", BigInteger, nullable=False),
        Column("state", Text, nullable=False),
    )

    @on(ProjectConfigured, ReleaseCandidateCut)
    def changed(self, event: ProjectEvent, rows: Rows) -> None:
        rows[()] = apply(rows.get(()), event)

    def load(self, row: RowValues) -> Project:
        return msgspec.json.decode(row["state"], type=Project)

    def dump(self, row: Project) -> dict[str, Any]:
        state = msgspec.json.encode(row, order="deterministic").decode()
        return {"project_name": row.project_name, "candidates": row.candidates, "state": state}
