"""`release-ledger project …`."""

from __future__ import annotations

import click

from ..errors import ProjectNotFound
from .opening import caller, open_ledger
from .output import as_json, moment, print_json, print_table
from .values import PROJECT, REPO


@click.group()
def project() -> None:
    """Create and list projects."""


@project.command()
@click.argument("name", type=PROJECT)
@click.option("--repo", metavar="ORG/REPO", type=REPO, required=True, help="The repository that its releases are of.")
def create(name: str, repo: str) -> None:
    """Create a project, or give the one of this name another repository.

    The same again changes nothing; so does every setting that has no option here.
    """
    with open_ledger() as ledger:
        try:
            known, before = ledger.project(name)
        except ProjectNotFound:
            known, before = {}, 0
        kept = {setting: known.get(setting) for setting in ("build_workflow", "deploy_after_build")}
        _, version, _ = ledger.configure_project(name, repo=repo, by=caller(), **kept)
    click.echo(f"Project {name} {became(before, version)}.")


@project.command("list")
@as_json
def list_projects(as_json: bool) -> None:
    """List the projects in the order of their names."""
    with open_ledger() as ledger:
        projects = ledger.projects()
    if as_json:
        print_json(projects)
    else:
        print_table(
            ("NAME", "REPOSITORY", "CREATED"), [(p["name"], p["repo"], moment(p["created_at"])) for p in projects]
        )


def became(before: int, after: int) -> str:
    """What became of something whose stream was at one version and then at another."""
    if before == 0:
        return "is created"
    return "is as it was" if before == after else "is changed"
