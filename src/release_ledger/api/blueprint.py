"""flask-smorest's blueprint with our reading of requests, and with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema

from .parsing import BodyParser

Handler = Callable[..., Response]
Decorator = Callable[[Handler], Handler]


class LedgerBlueprint(Blueprint):
    """A group of endpoints under one prefix."""

    ARGUMENTS_PARSER = BodyParser()

    def on(self, method: str, rule: str, operation_id: str) -> Decorator:
        """The handler answers this method and path; the description, and clients made from it, call it by the id."""

        def decorate(handler: Handler) -> Handler:
            doc: dict[str, Any] = handler.__dict__.setdefault("_apidoc", {})
            doc.setdefault("manual_doc", {})["operationId"] = operation_id
            return cast(Handler, self.route(rule, methods=[method])(handler))

        return decorate

    def takes(self, schema: type[Schema], *, location: str = "json", required: bool = True) -> Decorator:
        """The handler's first argument is the body, or the query, checked by this schema."""

        shape = schema()

        def decorate(handler: Handler) -> Handler:
            taking = cast(Handler, self.arguments(shape, location=location, required=required)(handler))
            taking.__dict__["taken"] = frozenset(shape.fields)
            return taking

        return decorate

    def answers(self, status: int, schema: Schema | type[Schema] | None = None, **kwargs: Any) -> Decorator:
        """The shape of the answer, for the description; handlers write their answers themselves."""
        return cast(Decorator, self.response(status, schema, **kwargs))

    def also_answers(self, status: int, schema: type[Schema]) -> Decorator:
        """Another shape of answer, for the description."""
        return cast(Decorator, self.alt_response(status, schema=schema))
