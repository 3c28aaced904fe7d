"""The application over an upgraded database: on SQLite, where a module does not ask for both."""

from collections.abc import Iterator

import pytest

from release_ledger.projection.upgrade import upgrade
from tests.support.postgres import Databases

from .client import Client, EnvironmentClient, Service


@pytest.fixture
def database_kind() -> str:
    """What HTTP does is the same on both databases; where the database matters, a module says BOTH_DATABASES."""
    return "sqlite"


@pytest.fixture
def service(upgraded_url: str) -> Iterator[Service]:
    service = Service(upgraded_url)
    yield service
    service.close()


@pytest.fixture
def admin(service: Service) -> Client:
    return service.client("admin", name="admin", email="dev@example.com")


@pytest.fixture
def production(admin: Client) -> EnvironmentClient:
    """An environment `production` of the project `web`, with nothing in it."""
    return admin.environment("production", project="web")


@pytest.fixture(scope="module")
def lasting_service(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Service]:
    """One application for all tests of a module, which then use projects of their own: see `ON_BOTH_DATABASES`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('lasting') / 'ledger.db'}"
    else:
        databases: Databases = request.getfixturevalue("postgres")
        url = databases.create_database()
    upgrade(url)
    service = Service(url)
    yield service
    service.close()
