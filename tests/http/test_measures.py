"""`/metrics` says how the service does, and nobody can make it grow; addresses are those that the caller knows."""

import re
from typing import Any

import pytest

from release_ledger.api.waiting import UNTIL
from release_ledger.projection import kept_beside
from release_ledger.store import Head

from .client import REPO, Client, EnvironmentClient, Service, commit_of, fine


def test_requests_are_counted_by_method_endpoint_and_status(service: Service, production: EnvironmentClient) -> None:
    """What a dashboard needs: how many, how they were answered, how long it took."""
    production.client.get(production.path)

    measured = service.client("read").get("/metrics").text

    assert re.search(
        r'release_ledger_requests_total{endpoint="environments.get_environment",method="GET",.*"200"}', measured
    )
    assert "release_ledger_request_seconds_bucket" in measured


def test_an_invented_method_makes_no_new_measure(service: Service, admin: Client) -> None:
    """A stranger cannot fill the memory of the server with words of their own."""
    for number in range(20):
        service.stranger().send(f"INVENTED{number}", "/healthz")

    measured = admin.get("/metrics").text

    assert "INVENTED" not in measured
    assert 'method="other"' in measured


def test_behind_a_proxy_that_speaks_tls_addresses_are_https(production: EnvironmentClient) -> None:
    """Who follows `Location` or `next` does not send a token in clear."""
    behind = {"X-Forwarded-Proto": "https"}
    body = {"repo": REPO, "commit": commit_of("A-rc1")}

    cut = production.client.post(f"{production.project_path}/releases/A-rc1", body, headers=behind)
    deployed = production.client.post(
        production.deployments_path, {"release_candidate_version": "A-rc1"}, headers=behind
    )
    listed = production.client.get(f"{production.deployments_path}?per_page=1", headers=behind)
    plain = production.client.get(f"{production.deployments_path}?per_page=1")

    fine(cut)
    assert cut.headers["Location"].startswith("https://")
    assert deployed.headers["Location"].startswith("https://")
    assert "<https://" in listed.headers["Link"]
    assert "<http://" in plain.headers["Link"]


def test_the_description_names_the_headers_of_a_write(service: Service) -> None:
    """Keys and conditions are in OpenAPI, with the answers that they may lead to."""
    described = service.stranger().get("/openapi.json").get_json()
    known = described["components"]["parameters"]

    operations = described["paths"]["/api/releases/{project_name}/environments/{env_name}/deployments"]
    named = {
        method: {
            known[each["$ref"].rpartition("/")[2]]["name"]
            for each in operations[method]["parameters"]
            if "$ref" in each
        }
        for method in ("get", "post", "patch")
    }

    assert named["post"] == named["patch"] == {"Idempotency-Key", "If-Match", "X-Request-Id"}
    assert named["get"] == {"X-Request-Id"}
    assert {"412", "422"} <= set(operations["post"]["responses"])


@pytest.mark.parametrize(("waited", "counted"), [({}, True), ({UNTIL: None}, False)])
def test_who_is_asked_again_is_counted_once(
    production: EnvironmentClient,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    waited: dict[str, Any],
    counted: bool,
) -> None:
    """A 503 that nobody is answered, since the front waits and asks again, is in no measure; any other is."""
    service.run("update streams set folded = ''")
    monkeypatch.setattr("release_ledger.projection.kept.FEW_EVENTS", 0)
    monkeypatch.setattr("release_ledger.projection.kept.TURN_WITHIN_S", 0.01)
    endpoint = f"{production.path}/running"
    before = refusals(service)

    with kept_beside(service.ledger.store).turn_for([Head(stream="another", version=1)]):
        answer = production.client.http.get(
            endpoint, headers={"Authorization": f"Bearer {production.client.token}"}, environ_overrides=waited
        )

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert refusals(service) - before == (1 if counted else 0)


def refusals(service: Service) -> float:
    """How many 503 are measured."""
    measured = service.client("read").get("/metrics").text
    found = re.findall(r'release_ledger_requests_total{.*status="503"} (\S+)', measured)
    return sum(float(each) for each in found)
