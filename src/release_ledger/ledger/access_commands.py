"""Commands on who may call: tokens made and revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import access
from ..errors import InvalidRequest, PersonNotFound
from ..events import Event
from ..projection import ACCESS
from .forgetting import forget_in_answers
from .people import people_of, person_of, token_named
from .project_questions import ProjectQuestions
from .recording import Caller, Command, Outcome, carry_out
from .views import View

Decide = Callable[[View, str], Iterable[Event]]


class AccessCommands(ProjectQuestions):
    """What can be done about tokens."""

    def create_token(
        self,
        token_name: str,
        *,
        role: access.Role = "read",
        email: str | None = None,
        projects: list[str] | None = None,
        expires_at: str | None = None,
        by: Caller,
    ) -> str:
        """Make a token; it is returned once and never again. Raises `TokenExists`."""
        secret = access.new_secret()
        person_id, people = person_of(self.store, email)

        def decided(view: View, now: str) -> Iterable[Event]:
            if expires_at is not None and expires_at <= now:
                raise InvalidRequest(expires_in="must be in the future")
            return access.create_token(
                view.known["tokens"].get((token_name,)),
                token_name=token_name,
                token_sha256=access.digest(secret),
                role=role,
                owner_person_id=person_id,
                projects=projects,
                expires_at=expires_at,
            )

        self._on_access(by, token_name, decided, people)
        return secret

    def revoke_token(self, token_name: str, *, by: Caller) -> None:
        """The token opens nothing from now on. Raises `TokenNotFound`."""
        self._on_access(
            by,
            token_name,
            lambda view, now: access.revoke_token(view.known["tokens"].get((token_name,)), token_name),
        )

    def forget_person(self, email: str, *, by: Caller) -> None:
        """The e-mail is written down nowhere any more; the person's tokens keep opening. Raises `PersonNotFound`.

        What is kept of answers is gone through first, and again, so that who was interrupted can do it once more.
        """
        forget_in_answers(self.store, email)
        people = people_of(self.store, email)
        if not people:
            raise PersonNotFound(email=email)
        for person_id in people:
            self._on_access(by, "", lambda *_, of=person_id: access.forget_person(of), forgotten=[person_id])
        forget_in_answers(self.store, email)

    def forget_kept_answers(self, email: str) -> None:
        """Once more, when all requests are over that were under way while the person was forgotten."""
        forget_in_answers(self.store, email)

    def _on_access(
        self,
        by: Caller,
        token_name: str,
        decided: Decide,
        people: Iterable[tuple[str, str]] = (),
        forgotten: Iterable[str] = (),
    ) -> Outcome:
        command = Command(
            streams=[ACCESS],
            look=lambda source: token_named(source, token_name),
            decide=decided,
            by=by,
            people=list(people),
            forgotten=list(forgotten),
            remembered=self.remembered,
        )
        return carry_out(self.store, command)
