"""What runs of workflows tell of themselves, by whichever way it comes: a webhook, a look at the run, its first step.

Each kind of workflow puts it into the words of deployments; those of builds follow from them here.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import bindparam, select

from ..errors import InvalidRequest
from ..projections.deployments import Deployments
from ..store import ReadModelBroken, Statement
from ..store.schema import STREAMS
from ..workflows import Standing
from .answers import Answer
from .asking import belongs
from .build_commands import BuildCommands
from .outbox_questions import Wish
from .recording import Caller
from .workflow_commands import WorkflowCommands

OF_RUNS: Final = ("trigger", "build")  # the wishes that become a run
URL_LIMIT: Final = 2000
_URL: Final = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)
# Of a build: what the status of a deployment with such a run would be. All that is not there is `failed`.
_OF_BUILD: Final = {"pending": "pending", "in_progress": "pending", "success": "ready"}
_D, _HEAD = Deployments.table, STREAMS.alias("head")
_STREAM_OF: Final = Statement(
    select(_HEAD.c.stream.label("head_stream"))
    .select_from(_D.join(_HEAD, belongs(_D, _HEAD)))
    .where(_D.c.id == bindparam("deployment_id"))
)


class RunReports(WorkflowCommands, BuildCommands):
    """What can be told of a run. What was told before is answered, and not recorded again."""

    def wish_of(self, kind: str, subject: str) -> Wish | None:
        """What is to run (`trigger`, `build`) for the deployment or build of this id; also where it must be folded."""
        found = (wish for ask in (self.wishes_of, self.wishes_elsewhere_of) for wish in ask(subject))
        return next((wish for wish in found if wish.kind == kind), None)

    def wish_of_run(self, run_id: str, repo: str) -> Wish | None:
        """What a run of this repository was started for."""
        return next((wish for wish in self._runs_of(run_id) if is_of(wish, repo)), None)

    def project_of_deployment(self, deployment_id: str) -> str | None:
        """Where there is a deployment of this id, whether or not a workflow was to be started for it."""
        try:
            rows = self.store.read(_STREAM_OF, {"deployment_id": deployment_id})
        except ReadModelBroken:
            return None
        return str(rows[0]["head_stream"]).split("/")[1] if rows else None

    def run_claimed(self, wish: Wish, *, run_id: str, run_url: str | None, by: Caller) -> tuple[Answer, int]:
        """Somebody says whose a run is; one that is already known of anything else is refused.

        Raises `InvalidRequest`.
        """
        known = self._runs_of(run_id) if wish.run_id != run_id else []
        if any((each.stream, each.kind, each.number) != (wish.stream, wish.kind, wish.number) for each in known):
            raise InvalidRequest(workflow_run_id="is known to be the run of something else")
        return self.run_told(wish, run_id=run_id, run_url=run_url, by=by)

    def run_told(self, wish: Wish, *, run_id: str, run_url: str | None, by: Caller) -> tuple[Answer, int]:
        """A run says whose it is: the deployment or the candidate after it. The first run that is known stays."""
        if wish.kind == "build":
            return self.build_triggered(wish, run_id=run_id, run_url=shown(run_url), how="told", by=by)
        return self.triggered(wish, run_id=run_id, run_url=shown(run_url), how="told", by=by)

    def run_reported(self, wish: Wish, run: Standing, *, by: Caller) -> bool:
        """How a run stands. Whether it is the run that is known of the wish, if one is.

        Any order and any repetition of the same reports ends in the same deployment.
        """
        if wish.run_id not in (None, run.run_id):
            return False
        if run.status is not None and wish.kind == "build":
            self._build_stands(wish, run.status, run, by)
        elif run.status is not None:
            self.report(
                wish.project_name,
                wish.environment_name,
                release_candidate_version=wish.release_candidate_version,
                id=wish.subject,
                status=run.status,
                error_message=run.error_message,
                external_url=shown(run.url),
                occurred_at=run.occurred_at,
                run_attempt=run.attempt,
                by=by,
            )
        return True

    def _runs_of(self, run_id: str) -> list[Wish]:
        return [wish for wish in self.wishes_of_run(run_id) if wish.kind in OF_RUNS]

    def _build_stands(self, wish: Wish, status: str, run: Standing, by: Caller) -> None:
        outcome = _OF_BUILD.get(status, "failed")
        self.report_build(
            wish.project_name,
            wish.release_candidate_version,
            status=outcome,
            build_id=wish.subject,
            build_url=shown(run.url),
            error_message=(run.error_message or f"The build's run ended as {status}.") if outcome == "failed" else None,
            occurred_at=run.occurred_at,
            run_attempt=run.attempt,
            by=by,
        )


def is_of(wish: Wish, repo: str) -> bool:
    """Whether its workflow is one of this repository; GitHub's names are the same in any case."""
    return (wish.repo or "").casefold() == repo.casefold()


def shown(url: str | None) -> str | None:
    """An address that can be shown as a link; None for any other text."""
    return url if url is not None and len(url) <= URL_LIMIT and _URL.fullmatch(url) else None
