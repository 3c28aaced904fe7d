"""The application as its own description lets schemathesis call it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import schemathesis
from hypothesis import settings
from schemathesis.checks import CheckContext, CheckFunction
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.generation.stateful.state_machine import APIStateMachine
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection

from release_ledger.api import create_app
from release_ledger.ledger import Ledger
from release_ledger.proof.checkpoint import make_checkpoint
from release_ledger.settings import Settings

from .client import HTTP_SECRET, OPERATOR, REPO, Client, commit_of, fine
from .described_checks import keeps_to_the_contract, require, well_formed_is_taken
from .described_memory import Memory
from .signing import WEBHOOK_SECRET, Signing

OURS: Final[list[CheckFunction]] = [keeps_to_the_contract, well_formed_is_taken]


class DescribedApi:
    """An application, its description, a token that may do everything, and what was answered."""

    def __init__(self, url: str) -> None:
        """Over an upgraded database, in which two versions run one after the other."""
        self.answers: Counter[tuple[str, int]] = Counter()
        secrets: dict[str, Any] = {"http_secret": HTTP_SECRET, "github_webhook_secret": WEBHOOK_SECRET}
        self.app = create_app(Settings(database_url=url, rate_limit=0, **secrets))
        self.app.wsgi_app = Signing(self.app.wsgi_app)  # type: ignore[method-assign] # as Flask says
        self.schema = schemathesis.openapi.from_wsgi("/openapi.json", self.app)
        self._adjust_checks()
        ledger: Ledger = self.app.extensions["ledger"]
        token = ledger.create_token("admin", role="admin", email="dev@example.com", by=OPERATOR)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.client = Client(self.app.test_client(), token)
        production = self.client.environment("production", project="web")
        production.ran("1.3.0-rc2", "1.4.0-rc1")
        workflow = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}
        to_build = {"repo": REPO, "commit": commit_of("to build"), "trigger_build_workflow": True}
        fine(self.client.put(production.path, {"deploy_workflow": workflow}))
        production.deploy("1.4.0-rc1")
        built = fine(self.client.post(f"{production.project_path}/releases/2.0.0-rc1", to_build))
        make_checkpoint(ledger.store, None)
        self._known = {"env_name": "production", "release_candidate_version": "1.4.0-rc1"}
        self._known["deployment_id"] = production.shown()["latest"]["id"]
        self._known |= {"triggered_id": self._known["deployment_id"], "release_cut_id": built["build_id"]}
        self.memory = Memory("web", self._known)

    def start_anew(self, copy: Callable[[], str]) -> None:
        """The same application over a copy of the database that it began with."""
        self.close()
        self.app.extensions["ledger"] = Ledger.open(copy())
        self.memory = Memory("web", self._known)

    def close(self) -> None:
        self.app.extensions["ledger"].close()

    def send(self, case: Case[Any]) -> Response:
        """Send a case and remember what came of it."""
        self.memory.lead(case)
        response = case.call(headers=self.headers)
        self.answers[case.operation.definition.raw["operationId"], response.status_code] += 1
        self.memory.learn(response, case)
        return response

    def check(self, response: Response, case: Case[Any], **given: Any) -> None:
        """schemathesis's checks and ours."""
        checks: list[CheckFunction] = [*OURS, self._is_where_it_says]
        excluded = list(given.pop("excluded_checks", []))
        sent = response.request.body
        if isinstance(sent, bytes) and not sent.strip():
            excluded.append(negative_data_rejection)  # white space is as good as an empty body
        case.validate_response(
            response, additional_checks=checks, headers=self.headers, excluded_checks=excluded, **given
        )

    def call_each_operation(self, chosen: settings) -> None:
        """Each operation by itself: its examples, what lies at the edges of its schemas, and anything else."""
        config = HypothesisTestConfig(
            project=self.schema.config,
            modes=list(HypothesisTestMode),
            settings=chosen,
            explicit_settings=chosen,  # or the profile's would go before
        )
        for operation in self._operations():
            create_test(operation=operation, test_func=self._send_and_check, config=config)()
            # What was frozen would refuse everything that comes after.
            self.client.delete("/api/releases/web/environments/production/freeze")

    def unanswered(self) -> set[str]:
        """The operations that never came to a success."""
        every = {operation.definition.raw["operationId"] for operation in self._operations()}
        return every - {name for name, status in self.answers if status < 300}

    def machine(self, copy: Callable[[], str]) -> type[APIStateMachine]:
        """Walks along the links, each over a copy of its own of the database."""
        api = self

        class Walk(self.schema.as_state_machine()):  # type: ignore[misc] # made from the description
            def setup(self) -> None:
                api.start_anew(copy)

            def call(self, case: Case[Any], **_: Any) -> Response:
                return api.send(case)

            def validate_response(self, response: Response, case: Case[Any], *_: Any, **__: Any) -> None:
                # Without a token, with wrong ones and with what is malformed, each operation is called often enough by
                # itself; and a step may be called malformed here of which a link, or the memory, has mended what was.
                excluded = [ignored_auth, negative_data_rejection]
                api.check(response, case, recorder=self.recorder, excluded_checks=excluded)

        return Walk

    def _is_where_it_says(self, _: CheckContext, response: Response, case: Case[Any]) -> None:
        """What was created can be read at its Location, and is the same."""
        for location in response.headers.get("location", []):
            read = self.client.get(location)
            same = read.status_code == 200 and read.get_json().keys() >= response.json().keys()
            require(same, f"at {location}: {read.status} {read.text}", case)

    def _operations(self) -> list[APIOperation[Any, Any, Any, Any]]:
        found = list(self.schema.get_all_operations())
        assert all(isinstance(each, Ok) for each in found)
        return [each.ok() for each in found if isinstance(each, Ok)]

    def _send_and_check(self, case: Case[Any]) -> None:
        self.check(self.send(case), case)

    def _adjust_checks(self) -> None:
        """Every check is on; two of them hear of statuses that schemathesis does not expect."""
        config = self.schema.config
        # A token that works; `ignored_auth` tries others. NUL is in no text, which no schema can say of all texts.
        config.generation.update(with_security_parameters=False, allow_x00=False)
        # 400: `well_formed_is_taken` looks closer. 412, 422: well-formed headers of a stream that has moved on.
        config.checks.positive_data_acceptance.expected_statuses += ["400", "412", "422"]
        config.checks.negative_data_rejection.expected_statuses += ["412", "413"]
