"""The described shapes, where marshmallow's own description says less than is checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .schemas import RUN_ID_PATTERN
from .workflow_schema import WORKFLOW_KEYS

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
    workflow["anyOf"] = [
        {"properties": {"kind": {"type": "string", "enum": [kind]}}, "required": list(keys)}
        for kind, keys in WORKFLOW_KEYS.items()
    ]
    for name in ("SyncBuild", "SyncDeploy"):
        number = {"type": "integer", "minimum": 1, "maximum": 10**15}
        shapes[name]["properties"]["workflow_run_id"] = {"anyOf": [_TEXT | {"pattern": RUN_ID_PATTERN}, number]}
    shapes["Rollback"]["not"] = {"properties": {"to": _TEXT, "strategy": _TEXT}, "required": ["to", "strategy"]}


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
