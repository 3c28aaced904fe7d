"""Bad input, one by one: always an ordinary 400, 404, 413 or 415 in the contract's shape, never a 500."""

import json
from typing import Any, Final

import pytest

from .client import REPO, Client, EnvironmentClient, Service, commit_of, fine, is_error, refused
from .wrong_values import (
    ANYTHING_BUT_TEXT,
    NO_COMMIT,
    NO_FLAG,
    NO_MOMENT,
    NO_REPO,
    NO_VERSION,
    NO_WORKFLOW,
)

BODIES: Final = {
    "nothing closed": b'{"reason": "x"',
    "an array": b"[]",
    "null": b"null",
    "a number": b"1",
    "a string": b'"reason"',
    "single quotes": b"{'reason': 'x'}",
    "something after it": b'{"reason": "x"} {}',
    "a trailing comma": b'{"reason": "x",}',
    "NUL": b'{"reason": "a\\u0000b"}',
    "NUL in a key": b'{"a\\u0000b": 1}',
    "NUL deep inside": b'{"x": [{"y": "\\u0000"}]}',
    "a raw NUL": b'{"reason": "a\x00b"}',
    "a lone surrogate": b'{"reason": "\\ud800"}',
    "a lone low surrogate": b'{"reason": "\\udfff and more"}',
    "surrogates in the wrong order": b'{"reason": "\\ude00\\ud83d"}',
    "a lone surrogate in a key": b'{"\\ud800": 1}',
    "NaN": b'{"force": NaN}',
    "Infinity": b'{"unknown": [Infinity]}',
    "-Infinity": b'{"unknown": -Infinity}',
    "a number too long to read": b'{"unknown": 1' + b"0" * 5000 + b"}",
    "Latin-1": '{"reason": "é"}'.encode("latin-1"),
    "half a character": b'{"reason": "\xc3"}',
    "an encoded surrogate": b'{"reason": "\xed\xa0\x80"}',
    "UTF-16": '{"reason": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"reason": "x"}',
    "arrays without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "arrays nested deeply": b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "objects nested deeply": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "a key twice": b'{"reason": "one", "reason": "two"}',
    "a key twice deep inside": b'{"x": [{"y": 1, "y": 1}]}',
}


class Endpoints:
    """Every request that takes a body, and a body that it takes."""

    def __init__(self, service: Service) -> None:
        self.production: EnvironmentClient = service.environment()
        self.production.ran("A-rc1", "B-rc1")
        project, here = self.production.project_path, self.production.path
        self.all: dict[str, tuple[str, str, dict[str, Any]]] = {
            "project": ("PUT", project, {"repo": REPO}),
            "environment": ("PUT", here, {}),
            "freeze": ("PUT", f"{here}/freeze", {"reason": "holidays", "until": "2999-01-01T00:00:00Z"}),
            "cut": ("POST", f"{project}/releases/A-rc1", {"repo": REPO, "commit": commit_of("A-rc1")}),
            "deploy": ("POST", f"{here}/deployments", {"release_candidate_version": "A-rc1"}),
            "report": ("PATCH", f"{here}/deployments", {"release_candidate_version": "A-rc1", "status": "success"}),
            "rollback": ("POST", f"{here}/rollback", {}),
        }

    def send(self, name: str, body: bytes, content_type: str | None = "application/json") -> Any:
        method, path, _ = self.all[name]
        return self.production.client.send(method, path, body, content_type=content_type)


NAMES: Final = ["project", "environment", "freeze", "cut", "deploy", "report", "rollback"]


@pytest.fixture(scope="module")
def endpoints(lasting_service: Service) -> Endpoints:
    return Endpoints(lasting_service)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_no_body(endpoints: Endpoints, body: bytes) -> None:
    """What is not one JSON object of text in UTF-8 is a 400 that says so, at every endpoint that takes a body."""
    for name in NAMES:
        answer = endpoints.send(name, body)

        assert set(refused(answer, 400, "invalid_request", "Invalid request")["details"]) == {"body"}


@pytest.mark.parametrize("name", NAMES)
def test_a_body_of_a_mebibyte(endpoints: Endpoints, name: str) -> None:
    """A mebibyte is taken, one byte more is a 413."""
    body = json.dumps(endpoints.all[name][2] | {"force": True} | {"unknown": ""}).encode()
    largest = body.replace(b'"unknown": ""', b'"unknown": "%s"' % (b"x" * (1024 * 1024 - len(body))))
    assert len(largest) == 1024 * 1024

    taken = endpoints.send(name, largest)
    too_large = endpoints.send(name, largest + b" ")

    fine(taken)
    refused(too_large, 413, "body_too_large")
    endpoints.production.client.delete(f"{endpoints.production.path}/freeze")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_body_of_another_type(endpoints: Endpoints, name: str, content_type: str | None) -> None:
    """A body that does not say that it is JSON is a 415."""
    answer = endpoints.send(name, b'{"reason": "x"}', content_type)

    refused(answer, 415, "unsupported_media_type")


