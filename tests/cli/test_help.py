"""Every command explains itself, is in docs/command-line.md with all its options, and does there what it does."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from release_ledger.cli import main
from tests.support.command_line import CommandLine

SAID = {
    "audit checkpoint": "The checkpoint is not signed: RELEASE_LEDGER_SIGNING_KEY_FILE names no key.\n",
}
PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name, groups left out."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield " ".join((*before, name)), command


def sections() -> dict[str, str]:
    """The sections of the page by their headings."""
    headings_and_texts = re.split(r"^## `(.+)`$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(headings_and_texts[::2], headings_and_texts[1::2], strict=True))


COMMANDS = dict(commands(main))


def test_the_commands_are_those_of_the_contract() -> None:
    """As far as they exist."""
    assert sorted(COMMANDS) == [
        "audit checkpoint",
        "audit export",
        "audit forget",
        "audit report",
        "audit verify",
        "backup",
        "environment create",
        "environment deployment",
        "environment deployments",
        "environment freeze",
        "environment rollback-preview",
        "environment running",
        "environment show",
        "environment unfreeze",
        "history",
        "project create",
        "project list",
        "projections rebuild",
        "projections status",
        "projections verify",
        "serve",
        "token create",
        "token list",
        "token revoke",
        "upgrade",
        "worker",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    """A sentence for the command and one for each option."""
    command = COMMANDS[name]

    result = CliRunner().invoke(main, [*name.split(), "--help"])

    assert result.exit_code == 0
    assert re.search(r"[A-Z].+\.", command.help or "")
    assert [parameter.name for parameter in options(command) if not parameter.help] == []
    assert (command.help or "").split("\n")[0] in " ".join(result.output.split())


@pytest.mark.parametrize("group", ["", "token", "project", "environment", "projections", "audit"])
def test_every_group_lists_its_commands(group: str) -> None:
    """Asked without a command too, which is wrong usage."""
    asked = CliRunner().invoke(main, [*group.split(), "--help"])
    bare = CliRunner().invoke(main, group.split())

    before = f"{group} ".lstrip()
    own = {name.removeprefix(before).split()[0] for name in COMMANDS if name.startswith(before)}
    assert (asked.exit_code, bare.exit_code) == (0, 2)
    assert all(re.search(rf"^  {name} +[A-Z]", asked.output, re.MULTILINE) for name in own)


def test_the_page_has_a_section_for_every_command() -> None:
    """And none for a command that does not exist."""
    assert sorted(sections()) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_option(name: str) -> None:
    """And none that does not exist; an example is there."""
    section = sections()[name]

    own = {option for parameter in options(COMMANDS[name]) for option in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)`", section)) == own
    assert f"\n$ release-ledger {name}" in section


def test_the_examples_of_the_page_are_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run one after the other, from an empty folder; tokens, times and the user's name differ."""
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```console\n\$ release-ledger (.+)\n((?:.|\n)*?)```$", PAGE, re.MULTILINE)

    for arguments, expected in examples:
        result = CliRunner().invoke(main, shlex.split(arguments))

        assert (arguments, result.exit_code, result.stderr) == (arguments, 0, SAID.get(arguments, ""))
        assert (arguments, masked(result.stdout)) == (arguments, masked(expected))
    # All but serve and worker, which do not end, audit export (tests/cli/test_audit.py) and audit forget; and three
    # that show deployments, of which there are none here (tests/cli/test_past.py).
    assert len(examples) == len(COMMANDS) - 7


def test_both_ways_to_call_it_are_the_same(tmp_path: Path) -> None:
    """`python -m release_ledger` is the script, by the script's name."""
    printed = CommandLine(tmp_path).fine("--help")

    assert printed.startswith("Usage: release-ledger [OPTIONS] COMMAND [ARGS]...\n")
    assert CommandLine(tmp_path).fine("--version").startswith("release-ledger ")


def options(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden]


def masked(text: str) -> list[list[str]]:
    """Lines as words, without what differs from run to run. Column widths differ with it."""
    times = (r"2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC(?!:)", r"in \d+\.\d s", r"\(\S+ events/s\)", r"\d+ ms")
    for pattern in (r"rl_\S+", *times, r"command-line:\S+", r"release-ledger/[0-9a-f]{16}", r"(?m)^\S{43}=$"):
        text = re.sub(pattern, "…", text)
    return [line.split() for line in text.splitlines()]
