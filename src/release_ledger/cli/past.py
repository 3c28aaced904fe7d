"""What `release-ledger environment …` answers: how an environment stands, or stood at a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from ..deployment import STATUSES
from ..errors import InvalidRequest
from ..ledger.project_questions import Page
from ..rollback import STRATEGIES
from .moments import as_of_options, moment_of
from .opening import open_ledger
from .output import as_json, moment, print_json, print_table, say, shown
from .values import CANDIDATE, DEPLOYMENT, ENVIRONMENT, PROJECT, timestamp

F = TypeVar("F", bound=Callable[..., Any])
Answer = dict[str, Any]
_PER_PAGE_LIMIT: Final = 100
_PAGE_LIMIT: Final = 10**9
_AS_IT_IS: Final = ("id", "number", "kind", "status", "release_candidate_version", "commit", "reason", "error_message")


def _of_environment(command: F) -> F:
    """What each of these commands takes: an environment, a moment, and the form of the answer."""
    name = click.argument("name", type=ENVIRONMENT)
    return click.argument("project", type=PROJECT)(name(as_of_options(as_json(command))))


def _in_pages(command: F) -> F:
    page = click.option(
        "--page", type=click.IntRange(1, _PAGE_LIMIT), default=1, show_default=True, help="Which page, newest first."
    )
    per_page = click.option(
        "--per-page", type=click.IntRange(1, _PER_PAGE_LIMIT), default=10, show_default=True, help="How many on a page."
    )
    return page(per_page(command))


@click.command()
@_of_environment
def show(project: str, name: str, as_of: str | None, as_of_version: int | None, as_json: bool) -> None:
    """Show an environment: its settings, what it runs, whether it is frozen."""
    with open_ledger() as ledger:
        found, _ = ledger.environment(project, name, moment=moment_of(as_of, as_of_version))
    if as_json:
        print_json(found)
        return
    freeze = found["freeze"]
    until = f" until {moment(freeze['until'])}" if freeze and freeze["until"] else ""
    frozen = f"by {freeze['frozen_by']}{until}: {freeze['reason']}" if freeze else "no"
    _print_lines(
        ("environment", f"{found['name']} of {found['project_name']}"),
        ("version", found["version"]),
        ("tier", found["tier"]),
        ("rollback strategy", found["rollback_strategy"]),
        ("running", _in_a_line(found["running"])),
        ("latest", _in_a_line(found["latest"])),
        ("unfinished", found["unfinished"]),
        ("frozen", frozen),
    )


@click.command()
@_of_environment
@_in_pages
@click.option("--status", type=click.Choice(STATUSES), help="Only those of this status.")
@click.option("--version", metavar="V", type=CANDIDATE, help="Only those of this release candidate.")
def deployments(
    project: str, name: str, as_of: str | None, as_of_version: int | None, as_json: bool, **asked: Any
) -> None:
    """List the deployments of an environment, newest first.

    Where older ones follow, standard error says so.
    """
    with open_ledger() as ledger:
        found = ledger.deployments(project, name, moment=moment_of(as_of, as_of_version), **asked)
    _print_page(
        found,
        asked["page"],
        ("NUMBER", "ID", "CANDIDATE", "KIND", "STATUS", "REQUESTED", "ENDED", "BY", "REASON"),
        lambda each: (
            *(each["number"], each["id"], each["release_candidate_version"], each["kind"], each["status"]),
            *(moment(each["requested_at"]), moment(each["deploy_end_at"]), _by(each), each["reason"]),
        ),
        as_json=as_json,
    )


@click.command()
@_of_environment
@click.argument("deployment_id", metavar="ID", type=DEPLOYMENT)
def deployment(
    project: str, name: str, deployment_id: str, as_of: str | None, as_of_version: int | None, as_json: bool
) -> None:
    """Show one deployment, and the events that led to how it stands: the newest 200, oldest first."""
    with open_ledger() as ledger:
        when = moment_of(as_of, as_of_version)
        found, _ = ledger.deployment_with_events(project, name, deployment_id, moment=when)
    if as_json:
        print_json(found)
        return
    _print_lines(
        *((label.replace("_", " "), found[label]) for label in _AS_IT_IS),
        ("by", _by(found)),
        *((of.replace("_at", "").replace("_", " "), moment(found[of])) for of in ("deploy_start_at", "deploy_end_at")),
        ("events", found["events_total"]),
    )
    click.echo()
    print_table(
        ("VERSION", "RECORDED", "EVENT", "BY"),
        [(event["version"], moment(event["at"]), event["type"], _by(event)) for event in found["events"]],
    )


@click.command("rollback-preview")
@_of_environment
@click.option("--strategy", type=click.Choice(STRATEGIES), help="By this strategy, not the environment's own.")
@click.option("--to", metavar="V", type=CANDIDATE, help="To this release candidate, in the place of a strategy.")
def rollback_preview(
    project: str,
    name: str,
    strategy: str | None,
    to: str | None,
    as_of: str | None,
    as_of_version: int | None,
    as_json: bool,
) -> None:
    """Say where a rollback would go, and why; records nothing."""
    if strategy is not None and to is not None:
        raise click.UsageError("--strategy and --to cannot be given together.")
    with open_ledger() as ledger:
        when = moment_of(as_of, as_of_version)
        found, _ = ledger.rollback_preview(project, name, strategy=strategy, to=to, moment=when)
    if as_json:
        print_json(found)
        return
    _print_lines(
        ("target", found["target"]),
        ("strategy", found["strategy"]),
        ("why", found["explanation"]),
        ("would cancel", found["would_cancel"]),
        ("frozen", "yes" if found["frozen"] else "no"),
    )
    if found["considered"]:
        click.echo()
        columns = ("release_candidate_version", "id", "verdict", "why")
        rows = [[each[column] for column in columns] for each in found["considered"]]
        print_table(("CANDIDATE", "ID", "VERDICT", "WHY"), rows)


@click.command()
@_of_environment
@_in_pages
@click.option(
    "--from", "begins", metavar="T", type=timestamp, help="Only what ran at or after this moment, by reported time."
)
@click.option("--to", "ends", metavar="T", type=timestamp, help="Only what ran before this moment.")
def running(project: str, name: str, as_of: str | None, as_of_version: int | None, as_json: bool, **asked: Any) -> None:
    """List what ran in an environment, from when to when, newest first.

    Where older ones follow, standard error says so.
    """
    if asked["begins"] and asked["ends"] and asked["begins"] >= asked["ends"]:
        raise InvalidRequest(**{"from": "must be before --to"})
    with open_ledger() as ledger:
        found = ledger.running(project, name, moment=moment_of(as_of, as_of_version), **asked)
    _print_page(
        found,
        asked["page"],
        ("CANDIDATE", "COMMIT", "FROM", "TO", "DEPLOYMENT", "BY", "CORRECTED"),
        lambda each: (
            *(each["release_candidate_version"], each["commit"], moment(each["from"]), moment(each["to"])),
            *(each["deployment_id"], each["actor"], "yes" if each["corrected"] else "no"),
        ),
        as_json=as_json,
    )


def _print_page(
    page: Page, number: int, columns: Sequence[str], row: Callable[[Answer], Sequence[object]], *, as_json: bool
) -> None:
    if as_json:
        print_json(page.items)
    else:
        print_table(columns, [row(each) for each in page.items])
    if page.more:
        say(f"There are older ones: --page {number + 1}.")


def _print_lines(*pairs: tuple[str, object]) -> None:
    """A name and a value a line, the values below each other."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name:<{width}}  {shown(value)}")


def _in_a_line(found: Answer | None) -> str | None:
    if found is None:
        return None
    ended = moment(found["deploy_end_at"])
    return f"{found['release_candidate_version']} {found['status']}{f' {ended}' if ended else ''} ({found['commit']})"


def _by(found: Answer) -> str:
    return str(found["actor"] or found["recorded_by"])
