"""Runs of GitHub Actions: their first step says which run it is, and GitHub's webhook how it stands."""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import wraps
from typing import Any, Final, NamedTuple

from flask import Response, current_app, g, request
from werkzeug.exceptions import NotFound

from ..errors import DeploymentNotFound, InvalidRequest, ReleaseNotFound, Unauthorized
from ..github import run_of
from ..ledger import Caller
from ..ledger.outbox_questions import Wish
from ..ledger.run_reports import is_of
from ..settings import Settings
from ..worker.github_actions import GitHubActions, standing_of
from ..workflows import Standing
from .access import ledger, require_project, requires
from .answer import json_response
from .blueprint import Handler, LedgerBlueprint
from .conditions import once
from .schemas import SyncBuildSchema, SyncDeploySchema, WebhookSchema
from .shapes import CandidateSchema, DeploymentSchema, WebhookAnswerSchema

blueprint = LedgerBlueprint("runs", __name__, url_prefix="/api/v1", description="Runs of GitHub Actions")
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_UNKNOWN: Final = "not a run of this ledger"


class _Heard(NamedTuple):
    """What a webhook tells of a run. `workflow`: its file's name and its id, as far as GitHub says them."""

    run: Standing
    title: str
    repo: str
    event: str
    workflow: frozenset[str]


@blueprint.on("POST", "/sync-deploy-github-action", "syncDeploy")
@requires("deploy")
@blueprint.takes(SyncDeploySchema)
@blueprint.answers(200, DeploymentSchema)
def sync_deploy(body: dict[str, Any]) -> Response:
    """The first step of a workflow says which run deploys. The first run that is known stays."""
    wish = ledger().wish_of("trigger", body["deployment_id"])
    if wish is None:
        project_name = ledger().project_of_deployment(body["deployment_id"])
        if project_name is None:
            raise DeploymentNotFound()
        require_project(project_name)
        raise InvalidRequest(deployment_id="no workflow was to be started for it")
    return _told(wish, body["workflow_run_id"])


@blueprint.on("POST", "/sync-build-github-action", "syncBuild")
@requires("deploy")
@blueprint.takes(SyncBuildSchema)
@blueprint.answers(200, CandidateSchema)
def sync_build(body: dict[str, Any]) -> Response:
    """The first step of a workflow says which run builds a candidate. The first run that is known stays."""
    wish = ledger().wish_of("build", body["release_cut_id"])
    if wish is None:
        raise ReleaseNotFound()
    return _told(wish, body["workflow_run_id"])


def signed(answers: Handler) -> Handler:
    """Only what was signed with the webhook's secret; there is no webhook until one is set."""

    @wraps(answers)
    def checked(*args: Any, **kwargs: Any) -> Response:
        settings: Settings = current_app.extensions["settings"]
        if settings.github_webhook_secret is None:
            raise NotFound()
        made = hmac.new(settings.github_webhook_secret.encode(), request.get_data(cache=True), hashlib.sha256)
        given = request.headers.get("X-Hub-Signature-256", "")
        if not hmac.compare_digest(f"sha256={made.hexdigest()}".encode(), given.encode()):
            raise Unauthorized()
        return answers(*args, **kwargs)

    return checked


@blueprint.on("POST", "/github/webhook", "githubWebhook")
@signed
@blueprint.takes(WebhookSchema)
@blueprint.answers(200, WebhookAnswerSchema)
def github_webhook(body: dict[str, Any]) -> Response:
    """What GitHub tells of a run (the event `workflow_run`); other events are ignored."""
    event = request.headers.get("X-GitHub-Event", "")
    if event != "workflow_run":
        return json_response({"ignored": f"the event {event[:100]}"})
    return json_response(_recorded(_read(body)))


def _told(wish: Wish, run_id: str) -> Response:
    """What a run is for, after it was told which run it is."""
    require_project(wish.project_name)
    kind = (wish.workflow or {}).get("kind", GitHubActions.name)  # a build that nobody was to start may be anybody's
    if kind != GitHubActions.name:
        raise InvalidRequest(workflow_run_id=f"its workflow is of kind {kind}, which has no runs of GitHub Actions")
    url = _url_of(wish.repo, run_id)
    return once(
        lambda by: ledger().run_claimed(wish, run_id=run_id, run_url=url, by=by),
        lambda answer, version: json_response(answer, version=version),
    )


def _url_of(repo: str | None, run_id: str) -> str | None:
    """Where a run is shown; not known of other servers than github.com."""
    settings: Settings = current_app.extensions["settings"]
    is_public = settings.github_url == Settings.github_url
    return f"https://github.com/{repo}/actions/runs/{run_id}" if is_public and repo is not None else None


def _read(body: dict[str, Any]) -> _Heard:
    """The run that GitHub tells of, its repository and its workflow."""
    try:
        run, repo = run_of(body["workflow_run"]), str(body["repository"]["full_name"])
        standing = standing_of(run)
    except (KeyError, ValueError, OverflowError) as error:
        raise InvalidRequest(workflow_run=f"cannot be read: {error}"[:200]) from None
    told = body["workflow_run"]
    path, its_id = told.get("path"), told.get("workflow_id")  # a path may end in @ and a ref
    file = path.partition("@")[0].rpartition("/")[2] if isinstance(path, str) else ""
    return _Heard(standing, run.title, repo, str(told.get("event")), frozenset({file, str(its_id or "")} - {""}))


def _recorded(heard: _Heard) -> dict[str, str]:
    """Record how a run stands; what to answer."""
    run = heard.run
    by = Caller(recorded_by="github", request_id=g.request_id)
    wish = ledger().wish_of_run(run.run_id, heard.repo)
    if wish is None:
        wish = _named_in(heard)
        if wish is None:
            return {"ignored": _UNKNOWN}
        if wish.run_id is None:
            ledger().run_told(wish, run_id=run.run_id, run_url=run.url, by=by)
    if not ledger().run_reported(wish, run, by=by):
        return {"ignored": "another run is known of it"}
    return {"release_cut_id" if wish.kind == "build" else "deployment_id": wish.subject}


def _named_in(heard: _Heard) -> Wish | None:
    """What a run is for whose name (`run-name`) has its id in it.

    Anybody who may open a pull request can name a run: only a dispatched run of the very workflow that was to be
    started counts, and only of the repository that it was to be started in.
    """
    if heard.event != "workflow_dispatch":
        return None
    for subject in _ID.findall(heard.title)[:5]:
        for wish in ledger().wishes_of(subject.lower()):
            workflow = wish.workflow or {}
            is_its = workflow.get("kind") == GitHubActions.name and workflow.get("workflow") in heard.workflow
            if wish.kind in ("trigger", "build") and is_its and is_of(wish, heard.repo):
                return wish
    return None
