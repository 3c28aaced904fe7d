"""Tokens: who may call, and what each may do."""

from __future__ import annotations

from sqlalchemy import Column, Index, Text

from release_ledger.access import Token
from release_ledger.events import TokenCreated, TokenRevoked
from release_ledger.projection import Projection, Rows, canonical, on, read_model


class Tokens(Projection):
    """Which token is this, whose is it, and does it still open?"""

    name = "tokens"
    key = ("token_name",)
    table = read_model(
        "tokens",
        Column("token_name", Text),
        Column("token_sha256", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("owner_person_id", Text),
        Column("projects", Text),
        Column("expires_at", Text),
        Column("created_at", Text, nullable=False),
        Column("created_by", Text, nullable=False),
        Column("revoked_at", Text),
        key=key,
        indexes=[Index("tokens_by_sha256", "token_sha256")],
    )

    @on(TokenCreated)
    def created(self, event: TokenCreated, rows: Rows) -> None:
        rows[event.token_name] = Token(
            token_name=event.token_name,
            token_sha256=event.token_sha256,
            role=event.role,
            owner_person_id=event.owner_person_id,
            projects=canonical(event.projects).decode() if event.projects is not None else None,
            expires_at=event.expires_at,
            created_at=event.recorded_at,
            created_by=event.recorded_by,
            revoked_at=None,
        )

    @on(TokenRevoked)
    def revoked(self, event: TokenRevoked, rows: Rows) -> None:
        rows[event.token_name] = {**rows[event.token_name], "revoked_at": event.recorded_at}