def test_json_may_name_its_charset(endpoints: Endpoints) -> None:
    """`application/json; charset=utf-8` is JSON, and so is a `+json` type."""
    for content_type in ("application/json; charset=utf-8", "application/merge-patch+json"):
        fine(endpoints.send("report", json.dumps(endpoints.all["report"][2]).encode(), content_type))


VERSION, COMMIT, STATUS, REQUEST = (
    "invalid_release_candidate_version", "invalid_commit", "invalid_status", "invalid_request",
)  # fmt: skip
WRONG: Final[list[tuple[str, str, tuple[object, ...], str]]] = [
    ("project", "repo", NO_REPO, REQUEST),
    ("project", "build_workflow", NO_WORKFLOW, REQUEST),
    ("environment", "deploy_workflow", NO_WORKFLOW, REQUEST),
    ("environment", "tier", (*ANYTHING_BUT_TEXT, "", "Production", "qa"), REQUEST),
    ("environment", "rollback_strategy", (*ANYTHING_BUT_TEXT, "", "best"), REQUEST),
    ("environment", "stuck_after_s", (0, -1, 10**30, 1.5, "60", True, [], {}, 1e300), REQUEST),
    ("freeze", "reason", (*ANYTHING_BUT_TEXT, None, "", " \n"), REQUEST),
    ("freeze", "until", NO_MOMENT, REQUEST),
    ("cut", "repo", (*ANYTHING_BUT_TEXT, None), REQUEST),
    ("cut", "commit", NO_COMMIT, COMMIT),
    ("cut", "trigger_build_workflow", NO_FLAG, REQUEST),
    ("cut", "occurred_at", NO_MOMENT, REQUEST),
    ("deploy", "release_candidate_version", (*NO_VERSION, None), VERSION),
    ("deploy", "force", NO_FLAG, REQUEST),
    ("deploy", "reason", ANYTHING_BUT_TEXT, REQUEST),
    ("deploy", "occurred_at", NO_MOMENT, REQUEST),
    ("report", "release_candidate_version", (*NO_VERSION, None), VERSION),
    ("report", "status", (*ANYTHING_BUT_TEXT, None, "", "Success", "done", "success "), STATUS),
    ("report", "id", ANYTHING_BUT_TEXT, REQUEST),
    ("report", "error_message", ANYTHING_BUT_TEXT, REQUEST),
    ("report", "occurred_at", NO_MOMENT, REQUEST),
    ("rollback", "force", NO_FLAG, REQUEST),
    ("rollback", "reason", ANYTHING_BUT_TEXT, REQUEST),
    ("rollback", "strategy", (*ANYTHING_BUT_TEXT, "", "best"), REQUEST),
    ("rollback", "to", NO_VERSION, VERSION),
]  # fmt: skip


@pytest.mark.parametrize(("name", "key", "values", "code"), WRONG, ids=[f"{name} {key}" for name, key, _, _ in WRONG])
def test_a_value_of_the_wrong_sort(
    endpoints: Endpoints, name: str, key: str, values: tuple[object, ...], code: str
) -> None:
    """A value that a key cannot have is a 400 with the sentence of that key; the details name it."""
    for value in values:
        body = endpoints.all[name][2] | {key: value}

        answer = endpoints.send(name, json.dumps(body).encode())

        assert is_error(answer), f"{value!r}: {answer.text}"
        assert (answer.status_code, answer.get_json()["code"]) == (400, code), f"{value!r}: {answer.text}"
        assert answer.get_json()["details"]


@pytest.mark.parametrize(
    ("name", "keys", "code"),
    [
        ("project", {"repo"}, REQUEST),
        ("freeze", {"reason"}, REQUEST),
        ("cut", {"commit"}, COMMIT),
        ("cut", {"repo"}, REQUEST),
        ("deploy", {"release_candidate_version"}, VERSION),
        ("report", {"status"}, STATUS),
        ("report", {"release_candidate_version"}, VERSION),
    ],
)
def test_a_key_that_must_be_there(endpoints: Endpoints, name: str, keys: set[str], code: str) -> None:
    """Without a required key the answer is that key's sentence."""
    body = {key: value for key, value in endpoints.all[name][2].items() if key not in keys}

    answer = endpoints.send(name, json.dumps(body).encode())

    assert set(refused(answer, 400, code)["details"]) >= keys


def test_null_where_a_key_is_optional(endpoints: Endpoints) -> None:
    """Null says no more than the key's absence."""
    body = endpoints.all["report"][2] | dict.fromkeys(("id", "error_message", "external_url", "occurred_at"))

    fine(endpoints.send("report", json.dumps(body).encode()))
    fine(endpoints.send("rollback", json.dumps(dict.fromkeys(("force", "reason", "strategy", "to"))).encode()))


def test_malformed_json_is_not_repeated_in_full(admin: Client) -> None:
    """What an error says stays short, however long the request was."""
    answer = admin.put("/api/releases/web", b'{"' + b"x" * 500_000)

    assert len(refused(answer, 400, "invalid_request")["details"]["body"]) <= 200
