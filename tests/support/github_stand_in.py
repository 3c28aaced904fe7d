"""A stand-in for GitHub: a real server on loopback that knows what a test put into it, with faults on demand.

    with StandIn(takes_s=0.2) as github:
        github.add_workflow("acme/shop", "deploy.yml", shows_id=True)
        github.fail_next(CUT_AFTER)  # tests/support/github_faults.py
        ...
        assert github.started["d-1"] == 1

Its answers are what GitHub's own description says (tests/support/github_contract.py), but for deliberate faults.
"""

import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from tests.support.github_contract import COMMIT, REPOSITORY, RUN
from tests.support.github_faults import Asked, Exchange, Fault, Listener, Reply


@dataclass
class StartedRun:
    """A run. `deployment` is the deployment's id, or the build's cut id, out of its inputs, else empty."""

    id: int
    repo: str
    workflow: str
    title: str
    inputs: Mapping[str, str]
    deployment: str
    created_at: datetime
    updated_at: datetime
    status: str = "queued"
    conclusion: str | None = None

    def becomes(self, status: str, conclusion: str | None) -> None:
        if (status, conclusion) != (self.status, self.conclusion):
            self.status, self.conclusion, self.updated_at = status, conclusion, datetime.now(UTC)


class StandIn:
    """GitHub for one test. Everything public may be used while it answers, by any thread.

    `takes_s`: a run is queued for the first third of it, then in progress, then ends as `concludes(its inputs)` says;
    None: it ends by `finish` or a cancel only. `token`: others are answered 401. `returns_details`: whether it knows
    `return_run_details`. `listed_after_s`: a list of runs shows a run so late only. `fault_for` decides per request;
    faults in the queue of `fail_next` come first.
    """

    def __init__(
        self,
        *,
        takes_s: float | None = None,
        token: str | None = None,
        returns_details: bool = True,
        listed_after_s: float = 0.0,
        fault_for: Callable[[Asked], Fault | None] = lambda asked: None,
        concludes: Callable[[Mapping[str, str]], str] = lambda inputs: "success",
    ) -> None:
        self.takes_s, self.token, self.returns_details = takes_s, token, returns_details
        self.fault_for, self.concludes, self.listed_after_s = fault_for, concludes, listed_after_s
        self.exchanges: list[Exchange] = []
        self.runs: dict[int, StartedRun] = {}
        self.started: Counter[str] = Counter()  # by `StartedRun.deployment`
        self._workflows: dict[str, dict[str, bool]] = {}
        self._commits: dict[str, set[str]] = {}
        self._renamed: dict[str, str] = {}
        self._queue: deque[Fault] = deque()
        self._lock = threading.RLock()
        self._listener = Listener(self.fault, self.reply, self.exchanges.append)
        self.url = self._listener.url

    def add_repository(self, repo: str, *, commits: Iterable[str] = ()) -> None:
        with self._lock:
            self._commits.setdefault(repo, set()).update(commits)

    def add_workflow(self, repo: str, workflow: str, *, shows_id: bool) -> None:
        """`shows_id`: its `run-name` contains the deployment's id, so that a list of runs shows it."""
        self.add_repository(repo)
        with self._lock:
            self._workflows.setdefault(repo, {})[workflow] = shows_id

    def rename(self, repo: str, new: str) -> None:
        """From now on the old name redirects: 301 for GET, 307 for others."""
        with self._lock:
            self._commits[new], self._workflows[new] = self._commits.pop(repo), self._workflows.pop(repo, {})
            self._renamed[repo] = new

    def fail_next(self, *faults: Fault) -> None:
        """The next requests meet these, in order, one each."""
        with self._lock:
            self._queue.extend(faults)

    def finish(self, run_id: str | int, conclusion: str = "success") -> None:
        with self._lock:
            self.runs[int(run_id)].becomes("completed", conclusion)

    def workflow_run(self, run_id: str | int) -> dict[str, Any]:
        """The run as the API shows it now, and as a webhook would."""
        with self._lock:
            return self._shown(self.runs[int(run_id)])

    def fault(self, asked: Asked) -> Fault | None:
        with self._lock:
            return self._queue.popleft() if self._queue else self.fault_for(asked)

    def reply(self, asked: Asked) -> Reply:
        """The right answer; what is asked for is done."""
        if self.token is not None and asked.headers.get("authorization") != f"Bearer {self.token}":
            return _said(401, "Bad credentials")
        with self._lock:
            repo = "/".join(asked.path[1:3])
            if repo in self._renamed:
                location = self.url + asked.url.replace(f"/repos/{repo}", f"/repos/{self._renamed[repo]}", 1)
                status = 301 if asked.method == "GET" else 307
                return _said(status, "Moved Permanently")._replace(headers={"Location": location})
            if repo not in self._commits:
                return _said(404, "Not Found")
            match (asked.method, *asked.path[3:]):
                case ("GET",):
                    return _json(200, REPOSITORY | {"full_name": repo})
                case ("GET", "commits", sha) if sha.lower() in self._commits[repo]:
                    return _json(200, COMMIT | {"sha": sha.lower()})
                case ("GET", "commits", sha):
                    return _said(422, f"No commit found for SHA: {sha}")
                case ("POST", "actions", "workflows", name, "dispatches") if name in self._workflows.get(repo, {}):
                    return self._dispatch(repo, name, asked.content)
                case ("GET", "actions", "workflows", name, "runs") if name in self._workflows.get(repo, {}):
                    return self._listed(repo, name, asked.query)
                case ("GET", "actions", "runs", number) if number.isdigit() and int(number) in self.runs:
                    return _json(200, self._shown(self.runs[int(number)]))
                case ("POST", "actions", "runs", number, "cancel") if number.isdigit() and int(number) in self.runs:
                    return self._cancel(self.runs[int(number)])
            return _said(404, "Not Found")

    def _dispatch(self, repo: str, name: str, wish: Mapping[str, Any]) -> Reply:
        if not self.returns_details and "return_run_details" in wish:
            return _said(422, 'Invalid request.\n\n"return_run_details" is not a permitted key.')
        if wish["ref"] != "main":
            return _said(422, f"No ref found for: {wish['ref']}")
        inputs, now = wish.get("inputs", {}), datetime.now(UTC)
        deployment = next((inputs[key] for key in inputs if key.endswith(("deployment_id", "release_cut_id"))), "")
        title = f"Deploy {deployment}" if self._workflows[repo][name] else "Deploy"
        run = StartedRun(30_433_642 + len(self.runs), repo, name, title, inputs, deployment, now, now)
        self.runs[run.id] = run
        self.started[deployment] += 1
        if "return_run_details" not in wish:
            return Reply(204, b"", {})
        url = f"{self.url}/repos/{repo}/actions/runs/{run.id}"
        html_url = f"https://github.com/{repo}/actions/runs/{run.id}"
        return _json(200, {"workflow_run_id": run.id, "run_url": url, "html_url": html_url})

    def _listed(self, repo: str, name: str, query: Mapping[str, str]) -> Reply:
        since = datetime.fromisoformat(query.get("created", ">=2000-01-01T00:00:00Z").removeprefix(">="))
        upto = datetime.now(UTC) - timedelta(seconds=self.listed_after_s)
        runs = [each for each in self.runs.values() if each.created_at <= upto]
        of_it = [each for each in runs if (each.repo, each.workflow) == (repo, name)]
        is_main = query.get("branch", "main") == "main"
        found = [each for each in reversed(of_it) if is_main and each.created_at.replace(microsecond=0) >= since]
        most, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        shown = [self._shown(each) for each in found[most * (page - 1) : most * page]]
        return _json(200, {"total_count": len(found), "workflow_runs": shown})

    def _cancel(self, run: StartedRun) -> Reply:
        self._progress(run)
        if run.status == "completed":
            return _said(409, "Cannot cancel a workflow run that is completed.")
        run.becomes("completed", "cancelled")
        return _json(202, {})

    def _progress(self, run: StartedRun) -> None:
        if self.takes_s is None or run.status == "completed":
            return
        age_s = (datetime.now(UTC) - run.created_at).total_seconds()
        if age_s >= self.takes_s:
            run.becomes("completed", self.concludes(run.inputs))
        elif age_s >= self.takes_s / 3:
            run.becomes("in_progress", None)

    def _shown(self, run: StartedRun) -> dict[str, Any]:
        self._progress(run)
        times = {name: getattr(run, name).strftime("%Y-%m-%dT%H:%M:%SZ") for name in ("created_at", "updated_at")}
        shown = {"id": run.id, "display_title": run.title, "status": run.status, "conclusion": run.conclusion}
        html_url = f"https://github.com/{run.repo}/actions/runs/{run.id}"
        path = f".github/workflows/{run.workflow}"
        return RUN | times | shown | {"html_url": html_url, "path": path, "event": "workflow_dispatch"}

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._listener.end()


def _json(status: int, content: Any) -> Reply:
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json; charset=utf-8"})


def _said(status: int, message: str) -> Reply:
    return _json(
        status, {"message": message, "documentation_url": "https://docs.github.com/rest", "status": f"{status}"}
    )
