"""Bad names, paths, queries and headers: an ordinary 400 or 404, never a 500; and texts that are cut, not refused."""

import pytest

from .client import ON_BOTH_DATABASES, REPO, Client, EnvironmentClient, Service, commit_of, fine, is_error, refused

NAMES_NONE_CAN_HAVE = [
    "",
    "a/b",
    "a$b",
    "é",
    "x" * 101,
    "%00",
    "%C3%A9",
    "%FF",
    "..",
    "a%0Ab",
    "a%2Fb",
    "%ED%A0%80",
    "%",
]


@pytest.mark.parametrize("name", [*NAMES_NONE_CAN_HAVE, "%20a", "a%20", "%20"])
def test_a_project_of_a_name_that_none_can_have(admin: Client, service: Service, name: str) -> None:
    """It is not made (400, 404 or 405) and not found (400 or 404), and nothing is recorded."""
    put = admin.put(f"/api/releases/{name}", {"repo": REPO})
    under_it = [admin.get(f"/api/releases/{name}{path}") for path in ("/releases", "/environments", "/environments/x")]

    assert put.status_code in (400, 404, 405)
    assert {answer.status_code for answer in under_it} <= {400, 404}
    assert all(is_error(answer) for answer in [put, *under_it])
    assert service.event_count() == 0


@pytest.mark.parametrize("name", [*NAMES_NONE_CAN_HAVE, "a%20b"])
def test_an_environment_of_a_name_that_none_can_have(
    production: EnvironmentClient, service: Service, name: str
) -> None:
    """It is not made and not found, and nothing is recorded."""
    known, path = service.event_count(), f"{production.project_path}/environments/{name}"

    answers = [
        production.client.put(path),
        production.client.put(f"{path}/freeze", {"reason": "x"}),
        production.client.get(f"{path}/deployments"),
        production.client.post(f"{path}/rollback"),
    ]

    assert {answer.status_code for answer in answers} <= {400, 404, 405}
    assert all(is_error(answer) for answer in answers)
    assert service.event_count() == known


@pytest.mark.parametrize(
    "version",
    [
        "1.0",
        "1.0-rc",
        "1.0-rc01",
        "1.0-rc1234567890",
        "-rc1",
        "a%20b-rc1",
        "a%00-rc1",
        "a%0A-rc1",
        "a%09-rc1",
        "a%C2%A0b-rc1",
        "a" * 201 + "-rc1",
        "a%FF-rc1",
        "a%C3-rc1",
        "%ED%A0%80-rc1",
        "a-rc%D9%A1",
        "a-rc1%0A",
        "%-rc1%00",
        "a%E2%80%A8-rc1",
    ],
)
def test_a_version_that_none_can_have(production: EnvironmentClient, service: Service, version: str) -> None:
    """White space, control characters, bytes that are no UTF-8, too long: 400, for reading as for writing."""
    known, path = service.event_count(), f"{production.project_path}/releases/{version}"

    made = production.client.post(path, {"repo": REPO, "commit": commit_of("A-rc1")})
    read = production.client.get(path)

    assert (made.status_code, read.status_code) == (400, 400)
    assert is_error(made)
    assert service.event_count() == known


@ON_BOTH_DATABASES
@pytest.mark.parametrize("name", ["a%00b", "%00", "%FF", "a%EF%BF%BFb", "%F4%8F%BF%BF"])
def test_what_a_database_would_choke_on(lasting_service: Service, name: str) -> None:
    """No name, id, version or filter reaches a database that cannot hold it."""
    production = lasting_service.environment()
    paths = [
        f"/api/releases/{name}",
        f"/api/releases/{name}/releases",
        f"{production.project_path}/releases/{name}-rc1",
        f"{production.project_path}/environments/{name}",
        f"{production.project_path}/environments/{name}/rollback",
        f"{production.deployments_path}/{name}",
    ]

    answers = [production.client.get(path) for path in paths]
    answers.append(production.client.delete(f"{production.project_path}/environments/{name}/freeze"))
    filtered = production.client.get(f"{production.deployments_path}?release_candidate_version={name}-rc1")

    assert {answer.status_code for answer in answers} <= {400, 404}
    assert filtered.status_code in (200, 400)


def test_names_as_long_as_they_may_be(admin: Client) -> None:
    """A hundred characters are a name, a hundred and one are none."""
    environment = admin.environment("e" * 100, project="p" * 100)

    environment.ran("v" * 200 + "-rc999999999")

    assert environment.shown()["running"]["release_version"] == "v" * 200
    refused(admin.put("/api/releases/" + "p" * 101, {"repo": REPO}), 400, "invalid_request")
    refused(admin.put(environment.path + "e"), 400, "invalid_request")


