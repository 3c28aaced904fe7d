"""The shape of a workflow in a setting. What could not be triggered, or would show a secret, is not saved."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from flask import current_app
from marshmallow import EXCLUDE, INCLUDE, Schema, ValidationError, fields, validate, validates_schema

from ..worker.kinds import Kind, SettingKey
from ..worker.registry import KINDS
from ..workflows import PLACEHOLDERS, looks_secret, unknown_placeholders

# GitHub takes 25 inputs; three are our own.
PARAMETERS_LIMIT: Final = 22
PREFIX_PATTERN: Final = "^[A-Za-z_][A-Za-z0-9_-]{0,49}$"


class OpenSchema(Schema):
    """A shape that may come with more keys than are known here."""

    class Meta:
        unknown = EXCLUDE


class WorkflowSchema(Schema):
    """A workflow to trigger: of GitHub Actions, or a signed HTTP request."""

    class Meta:
        unknown = INCLUDE  # what else there may be depends on the kind

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    parameters = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 100)),
        values=fields.String(validate=validate.Length(max=1000)),
        validate=validate.Length(max=PARAMETERS_LIMIT),
        metadata={"description": "More inputs. The logs of a run show them: no secrets."},
    )
    prefix = fields.String(
        validate=validate.Regexp(
            PREFIX_PATTERN.replace("$", r"\Z"), error="Must be letters, digits, _ and -, and begin with a letter or _."
        ),
        metadata={"pattern": PREFIX_PATTERN, "description": "Of the names of the inputs; `aviator_` unless set."},
    )

    @validates_schema(skip_on_field_errors=False)
    def of_its_kind(self, workflow: dict[str, Any], **_: Any) -> None:
        """Each kind has its own keys, and says what is wrong with them. No other is taken: it would do nothing."""
        kind = KINDS.get(workflow.get("kind", ""))
        if kind is None:
            return
        own = {name: value for name, value in workflow.items() if name not in self.fields}
        wrong: dict[str, Any] = _keys_of(kind)().validate(own)
        names = [*self.fields, *(key.name for key in kind.keys)]
        wrong |= {name: [f"Unknown key: of this kind there are {', '.join(names)}."] for name in own.keys() - {*names}}
        wrong = wrong or {name: [said] for name, said in kind.refusals(own, current_app.extensions["settings"]).items()}
        if wrong:
            raise ValidationError(wrong)

    @validates_schema
    def open_parameters(self, workflow: dict[str, Any], **_: Any) -> None:
        """Parameters are names and texts that anybody may read."""
        wrong = {name: said for name, value in workflow.get("parameters", {}).items() if (said := _wrong(name, value))}
        if wrong:
            raise ValidationError({"parameters": wrong})


@cache
def _keys_of(kind: type[Kind]) -> type[Schema]:
    """The shape of what only this kind has."""
    return OpenSchema.from_dict({key.name: _text(key) for key in kind.keys})


def _text(key: SettingKey) -> fields.String:
    return fields.String(required=key.required, validate=[validate.Length(1, key.longest), _raising(key.wrong)])


def _raising(wrong: Callable[[str], str | None]) -> Callable[[str], None]:
    def check(text: str) -> None:
        if (said := wrong(text)) is not None:
            raise ValidationError(said)

    return check


def _wrong(name: str, value: str) -> list[str]:
    """What is wrong with a parameter."""
    if not name.isascii():
        return ["Names must be ASCII."]
    if looks_secret(name, value):
        return ["Looks like a secret, and the logs of a run show parameters. Use the platform's own secrets."]
    if unknown := unknown_placeholders(value):
        allowed = ", ".join(f"${{{each}}}" for each in PLACEHOLDERS)
        return [f"${{{unknown[0]}}} stands for nothing. There are {allowed}."]
    return []
