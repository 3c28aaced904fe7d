"""Replays the release history of the Git project into a ledger, over HTTP, as a pipeline would have told it.

Twenty years of real tags make a ledger worth looking at: every candidate is cut and deployed to staging when it was
tagged, and a release's last candidate goes to production when the final was tagged. Then the script asks the ledger
what production ran, and what a rollback would do now.

    python examples/replay_git_history.py --url http://127.0.0.1:8000 --token TOKEN
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin
from uuid import uuid4

import click
import requests
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.progress import track
from rich.table import Table
from urllib3.util import Retry

PROJECT = "git"
TAGS_FILE = Path(__file__).with_name("git-tags.jsonl")
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
TIERS = {"staging": "staging", "production": "production"}
CANDIDATE = re.compile(r"([^/\s\x00-\x1f\x7f-\x9f]{1,200})-rc(0|[1-9][0-9]{0,8})")
BEGINNING = datetime.min.replace(tzinfo=UTC)
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A line of the file; `release` and `number` are set when it is a release candidate."""

    version: str
    commit: str
    tagged_at: datetime | None
    release: str | None = None
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """A candidate is cut and deployed to staging; or, when `final` is named, deployed to production."""

    candidate: Tag
    at: datetime | None
    final: str | None = None

    @property
    def occurred(self) -> Json:
        return {"occurred_at": self.at.isoformat()} if self.at else {}


def parse_tag(line: str) -> Tag:
    """Raises ValueError, KeyError or TypeError for a line that is not a tag."""
    row = json.loads(line)
    at = datetime.fromisoformat(row["tagged_at"]) if row["tagged_at"] else None
    if at and at.tzinfo is None:
        raise ValueError(f"{row['tagged_at']} has no offset")
    tag = Tag(version=row["version"], commit=row["commit"], tagged_at=at)
    match = CANDIDATE.fullmatch(tag.version)
    return replace(tag, release=match[1], number=int(match[2])) if match else tag


def steps_of(tags: Sequence[Tag], limit_releases: int | None = None) -> list[Step]:
    """The first releases, in the order of time. A candidate without a time comes first, a final without one never."""
    by_release: dict[str, list[Tag]] = {}
    for tag in sorted(tags, key=lambda tag: tag.tagged_at or BEGINNING):
        if tag.release is not None:
            by_release.setdefault(tag.release, []).append(tag)
    chosen = dict(islice(by_release.items(), limit_releases))
    cuts = [Step(candidate=tag, at=tag.tagged_at) for candidates in chosen.values() for tag in candidates]
    finals = [
        Step(candidate=last, at=tag.tagged_at, final=tag.version)
        for tag in tags
        if tag.release is None and (last := last_candidate(chosen.get(tag.version, []), tag.tagged_at))
    ]
    return sorted(cuts + finals, key=lambda step: (step.at or BEGINNING, step.final is not None))


def last_candidate(candidates: Iterable[Tag], at: datetime | None) -> Tag | None:
    """The candidate with the highest number of those that were tagged by then."""
    known = [tag for tag in candidates if at and (tag.tagged_at or BEGINNING) <= at]
    return max(known, key=lambda tag: tag.number, default=None)


def periods_of(newest_first: Sequence[Json], now: datetime) -> list[Json]:
    """What ran when, oldest first: each success ends the period before it, and the last one goes on until now."""
    successes = sorted((row for row in reversed(newest_first) if row["status"] == "success"), key=ended_at)
    periods = []
    for row, until in zip(successes, [*map(ended_at, successes[1:]), None], strict=False):
        since = ended_at(row)
        period = {key: row[key] for key in ("release_candidate_version", "release_version", "commit")}
        period |= {"running_from": since.isoformat(), "until": until.isoformat() if until else None}
        periods.append(period | {"days": ((until or now) - since).days})
    return periods


def ended_at(deployment: Json) -> datetime:
    return datetime.fromisoformat(deployment["deploy_end_at"]).astimezone(UTC)


def table_of(periods: Iterable[Json]) -> Table:
    table = Table("candidate", "release", "commit", "running from", "until", title="What production ran (UTC)")
    table.add_column("days", justify="right")
    for period in periods:
        candidate, release, commit, since, until, days = period.values()
        table.add_row(candidate, release, commit[:10], since[:10], until[:10] if until else "still running", str(days))
    return table


class Refusal(click.ClickException):
    """The ledger said no. The message is its sentence, then its details, a line each."""

    def __init__(self, status: int, text: str) -> None:
        try:
            answer: Json = json.loads(text)
            lines = [answer["error"], *(f"  {name}: {value}" for name, value in (answer.get("details") or {}).items())]
        except (AttributeError, KeyError, TypeError, ValueError):
            answer, lines = {}, [f"HTTP status {status} without an explanation"]
        self.code = answer.get("code")
        super().__init__("\n".join(lines))