@pytest.mark.parametrize("unknown", ["0", "x" * 5000, "%00", "%FF", str(10**30), "019ab1f0", "'", "é", "-"])
def test_an_id_that_none_has(production: EnvironmentClient, unknown: str) -> None:
    """An id that no deployment could have is as unknown as any other."""
    answer = production.client.get(f"{production.deployments_path}/{unknown}")

    assert answer.status_code == (400 if unknown == "%FF" else 404)
    assert is_error(answer)


@pytest.mark.parametrize(
    "query",
    ["status=%00", "release_candidate_version=%00-rc1", "release_candidate_version=%FF", "status=" + "x" * 5000],
)
def test_a_filter_that_none_can_match(production: EnvironmentClient, query: str) -> None:
    """A filter is read like the same value in a body."""
    answer = production.client.get(f"{production.deployments_path}?{query}")

    assert answer.status_code == 400
    assert is_error(answer)


@pytest.mark.parametrize("query", ["%", "=", "&&&", "%FF=%FF", "page", "page[]=1", "status", "x=" + "y" * 50_000])
def test_a_query_that_says_nothing(production: EnvironmentClient, query: str) -> None:
    """Whatever a query holds, the answer is a page or an ordinary refusal."""
    answer = production.client.get(f"{production.deployments_path}?{query}")

    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or is_error(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "nonsense"},
        {"Host": "a b"},
        {"Host": "<x>"},
        {"If-None-Match": "*"},
        {"Range": "bytes=0-1"},
        {"Cookie": "\xff"},
        {"Content-Length": "x"},
        {"Expect": "nonsense"},
    ],
)
def test_headers_that_nobody_should_send(production: EnvironmentClient, headers: dict[str, str]) -> None:
    """Odd headers do not change that an answer is JSON, or make it a 500."""
    answer = production.client.get(production.path, headers=headers)

    assert answer.status_code in (200, 400)
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(("length", "kept"), [(10_000, 10_000), (10_001, 10_000), (100_000, 10_000)])
def test_a_long_error_message_is_cut(production: EnvironmentClient, length: int, kept: int) -> None:
    """A report is never refused for its size: the message ends in `…` after 10,000 characters."""
    message = "é🚀" * (length // 2) + "x" * (length % 2)

    shown = production.report("A-rc1", "failure", error_message=message)["error_message"]

    assert len(shown) == kept
    assert shown == message if length == kept else (shown.endswith("…") and message.startswith(shown[:-1]))
    assert production.deployments()[0]["error_message"] == shown


@pytest.mark.parametrize("how", ["deploy", "rollback", "freeze"])
def test_a_long_reason_is_cut(production: EnvironmentClient, how: str) -> None:
    """A reason ends in `…` after 2,000 characters, wherever it is given."""
    production.ran("A-rc1", "B-rc1")

    if how == "deploy":
        shown = production.deploy("A-rc1", reason="r" * 2001)["reason"]
    elif how == "rollback":
        shown = fine(production.press(reason="r" * 2001))["reason"]
    else:
        shown = fine(production.client.put(f"{production.path}/freeze", {"reason": "r" * 2001}))["freeze"]["reason"]

    assert shown == "r" * 1999 + "…"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://example.com/x",
        "//example.com",
        "example.com",
        "http://",
        "https:///x",
        "",
        "http://a b",
        "data:text/html,x",
        " https://example.com",
        "https://example.com/\n",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_a_bad_external_url_is_left_out(production: EnvironmentClient, url: str) -> None:
    """A URL that is not http(s), or too long, is left out and named in `details`; the report is recorded."""
    reported = production.report("A-rc1", "success", external_url=url)

    assert (reported["status"], reported["external_url"]) == ("success", None)
    assert "external_url" in reported["details"]
    assert "details" not in production.deployments()[0]


@pytest.mark.parametrize("url", ["https://ci.example/1", "HTTP://ci.example:80/?a=b#c", "https://x/" + "y" * 1990])
def test_a_good_external_url_is_kept(production: EnvironmentClient, url: str) -> None:
    """An http(s) URL of at most 2,000 characters is shown as it was sent."""
    reported = production.report("A-rc1", "success", external_url=url)

    assert reported["external_url"] == production.deployments()[0]["external_url"] == url
    assert "details" not in reported
