"""Lists: newest first, in pages that the Link header leads through, filtered where that is asked for."""

from typing import Any

import pytest
from requests.utils import parse_header_links

from .client import Client, EnvironmentClient, Service, fine, refused


def links(client: Client, path: str) -> dict[str, str]:
    """The Link header of a page, by its relations."""
    return {link["rel"]: link["url"] for link in parse_header_links(client.get(path).headers["Link"])}


def walked(client: Client, path: str, rel: str = "next") -> list[list[Any]]:
    """All pages, from this one on in one direction, as a client that only follows links sees them."""
    pages = [fine(client.get(path))]
    while rel in links(client, path):
        path = links(client, path)[rel]
        pages.append(fine(client.get(path)))
    return pages


@pytest.fixture(scope="module")
def busy(lasting_service: Service) -> EnvironmentClient:
    """Twelve deployments, every third a failure, of two versions in turn. Nobody adds to them."""
    production = lasting_service.environment()
    for number in range(12):
        production.deploy(f"{'AB'[number % 2]}-rc1")
        production.report(f"{'AB'[number % 2]}-rc1", "failure" if number % 3 == 2 else "success")
    return production


def test_a_page_is_a_bare_array_of_ten_newest_first(busy: EnvironmentClient) -> None:
    """Without parameters the ten newest are answered."""
    numbers = [each["number"] for each in busy.deployments()]

    assert numbers == list(range(12, 2, -1))


@pytest.mark.parametrize("per_page", [1, 5, 6, 11, 12, 13])
def test_following_next_sees_everything_once(busy: EnvironmentClient, per_page: int) -> None:
    """From the first page, `next` leads to every deployment exactly once, and no further."""
    pages = walked(busy.client, f"{busy.deployments_path}?per_page={per_page}")

    assert [each["number"] for page in pages for each in page] == list(range(12, 0, -1))
    assert all(len(page) == per_page for page in pages[:-1])
    assert pages[-1]


def test_following_prev_leads_back_to_the_first(busy: EnvironmentClient) -> None:
    """From the last page, `prev` leads back; the first page has none; `first` leads there at once."""
    last = f"{busy.deployments_path}?per_page=5&page=3"

    pages = walked(busy.client, last, "prev")

    assert [len(page) for page in pages] == [2, 5, 5]
    assert fine(busy.client.get(links(busy.client, last)["first"])) == pages[-1]
    assert set(links(busy.client, f"{busy.deployments_path}?per_page=5")) == {"first", "next"}
    assert set(links(busy.client, last)) == {"first", "prev"}


@pytest.mark.parametrize("page", ["2", "3", "1000000000000", str(10**30)])
def test_a_page_past_the_end_is_empty(busy: EnvironmentClient, page: str) -> None:
    """However far past the end, the page is an empty array with a way back."""
    path = f"{busy.deployments_path}?per_page=12&page={page}"

    assert fine(busy.client.get(path)) == []
    assert set(links(busy.client, path)) == {"first", "prev"}


def test_more_than_a_hundred_means_a_hundred(production: EnvironmentClient) -> None:
    """`per_page` above 100 is 100, in the page and in its links."""
    for number in range(101):
        production.cut(f"A-rc{number}")
    path = f"{production.project_path}/releases"

    for per_page in ("101", "1000", str(10**30)):
        page = fine(production.client.get(f"{path}?per_page={per_page}"))

        assert len(page) == 100
        assert "per_page=100" in links(production.client, f"{path}?per_page={per_page}")["next"]


@pytest.mark.parametrize("name", ["page", "per_page"])
@pytest.mark.parametrize(
    "value", ["0", "-1", "1.0", "x", "", "1_0", "%D9%A1", "1e2", "+1", "%001", f"-{10**30}", "9" * 5000]
)
@pytest.mark.parametrize("path", ["/environments/production/deployments", "/releases"])
def test_what_is_no_page(busy: EnvironmentClient, name: str, value: str, path: str) -> None:
    """Below 1 or not an integer is a 400 that names the parameter."""
    answer = busy.client.get(f"{busy.project_path}{path}?{name}={value}")

    assert set(refused(answer, 400, "invalid_request", "Invalid request")["details"]) == {name}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=failure", [12, 9, 6, 3]),
        ("release_candidate_version=A-rc1", [11, 9, 7, 5, 3, 1]),
        ("status=failure&release_candidate_version=A-rc1", [9, 3]),
        ("status=unknown", []),
        ("release_candidate_version=never-rc1", []),
        ("unknown=parameter&status=failure", [12, 9, 6, 3]),
    ],
)
@pytest.mark.parametrize("per_page", [1, 2, 3, 10])
def test_filters(busy: EnvironmentClient, query: str, expected: list[int], per_page: int) -> None:
    """A filter holds on every page, and its links keep it."""
    pages = walked(busy.client, f"{busy.deployments_path}?{query}&per_page={per_page}")

    assert [each["number"] for page in pages for each in page] == expected
    assert all(len(page) == per_page for page in pages[:-1])


def test_filters_that_cannot_match(busy: EnvironmentClient) -> None:
    """A filter that no deployment could have is the sentence of its field."""
    bad_status = busy.client.get(f"{busy.deployments_path}?status=done")
    bad_version = busy.client.get(f"{busy.deployments_path}?release_candidate_version=1.0")

    refused(bad_status, 400, "invalid_status", "Invalid deployment status")
    refused(bad_version, 400, "invalid_release_candidate_version", "Invalid release candidate version")


def test_candidates_are_paged_like_deployments(production: EnvironmentClient) -> None:
    """Newest first, ten a page, with the same links."""
    for number in range(12):
        production.cut(f"1.0-rc{number}")
    path = f"{production.project_path}/releases"

    first = [each["release_candidate_version"] for each in fine(production.client.get(path))]
    pages = walked(production.client, f"{path}?per_page=5")

    assert first == [f"1.0-rc{number}" for number in range(11, 1, -1)]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert set(links(production.client, f"{path}?page=9")) == {"first", "prev"}
    assert fine(production.client.get(f"{path}?page=9")) == []


def test_nothing_yet(production: EnvironmentClient) -> None:
    """A list with nothing in it is an empty array and not an error."""
    assert production.deployments() == []
    assert fine(production.client.get(f"{production.project_path}/releases")) == []
    assert set(links(production.client, production.deployments_path)) == {"first"}