class Ledger:
    """The project's part of the HTTP interface. A lost answer is asked for again, under the same idempotency key."""

    def __init__(self, url: str, token: str) -> None:
        self._project = f"{url.rstrip('/')}/api/releases/{PROJECT}"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        again = Retry(5, connect=1, status_forcelist=(429, 503), allowed_methods=None, raise_on_status=False)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=again))

    def ask(self, method: str, path: str, body: Json | None = None, **query: int) -> requests.Response:
        headers = {"Idempotency-Key": str(uuid4())} if method in ("POST", "PATCH") else {}
        url = path if path.startswith("http") else self._project + path
        answer = self._session.request(method, url, json=body, params=query, headers=headers, timeout=30)
        if not answer.ok:
            raise Refusal(answer.status_code, answer.text)
        return answer

    def deployments(self, environment: str) -> list[Json]:
        """All of them, newest first, page by page."""
        answer = self.ask("GET", f"/environments/{environment}/deployments", per_page=100)
        found: list[Json] = answer.json()
        while "next" in answer.links:
            answer = self.ask("GET", urljoin(answer.url, answer.links["next"]["url"]))
            found += answer.json()
        return found

    def has_deployments(self, environment: str) -> bool:
        try:
            return bool(self.ask("GET", f"/environments/{environment}/deployments", per_page=1).json())
        except Refusal as refusal:
            if refusal.code in ("project_not_found", "environment_not_found"):
                return False
            raise

    def deploy(self, environment: str, step: Step, statuses: Sequence[str]) -> None:
        path = f"/environments/{environment}/deployments"
        version = {"release_candidate_version": step.candidate.version}
        reason = {"reason": f"final {step.final}"} if step.final else {}
        deployment = self.ask("POST", path, version | reason | step.occurred).json()
        for status in statuses:
            self.ask("PATCH", path, version | {"id": deployment["id"], "status": status} | step.occurred)


def prepare(ledger: Ledger) -> None:
    """Looks before it writes: a PUT would replace the settings of a project that is in use."""
    for environment in TIERS:
        if ledger.has_deployments(environment):
            raise click.ClickException(f"{PROJECT}/{environment} already has deployments: replay into an empty ledger.")
    ledger.ask("PUT", "", {"repo": "git/git"})
    for environment, tier in TIERS.items():
        ledger.ask("PUT", f"/environments/{environment}", {"tier": tier})


def carry_out(ledger: Ledger, step: Step) -> None:
    if step.final:
        ledger.deploy("production", step, ["success"])
        return
    cut = {"repo": "git/git", "commit": step.candidate.commit}
    ledger.ask("POST", f"/releases/{quote(step.candidate.version, safe='')}", cut | step.occurred)
    ledger.deploy("staging", step, ["in_progress", "success"])


def with_progress(steps: Sequence[Step], notes: Console) -> Iterator[Step]:
    """A bar on a terminal, otherwise a line every 50 steps."""
    if notes.is_terminal:
        yield from track(steps, "Replaying", console=notes)
        return
    for done, step in enumerate(steps, start=1):
        yield step
        if done % 50 == 0 or done == len(steps):
            notes.print(f"{done} of {len(steps)} steps replayed")


def read_tags(path: Path) -> list[Tag]:
    tags = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            tags.append(parse_tag(line))
        except (KeyError, TypeError, ValueError) as error:
            raise click.ClickException(f"{path}, line {number} is not a tag: {error!r}") from error
    return tags


def report(ledger: Ledger, as_json: bool) -> None:
    """The periods on standard output; with --json they are alone there, and the preview goes to standard error."""
    periods = periods_of(ledger.deployments("production"), datetime.now(UTC))
    preview = ledger.ask("GET", "/environments/production/rollback").json()
    if as_json:
        click.echo(json.dumps(periods, indent=2))
    else:
        Console(markup=False, emoji=False, highlight=False).print(table_of(periods))
    click.echo(f"A rollback would deploy {preview['target'] or 'nothing'}: {preview['explanation']}", err=as_json)


@click.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="Where the ledger answers.")
@click.option("--token", envvar="RELEASE_LEDGER_TOKEN", show_envvar=True, required=True, help="An admin's token.")
@click.option("--tags", "tags_file", type=EXISTING_FILE, default=TAGS_FILE, help="The tags, as JSON Lines.")
@click.option("--limit", "limit_releases", type=click.IntRange(min=1), help="Replay only the first N releases.")
@click.option("--json", "as_json", is_flag=True, help="Print the periods as a JSON array.")
def main(url: str, token: str, tags_file: Path, limit_releases: int | None, as_json: bool) -> None:
    """Replay the release history of the Git project into an empty ledger."""
    ledger = Ledger(url, token)
    steps = steps_of(read_tags(tags_file), limit_releases)
    try:
        prepare(ledger)
        for step in with_progress(steps, Console(stderr=True, markup=False, emoji=False, highlight=False)):
            carry_out(ledger, step)
        report(ledger, as_json)
    except requests.RequestException as error:
        raise click.ClickException(f"{url} did not answer: {error}") from error


if __name__ == "__main__":
    main()
