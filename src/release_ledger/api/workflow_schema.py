"""The shape of a workflow in a setting. What could not be triggered, or would show a secret, is not saved."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from flask import current_app
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from ..outgoing.addresses import origin_of, says_loopback
from ..settings import HTTP_SECRET
from ..workflows import KINDS, PLACEHOLDERS, looks_secret, unknown_placeholders

# What a workflow of each kind must name.
WORKFLOW_KEYS: Final = {"github": ("workflow", "ref"), "http": ("url",)}
# GitHub takes 25 inputs; three are our own.
PARAMETERS_LIMIT: Final = 22
PREFIX_PATTERN: Final = "^[A-Za-z_][A-Za-z0-9_-]{0,49}$"


class OpenSchema(Schema):
    """A shape that may come with more keys than are known here."""

    class Meta:
        unknown = EXCLUDE


class WorkflowSchema(OpenSchema):
    """A workflow to trigger: of GitHub Actions, or a signed HTTP request."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    workflow = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "The file's name in .github/workflows, or its id."}
    )
    ref = fields.String(validate=validate.Length(1, 250), metadata={"description": "A branch or tag."})
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
    url = fields.String(
        validate=validate.Length(1, 2000), metadata={"description": "https, or http to this machine; no password."}
    )

    @validates_schema
    def complete(self, workflow: dict[str, Any], **_: Any) -> None:
        """Each kind needs its own keys."""
        missing = [name for name in WORKFLOW_KEYS.get(workflow.get("kind", ""), ()) if name not in workflow]
        if missing:
            raise ValidationError({name: ["Missing data for required field."] for name in missing})
        if "url" in workflow:
            _callable(workflow["url"])
        if workflow["kind"] == "http" and current_app.extensions["settings"].http_secret is None:
            raise ValidationError({"url": [f"Requests are signed, and {HTTP_SECRET} is not set on the server."]})

    @validates_schema
    def open_parameters(self, workflow: dict[str, Any], **_: Any) -> None:
        """Parameters are names and texts that anybody may read."""
        wrong = {name: said for name, value in workflow.get("parameters", {}).items() if (said := _wrong(name, value))}
        if wrong:
            raise ValidationError({"parameters": wrong})


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


def _callable(url: str) -> None:
    """Refuse an address that is never called."""
    try:
        origin_of(url)
        host = urlsplit(url).hostname or ""
        is_fine = url.lower().startswith("https:") or says_loopback(host)
    except ValueError:
        is_fine = False
    if not is_fine or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValidationError({"url": ["Must be https, or http to this machine itself, without name and password."]})
