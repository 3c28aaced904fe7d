"""The shape of a workflow in a setting. What could not be triggered, or would show a secret, is not saved."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from flask import current_app
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from ..outgoing.addresses import Permitted, address_in, origin_of, says_loopback
from ..settings import ALLOW_PRIVATE_ADDRESSES, HTTP_SECRET
from ..workflows import KINDS, PLACEHOLDERS, SECRET_VALUE, looks_secret, unknown_placeholders

# What a workflow of each kind must name.
WORKFLOW_KEYS: Final = {"github": ("workflow", "ref"), "http": ("url",)}
# GitHub takes 25 inputs; three are our own.
PARAMETERS_LIMIT: Final = 22
WORKFLOW_PATTERN: Final = r"^[^\s/\\]([^/\\]*[^\s/\\])?$"
REF_PATTERN: Final = r"^\S+$"
_SHOWN_TO_ALL: Final = (
    "Looks like it has a secret in it, and settings are shown. Requests are signed: check their signature instead."
)
PREFIX_PATTERN: Final = "^[A-Za-z_][A-Za-z0-9_-]{0,49}$"

_SECRET_NAME_IN_URL: Final = re.compile(r"(?:^|[^a-z])(?:key|sig|sas|hmac|jwt)(?:$|[^a-z])|signature", re.IGNORECASE)
_LONG_IN_URL: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/=_]{24,}")
# Addresses that are a secret themselves: whoever knows them may post.
_SECRET_ADDRESS: Final = re.compile(
    r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/."
    r"|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/.|webhook\.office(?:365)?\.com/webhook|outlook\.office\.com/webhook"
    r"|hooks\.zapier\.com/hooks/.|api\.telegram\.org/bot",
    re.IGNORECASE,
)


def _file_or_id(text: str) -> None:
    """Refuse what would lead to another place of GitHub's API, and what no file is called."""
    is_a_path = "/" in text or "\\" in text or text.strip(".") == ""
    if is_a_path or text.strip() != text or not text.isprintable():
        raise ValidationError("Must be the name of a file in .github/workflows, without its folder, or an id.")


def _branch_or_tag(text: str) -> None:
    if re.search(r"\s", text) or not text.isprintable():
        raise ValidationError("Must be a branch or tag, without spaces and control characters.")


class OpenSchema(Schema):
    """A shape that may come with more keys than are known here."""

    class Meta:
        unknown = EXCLUDE


class WorkflowSchema(OpenSchema):
    """A workflow to trigger: of GitHub Actions, or a signed HTTP request."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    workflow = fields.String(
        validate=[validate.Length(1, 200), _file_or_id],
        metadata={"pattern": WORKFLOW_PATTERN, "description": "The file's name in .github/workflows, or its id."},
    )
    ref = fields.String(
        validate=[validate.Length(1, 250), _branch_or_tag],
        metadata={"pattern": REF_PATTERN, "description": "A branch or tag."},
    )
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
        validate=validate.Length(1, 2000),
        metadata={"description": "https, or http to this machine; no password or other secret."},
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
        is_secure = url.lower().startswith("https:")
        is_fine = is_secure or says_loopback(host)
        shows_secret = _has_secret(url)
    except ValueError:
        is_fine = False
    if not is_fine or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValidationError({"url": ["Must be https, or http to this machine itself, without name and password."]})
    if shows_secret:
        raise ValidationError({"url": [_SHOWN_TO_ALL]})
    allows_private = current_app.extensions["settings"].allow_private_addresses
    address = address_in(host)
    if is_secure and address is not None and not Permitted(allows_private, False).allows(address):
        raise ValidationError(
            {"url": [f"Is not a public address; private ones are called with {ALLOW_PRIVATE_ADDRESSES} only."]}
        )


def _has_secret(url: str) -> bool:
    """Whether an address has a secret in it: settings are shown to whoever may read. Raises `ValueError` for no URL."""
    parts = urlsplit(url)
    if _SECRET_ADDRESS.search(f"{parts.hostname}{unquote(parts.path)}") or SECRET_VALUE.search(unquote(url)):
        return True
    given = (pair for text in (parts.query, parts.fragment) for pair in parse_qsl(text, max_num_fields=1000))
    return any(
        looks_secret(name, value) or _SECRET_NAME_IN_URL.search(name) or _LONG_IN_URL.fullmatch(value)
        for name, value in given
    )
