"""A ledger with a worker beside a stand-in for GitHub: a project, environments with a workflow, candidates."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from release_ledger.environment import Settings as EnvironmentSettings
from release_ledger.ledger import Caller, Ledger
from release_ledger.settings import Settings
from release_ledger.worker import Timing, Worker
from tests.support.github_stand_in import StandIn

API: Final = Caller(recorded_by="ci", email="dev@example.com")
REPO: Final = "acme/shop"
TOKEN: Final = "ghs_stand_in_token_0123456789"
DEPLOY: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main", "parameters": {"target": "${environment}"}}
HURRIED: Final = Timing(
    poll_s=0.02,
    settle_s=0.4,
    first_pause_s=0.02,
    longest_pause_s=0.2,
    late_pause_s=0.5,
    watch_s=0.05,
    silence_s=0.1,
    elsewhere_s=0.3,
    cancel_within_s=1.0,
    lease_s=1.0,
)


def commit(number: int) -> str:
    return f"{number:040x}"


def settings_for(url: str, github: StandIn, **more: Any) -> Settings:
    return Settings(database_url=url, github_url=github.url, github_token=TOKEN, **more)


@contextmanager
def working(ledger: Ledger, settings: Settings, timing: Timing = HURRIED) -> Iterator[Worker]:
    """A worker meanwhile, in a thread."""
    stop, worker = threading.Event(), Worker(ledger, settings, timing)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join()


def eventually(holds: Callable[[], Any], within_s: float = 20.0) -> Any:
    """What holds in the end; the last that did not, where nothing does."""
    give_up_at = time.monotonic() + within_s
    while True:
        found = holds()
        if found or time.monotonic() > give_up_at:
            return found
        time.sleep(0.01)


class Shop:
    """The project `shop`, its candidates `1.N-rc1` and environments."""

    def __init__(self, ledger: Ledger, *environments: str, workflow: dict[str, Any] | None = None, **settings: Any):
        self.ledger = ledger
        ledger.configure_project("shop", repo=REPO, by=API)
        given = EnvironmentSettings(deploy_workflow=workflow if workflow is not None else DEPLOY, **settings)
        for name in environments:
            ledger.configure_environment("shop", name, given, by=API)
        self.cut(1, 2, 3)

    def cut(self, *numbers: int) -> None:
        for number in numbers:
            self.ledger.cut_release_candidate("shop", f"1.{number}-rc1", repo=REPO, commit=commit(number), by=API)

    def deploy(self, environment: str = "production", number: int = 1) -> str:
        answer, _ = self.ledger.deploy("shop", environment, release_candidate_version=f"1.{number}-rc1", by=API)
        return str(answer["id"])

    def report(self, status: str, environment: str = "production", number: int = 1, **said: Any) -> dict[str, Any]:
        version = f"1.{number}-rc1"
        return self.ledger.report(
            "shop", environment, release_candidate_version=version, status=status, by=API, **said
        )[0]

    def deployment(self, its_id: str, environment: str = "production") -> dict[str, Any]:
        return self.ledger.deployment("shop", environment, its_id)[0]

    def becomes(self, status: str, its_id: str, environment: str = "production") -> dict[str, Any]:
        """The deployment once it has this status."""
        eventually(lambda: self.deployment(its_id, environment)["status"] == status)
        deployment = self.deployment(its_id, environment)
        assert deployment["status"] == status, deployment
        return deployment
