"""The described shapes, where marshmallow's own description says less than is checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..worker.kinds import SettingKey
from ..worker.registry import KINDS
from .schemas import RUN_ID_PATTERN

Described = dict[str, Any]
_ANY_OBJECT_OR_NULL: Final = {"type": "object", "nullable": True}
_TEXT: Final = {"type": "string"}


def mend(shapes: dict[str, Described], of_bodies: Iterable[str]) -> None:
    """Make the shapes say what is so; `of_bodies` are the names of those that a request's body has."""
    for shape in shapes.values():
        for described in shape["properties"].values():
            _only_null(described)
    for name in of_bodies:
        _null_as_absence(shapes[name])
    shapes["Environment"]["required"] = sorted(shapes["Environment"]["properties"])  # also what a PUT may leave out
    workflow = shapes["Workflow"]
    workflow["properties"]["parameters"]["maxProperties"] = workflow["properties"]["parameters"].pop("maxLength")
    _of_kinds(workflow)
    for name in ("SyncBuild", "SyncDeploy"):
        number = {"type": "integer", "minimum": 1, "maximum": 10**15}
        shapes[name]["properties"]["workflow_run_id"] = {"anyOf": [_TEXT | {"pattern": RUN_ID_PATTERN}, number]}
    shapes["Rollback"]["not"] = {"properties": {"to": _TEXT, "strategy": _TEXT}, "required": ["to", "strategy"]}


def _of_kinds(workflow: Described) -> None:
    """Each kind has keys of its own, beside those of all, and no others."""
    common, required = workflow.pop("properties"), workflow.pop("required")
    workflow.pop("additionalProperties", None)
    workflow["anyOf"] = [
        {
            "type": "object",
            "properties": common | {"kind": _TEXT | {"enum": [name]}} | {key.name: _text(key) for key in kind.keys},
            "required": required + [key.name for key in kind.keys if key.required],
            "additionalProperties": False,
        }
        for name, kind in KINDS.items()
    ]


def _text(key: SettingKey) -> Described:
    said = {"minLength": 1, "maxLength": key.longest, "description": key.description}
    return _TEXT | said | ({"pattern": key.pattern} if key.pattern is not None else {})


def _only_null(described: Described) -> None:
    """apispec's "or null" lets any object pass."""
    for choice in described.get("anyOf", []):
        if choice == _ANY_OBJECT_OR_NULL:
            choice["enum"] = [None]


def _null_as_absence(shape: Described) -> None:
    for name, described in shape["properties"].items():
        if name in shape.get("required", []) or "anyOf" in described:
            continue
        described["nullable"] = True
        if "enum" in described and None not in described["enum"]:
            described["enum"] = [*described["enum"], None]
