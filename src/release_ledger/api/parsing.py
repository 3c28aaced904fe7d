"""Reading a request: strict JSON within bounds, and errors in the contract's shape and sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from flask import Request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from ..deployment import STATUSES
from ..errors import InvalidCommit, InvalidReleaseCandidateVersion, InvalidRequest, InvalidStatus, Refusal
from ..versions import parse_candidate_version, parse_commit, read_moment, write_moment

# As `versions` reads them, in the words of ECMA's regular expressions.
VERSION_PATTERN = r"^[^/\s\x00-\x1f\x7f-\x9f]{1,200}-rc(0|[1-9][0-9]{0,8})$"
COMMIT_PATTERN = "^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"
_NOT_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_DIGITS = re.compile(r"-?[0-9]{1,1000}")


class Read(fields.String):
    """Text that a function reads; what it raises is the answer, or (`ValueError`) says what was expected."""

    def __init__(
        self,
        read: Callable[[Any], Any],
        *,
        refusal: type[Refusal] = InvalidRequest,
        expected: str = "Not valid.",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.read, self.refusal, self.expected = read, refusal, expected

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            return self.read(value)
        except (ValueError, TypeError) as error:
            raise ValidationError(self.expected) from error


def candidate_version(**kwargs: Any) -> Read:
    """`<release_version>-rc<n>`."""

    def read(value: Any) -> str:
        parse_candidate_version(value)
        return str(value)

    said = {"pattern": VERSION_PATTERN, "description": "<release_version>-rc<n>"}
    return Read(read, refusal=InvalidReleaseCandidateVersion, metadata=said, **kwargs)


def commit(**kwargs: Any) -> Read:
    """40 or 64 hexadecimal digits."""
    said = {"pattern": COMMIT_PATTERN}
    return Read(parse_commit, refusal=InvalidCommit, metadata=said, **kwargs)


def status(**kwargs: Any) -> Read:
    """One of the deployment statuses."""

    def read(value: Any) -> str:
        if value not in STATUSES:
            raise InvalidStatus(allowed=list(STATUSES))
        return str(value)

    return Read(read, refusal=InvalidStatus, validate=validate.OneOf(STATUSES), **kwargs)


def moment(**kwargs: Any) -> Read:
    """ISO 8601 with an offset; read as the ledger writes it."""
    expected = "Not an ISO 8601 timestamp with an offset."
    said = {"format": "date-time"} | kwargs.pop("metadata", {})
    return Read(lambda text: write_moment(read_moment(text)), expected=expected, metadata=said, **kwargs)


def shortened(limit: int, **kwargs: Any) -> Read:
    """Text that is cut rather than refused, ending in `…`: a report is never refused for its size."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        return value if len(value) <= limit else f"{value[: limit - 1]}…"

    said = {"description": f"What is longer than {limit} characters is cut, ending in `…`."}
    return Read(read, expected="Not a valid string.", metadata=said, **kwargs)


class Flag(fields.Boolean):
    """true or false, and nothing that looks like it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Digits(fields.Integer):
    """A number of a query in plain digits: `int` would also read `1_0`, ` 1` and the digits of other scripts."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if not _DIGITS.fullmatch(str(value)):
            raise self.make_error("invalid", input=value)
        return int(value)


class BodyParser(FlaskParser):
    """webargs, strict: an object of JSON in UTF-8 without NUL, lone surrogates, NaN or a key twice.

    Unknown keys are ignored.
    """

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": EXCLUDE, "query": EXCLUDE}  # noqa: RUF012 - the library's own
    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: Schema) -> Any:
        raw = req.get_data(cache=True)
        if req.content_length is None and len(raw) >= (req.max_content_length or 0) > 0:
            raise RequestEntityTooLarge()  # a chunked body is cut there without a word
        if not raw.strip():
            return {}
        if not req.is_json:
            raise UnsupportedMediaType()
        body = read_object(raw)
        return {name: value for name, value in body.items() if value is not None or _hears_null(schema, name)}

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_: Any) -> NoReturn:
        """Says which field is wrong, in that field's own sentence where it has one."""
        del req
        wrong = error.normalized_messages()  # type: ignore[no-untyped-call] # it has no types
        location, named = next(iter(wrong.items()))
        for name, field in schema.fields.items():
            if isinstance(field, Read) and field.refusal is not InvalidRequest and name in named:
                raise field.refusal(**{name: named[name]})
        raise InvalidRequest(**(named if isinstance(named, dict) else {location: named}))


def _hears_null(schema: Schema, name: str) -> bool:
    """Whether null of a key is a value, right or wrong; elsewhere it is as good as the key's absence."""
    return name in schema.fields and (schema.fields[name].required or schema.fields[name].allow_none)


def read_object(raw: bytes) -> dict[str, Any]:
    """A JSON object from a request's body. Raises `InvalidRequest`."""
    try:
        body = json.loads(raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
        _check_text(body)
    except RecursionError:
        raise InvalidRequest(body="is nested too deeply") from None
    except ValueError as error:
        raise InvalidRequest(body=f"is not valid JSON: {error}"[:200]) from None
    if not isinstance(body, dict):
        raise InvalidRequest(body="must be a JSON object")
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_text(value: Any) -> None:
    if isinstance(value, str):
        if _NOT_TEXT.search(value):
            raise ValueError("text with a NUL byte or a lone surrogate")
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            _check_text(item)
