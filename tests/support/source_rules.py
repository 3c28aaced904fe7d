"""What the source must be like, read from its syntax tree: who imports whom, how long things are, how they are called.

Each rule takes source text and returns its complaints, so that it can be shown a bad sample.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MODULE_LINES: Final = 250
FUNCTION_LINES: Final = 40
REQUEST_BODY_LINES: Final = 10
SAYS_NOTHING: Final = ("manager", "helper", "util", "handler", "processor", "data", "info", "base")

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of a name: EventBase, event_base; a database is one

PACKAGE: Final = "release_ledger"
WORDS: Final = frozenset({"errors", "events", "versions"})
RULES: Final = frozenset(
    {
        "environment",
        "project",
        "access",
        "builds",
        "deployment",
        "decide",
        "reporting",
        "rollback",
        "triggering",
        "workflows",
    }
)
ENGINE: Final = WORDS | RULES | {"store", "projection"}
INSIDE: Final = ENGINE | {"projections", "ledger", "settings", "testing"}
OUTSIDE: Final = INSIDE | {"log", "outgoing", "github", "worker", "proof"}
SURFACE: Final = frozenset({"api", "cli", "graphql"})
ANY: Final = frozenset({"*"})

DATABASE: Final = frozenset({"sqlalchemy", "eventsourcing", "msgspec", "psycopg", "alembic"})

# The rules decide from what they are told. Whatever asks the world would make a replay differ.
WORLD: Final = frozenset(
    {
        "asyncio",
        "http",
        "io",
        "os",
        "pathlib",
        "random",
        "socket",
        "sqlite3",
        "subprocess",
        "threading",
        "time",
        "urllib",
    }
)


@dataclass(frozen=True)
class May:
    """What a part may import: our other parts, distributions, and of the standard library all but `not_std`."""

    ours: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    not_std: frozenset[str] = frozenset()


# In reading order. A part may always import itself, but for read models, which are parts of their own each.
TABLE: Final[dict[str, May]] = {
    "": May(),  # release_ledger/__init__.py
    "errors": May(WORDS),
    "versions": May(WORDS),
    "events": May(WORDS, frozenset({"eventsourcing"})),
    **dict.fromkeys(RULES, May(WORDS | RULES, not_std=WORLD)),
    "settings": May(frozenset({"errors"})),
    "log": May(frozenset({"errors", "settings"}), frozenset({"structlog"})),
    "store": May(WORDS | RULES, DATABASE),
    "migrations": May(WORDS | RULES | {"store"}, DATABASE),
    "projection": May(ENGINE, DATABASE),
    "projections": May(WORDS | RULES | {"projection"}, frozenset({"sqlalchemy", "msgspec"}), not_std=WORLD),
    "ledger": May(ENGINE | {"projections", "settings"}, DATABASE),
    "proof": May(ENGINE | {"settings"}, DATABASE | {"cryptography"}),
    "testing": May(INSIDE, DATABASE | {"pytest", "hypothesis"}),
    "outgoing": May(frozenset({"errors"}), frozenset({"requests", "urllib3"})),
    "github": May(frozenset({"errors", "outgoing"})),
    "worker": May(OUTSIDE, DATABASE | {"requests", "structlog"}),
    "api": May(OUTSIDE | {"api", "graphql"}, ANY),
    "graphql": May(OUTSIDE, ANY),
    "cli": May(OUTSIDE | SURFACE, ANY),
    "__main__": May(frozenset({"cli"})),
}


def import_complaints(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """What `module` (`release_ledger.store.schema`) imports and may not. An import inside a function counts too."""
    part = part_of(module)
    if part not in TABLE:
        return [f"{module}: `{part}` has no row in the import table (tests/support/source_rules.py, architecture)"]
    may = TABLE[part]
    return [
        f"{module}:{line}: `{part or PACKAGE}` may not import {name}"
        for line, name in imports(module, source, is_package=is_package)
        if not _allowed(module, part, may, name)
    ]


def _allowed(module: str, part: str, may: May, name: str) -> bool:
    top = name.partition(".")[0]
    if top == "projections":
        return False  # the folder's name; it is imported as release_ledger.projections
    if top == PACKAGE:
        imported = "" if name == f"{PACKAGE}.__version__" else part_of(name)
        if part == imported == "projections":
            return name.startswith(module)
        return imported in may.ours | {part, ""}
    if top in sys.stdlib_module_names:
        return top not in may.not_std
    return top in may.others or "*" in may.others


def part_of(module: str) -> str:
    """`release_ledger.store.schema` belongs to `store`, `release_ledger` itself to no part."""
    return module.split(".")[1] if "." in module else ""


def imports(module: str, source: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything imported; `from . import a` counts as the module a."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node, is_package=is_package)
            # `from release_ledger import store` names a part only in its second half.
            if origin in {PACKAGE, f"{PACKAGE}.projections"}:
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, origin


def _origin(module: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    climbed = module.split(".") if is_package else module.split(".")[:-1]
    climbed = climbed[: len(climbed) - (node.level - 1)]
    return ".".join([*climbed, *(node.module or "").split(".")]).rstrip(".")


def length_complaints(module: str, source: str) -> list[str]:
    """Modules, functions and request handlers that are longer than one can take in."""
    complaints = []
    if (lines := len(source.splitlines())) > MODULE_LINES:
        complaints.append(f"{module}: {lines} lines, more than {MODULE_LINES}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if (lines := _last_line(node) - node.lineno + 1) > FUNCTION_LINES:
                complaints.append(f"{module}:{node.lineno}: {node.name} has {lines} lines, more than {FUNCTION_LINES}")
            answers_requests = part_of(module) == "api" and any(map(_is_blueprint, node.decorator_list))
            if answers_requests and (lines := _body_lines(node)) > REQUEST_BODY_LINES:
                says = f"{node.name} answers requests in {lines} lines, more than {REQUEST_BODY_LINES}"
                complaints.append(f"{module}:{node.lineno}: {says}")
    return complaints


def _is_blueprint(decorator: ast.expr) -> bool:
    """`@blueprint.get(…)`, `@blueprint.response(…)`, also `@deployments_blueprint.get(…)`."""
    while isinstance(decorator, ast.Call | ast.Attribute):
        decorator = decorator.func if isinstance(decorator, ast.Call) else decorator.value
    return isinstance(decorator, ast.Name) and decorator.id.endswith("blueprint")


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return _last_line(function) - body[0].lineno + 1 if body else 0


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def name_complaints(module: str, source: str) -> list[str]:
    """Modules and classes with names that say nothing of what they are for."""
    names = [(0, module.rpartition(".")[2])]
    names += [(node.lineno, node.name) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    return [
        f"{module}:{line}: the name {name} says nothing of what it is for"
        for line, name in names
        if any(word.lower().removesuffix("s") in SAYS_NOTHING for word in _WORD.findall(name))
    ]
