"""Values that a key of each sort cannot have."""

from typing import Any, Final

Values = tuple[Any, ...]
ANYTHING_BUT_TEXT: Final[Values] = (1, 1.5, True, [], {}, ["A-rc1"])
NO_VERSION: Final[Values] = (
    *ANYTHING_BUT_TEXT,
    "",
    "1.0",
    "1.0-rc",
    "1.0-rc01",
    "1.0-rc-1",
    "1-rc1234567890",
    "-rc1",
    "a b-rc1",
    "a/b-rc1",
    "a\tb-rc1",
    "a\u00a0b-rc1",
    "a\x7f-rc1",
    "a" * 201 + "-rc1",
    "1.0-RC1",
    "1-rc١",
    "1-rc1\n",
    " 1-rc1",
)
NO_MOMENT: Final[Values] = (
    *ANYTHING_BUT_TEXT,
    "",
    "now",
    "2026-11-23",
    "2026-11-23T18:00:00",
    "2026-13-01T00:00:00Z",
    "2026-11-23T25:00:00Z",
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    "1e9",
    "9" * 500,
)
NO_FLAG: Final[Values] = (0, 1, "true", "", [], {}, 1.5)
NO_WORKFLOW: Final[Values] = (
    1,
    "x",
    [],
    {},
    {"kind": "jenkins"},
    {"kind": "buildkite", "organization": "acme", "pipeline": "deploy"},
    {"kind": "github"},
    {"kind": "http", "url": "ftp://x"},
    {"kind": "http", "url": None},
    {"kind": ["github"]},
    {"kind": "github", "workflow": "x", "ref": "x", "parameters": {"a": 1}},
    {"kind": "github", "workflow": "x", "ref": "x", "parameters": {"é": "x"}},
    {"kind": "github", "workflow": "", "ref": "x"},
    {"kind": "github", "workflow": "x" * 201, "ref": "x"},
)
NO_REPO: Final[Values] = (
    *ANYTHING_BUT_TEXT,
    "",
    None,
    "web",
    "acme/",
    "/web",
    "a/b/c",
    "acme/we b",
    "acme/web\n",
    "x" * 101 + "/y",
    "é/web",
)
NO_COMMIT: Final[Values] = (
    *ANYTHING_BUT_TEXT,
    None,
    "",
    "abc",
    "g" * 40,
    "a" * 39,
    "a" * 41,
    "a" * 63,
    "a" * 65,
    "a" * 40 + "\n",
    int("1" * 40),
)
