"""Kinds of workflows: another one is one class and one line of the registry, and nothing else knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final

import pytest

from release_ledger.ledger import Ledger
from release_ledger.outgoing import Trouble
from release_ledger.settings import Settings
from release_ledger.worker import Worker
from release_ledger.worker.kinds import Found, Kind, SettingKey, Standing, Started
from release_ledger.worker.registry import KINDS
from tests.http.client import EnvironmentClient, Service, fine, refused
from tests.support.working import API, Shop, eventually, working

BELL: Final = {"kind": "bell", "tower": "north"}


class Bell(Kind):
    """Deploys by ringing: each ring is a run, and what becomes of them is in `rings`."""

    name = "bell"
    title = "The bell ringer"
    has_runs = True
    keys = (SettingKey("tower", 10, "Which bell.", wrong=lambda text: None if text.isalpha() else "Must be a word."),)
    rings: ClassVar[dict[str, str]] = {}
    loses_answers: ClassVar[bool] = False

    def start(self, wish: Any, begin_by: float) -> Started:  # noqa: ARG002 - it calls nobody
        self.rings[f"{wish.workflow['tower']} {wish.subject}"] = "in_progress"
        if self.loses_answers:
            raise Trouble("The wind was too loud.", maybe_done=True)
        return Started(f"{wish.workflow['tower']} {wish.subject}", "https://bells.example/1")

    def find(self, wish: Any) -> Found:
        return Found(self._standing(f"{wish.workflow['tower']} {wish.subject}"), True)

    def look(self, wish: Any) -> Standing | None:
        return self._standing(wish.run_id)

    def cancel(self, wish: Any) -> bool:
        self.rings[wish.run_id] = "canceled"
        return True

    def _standing(self, run_id: str) -> Standing:
        return Standing(run_id, None, self.rings[run_id], None, 1, None)


class Whistle(Kind):
    """Only starts."""

    name = "whistle"
    title = "The whistle"
    keys = ()

    def start(self, wish: Any, begin_by: float) -> Started:  # noqa: ARG002 - it is the same for all
        return Started(None, None)


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bell, "rings", {})
    for kind in (Bell, Whistle):
        monkeypatch.setitem(KINDS, kind.name, kind)


@pytest.fixture
def service(upgraded_url: str) -> Iterator[Service]:
    made = Service(upgraded_url)
    yield made
    made.close()


@pytest.fixture
def rung(service: Service) -> EnvironmentClient:
    return service.environment(deploy_workflow=BELL)


def ringing(service: Service) -> AbstractContextManager[Worker]:
    return working(service.ledger, service.app.extensions["settings"])


def topics(service: Service) -> set[str]:
    return {row["topic"] for row in service.rows("select topic from events")}


def becomes(status: str, production: EnvironmentClient, deployment: dict[str, Any]) -> dict[str, Any]:
    def shown() -> dict[str, Any]:
        return dict(fine(production.client.get(f"{production.deployments_path}/{deployment['id']}")))

    assert eventually(lambda: shown()["status"] == status), shown()
    return shown()


def test_a_third_kind_deploys_to_the_end(service: Service, rung: EnvironmentClient) -> None:
    """It is started, looked at, and its word for success is the ledger's."""
    with ringing(service):
        deployment = rung.deploy("A-rc1")
        becomes("in_progress", rung, deployment)
        Bell.rings[f"north {deployment['id']}"] = "success"
        ended = becomes("success", rung, deployment)

    assert ended["external_url"] == "https://bells.example/1"


def test_a_third_kind_is_found_again(
    service: Service, rung: EnvironmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the answer to its start was lost, it is rung once."""
    monkeypatch.setattr(Bell, "loses_answers", True)

    with ringing(service):
        deployment = rung.deploy("A-rc1")
        becomes("in_progress", rung, deployment)

    assert list(Bell.rings) == [f"north {deployment['id']}"]


def test_a_third_kind_is_canceled_by_its_own_means(service: Service, rung: EnvironmentClient) -> None:
    """The cancel knows which workflow it is of, also after the setting has changed."""
    with ringing(service):
        deployment = rung.deploy("A-rc1")
        becomes("in_progress", rung, deployment)
        fine(rung.client.put(rung.path, {"deploy_workflow": {"kind": "whistle"}}))
        fine(rung.client.post(f"{rung.deployments_path}/{deployment['id']}/cancel", {}))
        becomes("canceled", rung, deployment)

    assert Bell.rings == {f"north {deployment['id']}": "canceled"}


def test_a_third_kind_builds(service: Service) -> None:
    """A build is looked at, too, and its candidate is ready."""
    production = service.environment()
    path = f"{production.project_path}/releases/2.0-rc1"
    fine(production.client.put(production.project_path, {"repo": "acme/web", "build_workflow": BELL}))

    with ringing(service):
        body = {"repo": "acme/web", "commit": "a" * 40, "trigger_build_workflow": True}
        build = fine(production.client.post(path, body))["build_id"]
        assert eventually(lambda: Bell.rings)
        Bell.rings[f"north {build}"] = "success"
        assert eventually(lambda: fine(production.client.get(path))["status"] == "ready")


def test_a_third_kind_is_set_with_its_own_keys(rung: EnvironmentClient) -> None:
    """What it does not take is refused when it is saved."""
    for workflow, wrong in (
        ({"kind": "bell"}, {"tower": ["Missing data for required field."]}),
        ({"kind": "bell", "tower": "1"}, {"tower": ["Must be a word."]}),
    ):
        answer = rung.client.put(rung.path, {"deploy_workflow": workflow})
        assert refused(answer, 400, "invalid_request")["details"] == {"deploy_workflow": wrong}


def test_a_run_that_cannot_be_looked_at(ledger: Ledger, upgraded_url: str) -> None:
    """A history may name a run of a workflow that has none: nobody is asked for it, and silence is told as silence."""
    shop = Shop(ledger, "production", workflow={"kind": "whistle"}, stuck_after_s=1)

    with working(ledger, Settings(database_url=upgraded_url)):
        deployment = shop.deploy()
        assert eventually(lambda: ledger.wish_of("trigger", deployment).status == "done")  # type: ignore[union-attr]
        ledger.run_claimed(ledger.wish_of("trigger", deployment), run_id="77", run_url=None, by=API)  # type: ignore[arg-type]
        ended = shop.becomes("error", deployment)

    assert ended["error_message"] == "No report for 1 s, and no run of it is known."


def test_a_kind_that_only_starts(service: Service) -> None:
    """Without runs there is nothing to look at and nobody to ask for an end: it is canceled at once."""
    production = service.environment(deploy_workflow={"kind": "whistle"})

    with ringing(service):
        deployment = production.deploy("A-rc1")
        assert eventually(lambda: "deployment-triggered" in topics(service))
        canceled = fine(production.client.post(f"{production.deployments_path}/{deployment['id']}/cancel", {}))

    assert canceled["status"] == "canceled"
    assert "deployment-cancel-requested" not in topics(service)
