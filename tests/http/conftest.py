"""The application over an upgraded database. SQLite, where a module does not ask for both by its own `database_kind`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from release_ledger.projection.upgrade import upgrade

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
def lasting_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One application for all examples of a module: for tests that only ask what can never happen."""
    path: Path = tmp_path_factory.mktemp("lasting") / "ledger.db"
    upgrade(f"sqlite:///{path}")
    service = Service(f"sqlite:///{path}")
    yield service
    service.close()
