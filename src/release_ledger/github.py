"""What is asked of GitHub Actions: repositories, commits, and the runs of workflows that are triggered by us."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from .outgoing import Answer, Outgoing, Trouble, pause_s

API_VERSION: Final = "2022-11-28"
DETAILS: Final = "return_run_details"  # since 2026-02; older GitHub Enterprise Servers refuse the field
RUNS_LISTED: Final = 300
RUNS_PER_PAGE: Final = 100
MOST_BYTES: Final = 1_048_576
MOST_BYTES_OF_MUCH: Final = 8 * MOST_BYTES  # 11 kB each, and the message of the commit, which is the same in each
MESSAGE_CHARACTERS: Final = 500
SECONDARY: Final = "secondary rate limit"  # is not always said in a header; then a minute is what they ask for
SECONDARY_S: Final = 60.0


class Started(NamedTuple):
    """A dispatch that was accepted; both are None where GitHub does not say which run it became."""

    run_id: str | None
    url: str | None


class Run(NamedTuple):
    """One run of a workflow as GitHub describes it. `updated_at`: UTC, ISO 8601, as it came; `attempt` from 1 on."""

    id: str
    url: str
    title: str
    status: str
    conclusion: str | None
    attempt: int
    updated_at: str


class GitHub:
    """GitHub's REST API at this URL; may be shared by threads. Every method raises Trouble where it has no answer."""

    def __init__(self, url: str, token: str | None, outgoing: Outgoing) -> None:
        """`url` without a slash at its end: `https://api.github.com`, or a server's `https://HOST/api/v3`."""
        self._url, self._token, self._outgoing = url.rstrip("/"), token, outgoing
        self._not_before = 0.0  # of `time.monotonic`: GitHub said so, to whatever of it was asked for

    def has_repository(self, repo: str) -> bool:
        """Whether there is a repository `owner/name` that the token may see."""
        answer = self._ask("GET", _repository(repo), answers=(200, 404))
        return answer.status == 200 and bool(_object(answer))

    def has_commit(self, repo: str, sha: str) -> bool:
        """Whether it has this commit; a branch or tag of that name is none, and an empty repository (409) has none."""
        path = f"{_repository(repo)}/commits/{_part(sha)}"  # answered with its whole difference
        answer = self._ask("GET", path, answers=(200, 404, 409, 422), most_bytes=MOST_BYTES_OF_MUCH)
        return answer.status == 200 and str(_object(answer).get("sha")).lower() == sha.lower()

    def dispatch(self, repo: str, workflow: str, ref: str, inputs: Mapping[str, str], begin_by: float = inf) -> Started:
        """Start a workflow, by its file's name, on a branch or tag; not after `begin_by` (of `time.monotonic`)."""
        path = f"{_repository(repo)}/actions/workflows/{_part(workflow)}/dispatches"
        wish = {"ref": ref, "inputs": dict(inputs)}
        answer = self._ask("POST", path, {**wish, DETAILS: True}, answers=(200, 204, 400, 422), begin_by=begin_by)
        if answer.status in (400, 422):
            said = answer.body.decode(errors="replace")
            if DETAILS not in said and "not a permitted key" not in said:
                raise self._trouble(answer, "POST", path)
            answer = self._ask("POST", path, wish, answers=(200, 204), begin_by=begin_by)
        if answer.status == 204:
            return Started(None, None)
        details = _object(answer)
        run_id, url = details.get("workflow_run_id"), details.get("html_url")
        if not _is_id(run_id):
            raise _unreadable("a started run has no id")
        return Started(str(run_id), _plain(url) if isinstance(url, str) else None)

    def run(self, repo: str, run_id: str) -> Run | None:
        """This run as it is now; None: there is no such run."""
        answer = self._ask("GET", f"{_repository(repo)}/actions/runs/{_part(run_id)}", answers=(200, 404))
        return None if answer.status == 404 else _run(_object(answer))

    def runs(
        self, repo: str, workflow: str, since: datetime | None, branch: str | None = None, most: int = RUNS_LISTED
    ) -> list[Run]:
        """The dispatched runs of a workflow, newest first, at most 300; since a moment, or ever.

        Of one `branch` (or tag), where it is given: another may hold another version of the workflow.
        """
        path = f"{_repository(repo)}/actions/workflows/{_part(workflow)}/runs"
        found: list[Run] = []
        per_page = min(most, RUNS_PER_PAGE)
        wish: dict[str, Any] = {"event": "workflow_dispatch", "per_page": per_page}
        wish |= {"created": f">={since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if since is not None else {}
        wish |= {"branch": branch} if branch is not None else {}
        for page in range(1, most // per_page + 1):
            wish["page"] = page
            answer = self._ask("GET", f"{path}?{urlencode(wish)}", answers=(200,), most_bytes=MOST_BYTES_OF_MUCH)
            listed = _object(answer).get("workflow_runs")
            if not isinstance(listed, list):
                raise _unreadable("a list of runs has no runs")
            found += map(_run, listed)
            if len(listed) < per_page:
                break
        return found

    def cancel(self, repo: str, run_id: str) -> bool:
        """Ask for the end of a run; False: it had ended already."""
        path = f"{_repository(repo)}/actions/runs/{_part(run_id)}/cancel"
        return self._ask("POST", path, answers=(202, 409)).status == 202

    def _ask(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        *,
        answers: tuple[int, ...],
        most_bytes: int = MOST_BYTES,
        begin_by: float = inf,
    ) -> Answer:
        left_s = self._not_before - time.monotonic()
        if left_s > 0:
            raise Trouble(f"GitHub is not called for {left_s:.0f} s: it asked for that.", retry_after_s=left_s)
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
            "User-Agent": "release-ledger",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        body = None
        if content is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(content).encode()
        answer = self._outgoing.call(
            method, f"{self._url}{path}", headers=headers, body=body, most_bytes=most_bytes, begin_by=begin_by
        )
        if answer.status not in answers:
            raise self._trouble(answer, method, path)
        return answer

    def _trouble(self, answer: Answer, method: str, path: str) -> Trouble:
        """What an answer that is none of the expected ones means. GitHub's own words are told, but never the token."""
        status, said = answer.status, _said(answer)
        if self._token:
            said = said.replace(self._token, "…")
        pause = pause_s(answer.headers)
        if pause is None and status in (403, 429) and SECONDARY in said:
            pause = SECONDARY_S
        self._not_before = max(self._not_before, time.monotonic() + (pause or 0.0))
        # 401 and 403: an operator can mend the token.
        waits = status in (401, 403, 408, 429)
        asked = f"{method} {path.partition('?')[0]}"
        return Trouble(
            f"GitHub answered {status} to {asked}: {said[:MESSAGE_CHARACTERS] or 'no message'}",
            final=400 <= status < 500 and not waits,
            maybe_done=not 400 <= status < 500 and status != 503,
            retry_after_s=pause,
            refused=status in (401, 403) and pause is None,
        )


def run_of(payload: Mapping[str, Any]) -> Run:
    """The run in an answer of the API, or in the `workflow_run` of a webhook; old ones lack some of the fields.

    Raises ValueError for what is no run.
    """
    run_id, url, status, updated_at = (payload.get(name) for name in ("id", "html_url", "status", "updated_at"))
    if not _is_id(run_id):
        raise ValueError("a run without an id")
    if not (isinstance(url, str) and isinstance(status, str) and isinstance(updated_at, str)):
        raise ValueError("a run without html_url, status and updated_at")
    if datetime.fromisoformat(updated_at).tzinfo is None:
        raise ValueError("a run whose updated_at has no offset")
    conclusion, attempt = payload.get("conclusion"), payload.get("run_attempt") or 1
    if not (conclusion is None or isinstance(conclusion, str)) or not _is_id(attempt):
        raise ValueError("a run with another conclusion than a word, or another run_attempt than a number")
    title = payload.get("display_title") or payload.get("name") or ""
    return Run(str(run_id), _plain(url), _plain(str(title)), status, conclusion, int(attempt), updated_at)


def _run(listed: object) -> Run:
    """The same, out of an answer that should have it. Raises Trouble."""
    try:
        return run_of(listed if isinstance(listed, Mapping) else {})
    except ValueError as error:
        said = str(error)
    raise _unreadable(said)


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _unreadable("it is not a JSON object")
    return content


def _unreadable(why: str) -> Trouble:
    return Trouble(f"GitHub's answer cannot be read: {why}.", maybe_done=True)


def _said(answer: Answer) -> str:
    """GitHub's own message, on one line; empty where there is none."""
    try:
        message = _object(answer).get("message")
    except Trouble:
        message = None
    return " ".join(_plain(message).split()) if isinstance(message, str) else ""


def _plain(text: str) -> str:
    """Without what cannot be stored or shown: halves of characters, and control characters."""
    return "".join(each if each.isprintable() else " " for each in text)


def _repository(repo: str) -> str:
    owner, _, name = repo.partition("/")
    return f"/repos/{_part(owner)}/{_part(name)}"


def _part(part: str) -> str:
    """One part of a path. Two dots would lead out of it."""
    if part.strip(".") == "":
        raise Trouble("A repository, workflow, commit or run has no name.", final=True)
    return quote(part, safe="")


def _is_id(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0
