"""An export is not believed: neither what it says of itself, nor that its lines are of the right kind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from release_ledger.proof import make_checkpoint
from release_ledger.proof.verification import Part
from tests.support.histories import PRODUCTION, STAGING

from .ledgers import Ledger, offline, offline_alone
from .test_note import KEY

Lines = list[dict[str, Any]]
SHOP: Final = Part(project="shop")


@pytest.fixture
def database_kind() -> str:
    """An export is edited after it was written, whichever database it is of."""
    return "sqlite"


def lines_of(ledger: Ledger, part: Part | None = None) -> Lines:
    return [json.loads(line) for line in ledger.export(part).read_text().splitlines()]


def written(ledger: Ledger, lines: Lines) -> str:
    file = ledger.folder / "edited.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    return str(file)


def without(lines: Lines, *streams: str) -> Lines:
    """The lines of these streams are gone, and the counts at the end made to fit."""
    kept = [each for each in lines if each["line"] not in ("stream", "event") or each["stream"] not in streams]
    kinds = [each["line"] for each in kept]
    return [*kept[:-1], kept[-1] | {"streams": kinds.count("stream"), "events": kinds.count("event")}]


@pytest.mark.parametrize("claim", [{"project": "nobody"}, {"project": "nobody", "environment": "production"}])
def test_a_header_does_not_say_which_leaves_count(ledger: Ledger, tmp_path: Path, claim: dict[str, str]) -> None:
    """A rewritten history under the name of another part: its leaves tell, and each stream outside the part."""
    made = make_checkpoint(ledger.store, KEY)
    assert made is not None
    kept, key = tmp_path / "kept", tmp_path / "public.pem"
    kept.write_text(made.checkpoint.note)
    key.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    ledger.tamper(f"UPDATE events SET state = x'7b7d' WHERE stream = '{PRODUCTION}' AND version = 2")
    ledger.rewrite()
    lines = lines_of(ledger)

    found = offline(written(ledger, [lines[0] | claim, *lines[1:]]), "--against", str(kept), "--key", str(key))

    assert found == {
        (PRODUCTION, 4, "rewritten"),
        (PRODUCTION, None, "inserted"),
        (STAGING, None, "inserted"),
        (None, None, "cut off"),
    }


def test_a_part_without_a_stream_is_found(ledger: Ledger) -> None:
    """Every line of a stream is gone, and the header says that it is of somebody who has none."""
    lines = without(lines_of(ledger), PRODUCTION, STAGING)

    assert offline(written(ledger, [lines[0] | {"project": "nobody"}, *lines[1:]])) == {(None, None, "cut off")}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("line", "stream"),
        ("format", "release-ledger-export/2"),
        ("made_at", None),
        ("made_at", "yesterday"),
        ("project", "shop/production"),
        ("project", "sho"),
        ("project", ""),
        ("project", ["shop"]),
        ("project", 5),
        ("project", None),
        ("environment", "canary"),
        ("environment", ""),
        ("environment", "production"),
        ("environment", True),
        ("checkpoint", None),
        ("checkpoint", ""),
        ("checkpoint", 5),
        ("checkpoint", {"bytes": "00"}),
        ("checkpoint", "\ud800"),
    ],
)
def test_each_edited_key_of_the_header_is_found(ledger: Ledger, key: str, value: Any) -> None:
    """Stated by an auditor who asked for a project; a key that is gone is found, too."""
    lines = lines_of(ledger, SHOP)
    asked = ("--project", "shop")
    assert offline(written(ledger, lines), *asked) == set()

    assert is_wrong(written(ledger, [lines[0] | {key: value}, *lines[1:]]), *asked)
    del lines[0][key]
    assert is_wrong(written(ledger, lines), *asked)


def is_wrong(*arguments: str) -> bool:
    """Whether it is said what is wrong, whatever that is: with exit status 1, and no traceback."""
    try:
        return offline_alone(*arguments) != set()
    except AssertionError as error:
        return str(error).startswith("WRONG ") and "\nVerified" not in str(error)


@pytest.mark.parametrize(
    ("part", "asked", "is_right"),
    [
        (Part(), (), True),
        (Part(), ("--project", "shop"), False),
        (SHOP, ("--project", "shop"), True),
        (SHOP, ("--project", "bank"), False),
        (SHOP, ("--project", "shop", "--environment", "staging"), False),
        (Part(project="shop", environment="staging"), ("--project", "shop", "--environment", "staging"), True),
        (Part(project="shop", environment="staging"), ("--project", "shop"), False),
    ],
)
def test_the_auditor_states_the_part(ledger: Ledger, part: Part, asked: tuple[str, ...], is_right: bool) -> None:
    """An export of a smaller part, or of another, is none of what was asked for."""
    file = str(ledger.export(part))

    assert offline(file, *asked) == (set() if is_right else {(None, None, "header")})


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Part(), "the whole ledger"),
        (SHOP, "project shop"),
        (Part(project="shop", environment="staging"), "environment shop/staging"),
    ],
)
def test_the_last_lines_say_of_which_part_it_is(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], part: Part, name: str
) -> None:
    """Nobody takes a project's export for the ledger's."""
    from .ledgers import _verify_py

    assert _verify_py().main([str(ledger.export(part))]) == 0

    assert capsys.readouterr().out.startswith(f"Verified {name}, ")


def edit(kind: str, **values: Any) -> Callable[[Lines], Lines]:
    """Of the first line of this kind."""

    def edited(lines: Lines) -> Lines:
        first = next(number for number, line in enumerate(lines) if line["line"] == kind)
        return [*lines[:first], lines[first] | values, *lines[first + 1 :]]

    return edited


@pytest.mark.parametrize(
    "change",
    [
        edit("leaf", version=2**70),
        edit("leaf", version=2**53),
        edit("leaf", position=False),
        edit("leaf", stream="environment/\ud800"),
        edit("leaf", stream=[]),
        edit("leaf", digest="00"),
        edit("stream", stream="\ud800"),
        edit("stream", stream={"bytes": "00"}),
        edit("stream", version=2**70),
        edit("event", version=2**70),
        edit("event", version="\ud800"),
        edit("event", position=2**70),
        edit("event", state="\ud800"),
        edit("event", topic="\ud800"),
        edit("end", streams=None),
    ],
)
def test_whatever_a_line_holds_is_a_finding(ledger: Ledger, change: Callable[[Lines], Lines]) -> None:
    """No number is too large and no text too strange to be told of."""
    assert offline_alone(written(ledger, change(lines_of(ledger)))) != set()


@pytest.mark.parametrize("line", ["[" * 100_000, '{"line":' * 100_000, "[]", "{}", "\x00", '{"line":{"a":[]}}'])
def test_whatever_a_file_holds_is_a_finding(ledger: Ledger, line: str) -> None:
    """Before the header, and in the place of its first event."""
    lines = ledger.export().read_text().splitlines()
    file = ledger.folder / "edited.jsonl"

    for number in (0, 6):
        file.write_text("\n".join([*lines[:number], line, *lines[number:]]) + "\n")
        assert is_wrong(str(file))
