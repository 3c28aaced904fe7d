"""Tokens: made once, known by their digest, revoked for ever."""

import hashlib

import pytest

from release_ledger import access
from release_ledger.access import Token
from release_ledger.errors import InvalidRequest, TokenExists, TokenNotFound
from release_ledger.events import AccessEvent, stamp
from release_ledger.projection.projection import Rows
from release_ledger.projections.tokens import Tokens
from tests.rules.story import at


class Door:
    """The tokens that were made, kept in memory."""

    def __init__(self) -> None:
        self._rows, self._version = Rows(), 0

    def token(self, name: str) -> Token | None:
        found: Token | None = self._rows.get(name)
        return found

    def create(self, name: str, sha256: str, projects: list[str] | None = None) -> None:
        events = access.create_token(
            self.token(name),
            token_name=name,
            token_sha256=sha256,
            role="deploy",
            owner_person_id="person-1",
            projects=projects,
            expires_at=at(9_000),
        )
        self._fold(events)

    def revoke(self, name: str) -> access.Events:
        events = access.revoke_token(self.token(name), name)
        self._fold(events)
        return events

    def _fold(self, events: tuple[AccessEvent, ...]) -> None:
        for event in stamp(events, "access", self._version, recorded_at=at(self._version), recorded_by="root"):
            Tokens().fold(event, self._rows)
            self._version += 1


def test_a_token_is_what_its_creation_said() -> None:
    """Role, owner, projects, end; who made it and when."""
    door = Door()

    door.create("ci", "digest", projects=["shop", "Überladen"])

    assert door.token("ci") == Token(
        token_name="ci",
        token_sha256="digest",
        role="deploy",
        owner_person_id="person-1",
        projects='["shop","Überladen"]',
        expires_at=at(9_000),
        created_at=at(0),
        created_by="root",
        revoked_at=None,
    )


def test_a_name_is_taken_while_its_token_opens() -> None:
    """409; another name is free."""
    door = Door()
    door.create("ci", "first")

    with pytest.raises(TokenExists) as refusal:
        door.create("ci", "second")
    door.create("ci-2", "second")

    assert (refusal.value.status, refusal.value.details) == (409, {"token_name": "ci"})
    known = door.token("ci")
    assert known is not None
    assert known["token_sha256"] == "first"


@pytest.mark.parametrize("name", ["ada@example.com", "laptop of ada@example", "@"])
def test_a_name_that_may_hold_an_e_mail_is_refused(name: str) -> None:
    """It would be in events for ever, where nobody could be forgotten."""
    door = Door()

    with pytest.raises(InvalidRequest) as refusal:
        door.create(name, "digest")

    assert "for ever" in refusal.value.details["token_name"]
    assert door.token(name) is None


def test_a_revoked_token_opens_nothing_and_frees_its_name() -> None:
    """The new token of the name is another one: it opens, the old one is forgotten."""
    door = Door()
    door.create("ci", "first")

    door.revoke("ci")
    revoked = door.token("ci")
    door.create("ci", "second")

    assert revoked is not None
    assert revoked["revoked_at"] == at(1)
    known = door.token("ci")
    assert known is not None
    assert (known["token_sha256"], known["revoked_at"]) == ("second", None)


def test_revoking_again_records_nothing() -> None:
    """It is closed already."""
    door = Door()
    door.create("ci", "first")

    assert len(door.revoke("ci")) == 1
    assert door.revoke("ci") == ()


def test_a_token_that_never_was_cannot_be_revoked() -> None:
    """404 by name, so that a misspelt name is noticed."""
    with pytest.raises(TokenNotFound) as refusal:
        Door().revoke("ic")

    assert (refusal.value.status, refusal.value.details) == (404, {"token_name": "ic"})


def test_each_role_may_do_what_the_lesser_ones_may() -> None:
    """`admin` > `deploy` > `read`; a word that is no role may do nothing."""
    allowed = {
        (role, needed)
        for role in ("read", "deploy", "admin", "")
        for needed in access.ROLES
        if access.allows(role, needed)
    }

    assert allowed == {
        ("read", "read"),
        ("deploy", "read"),
        ("deploy", "deploy"),
        ("admin", "read"),
        ("admin", "deploy"),
        ("admin", "admin"),
    }


def test_a_secret_is_random_and_known_only_by_its_digest() -> None:
    """256 bits, SHA-256 in hex; text that no secret could be has a digest too, so that asking is never an error."""
    first, second = access.new_secret(), access.new_secret()

    assert first != second
    assert first.startswith("rl_")
    assert len(first) == 3 + 43
    assert access.digest("rl_x") == hashlib.sha256(b"rl_x").hexdigest()
    assert len(access.digest("\ud800é")) == 64
