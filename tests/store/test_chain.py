"""The digest chain, against an implementation of its own: SHA-256 and another's canonical JSON, nothing of ours."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest
import rfc8785
from hypothesis import given, note
from hypothesis import strategies as st

from release_ledger.store import FIRST_DIGEST, canonical, digest
from release_ledger.store.chain import LARGEST_INTEGER, NotCanonical

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "proof.md"

text = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=127))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | text,
    lambda values: st.lists(values) | st.dictionaries(keys, values),
    max_leaves=20,
)
events = st.fixed_dictionaries(
    {
        "previous": st.binary(min_size=32, max_size=32),
        "stream": text,
        "version": st.integers(0, 3),
        "topic": text,
        "recorded_at": text,
        "state": st.binary(max_size=10),
    }
)


def published() -> dict[str, Any]:
    """The vectors: the one fenced block of JSON in docs/proof.md."""
    _, block = DOCUMENT.read_text().split("```json\n")
    vectors: dict[str, Any] = json.loads(block.partition("\n```")[0])
    return vectors


def by_the_document(event: dict[str, Any]) -> bytes:
    """The digest, as docs/proof.md says it."""
    state_sha256 = hashlib.sha256(event["state"]).hexdigest()
    entry = rfc8785.dumps([event["stream"], event["version"], event["topic"], event["recorded_at"], state_sha256])
    return hashlib.sha256(b"release-ledger/1\n" + event["previous"] + entry).digest()


def test_the_published_vectors_are_what_the_document_specifies() -> None:
    """Whoever follows the document, in any language, arrives at its digests."""
    vectors = published()

    previous = bytes(32)
    for event in vectors["events"]:
        state = event["state"].encode()
        previous = by_the_document(
            {**event, "stream": vectors["stream"], "state": state, "previous": previous},
        )
        assert previous.hex() == event["digest"]
        assert rfc8785.dumps(json.loads(state)) == state
    assert [event["version"] for event in vectors["events"]] == [1, 2, 3]


def test_our_code_arrives_at_the_published_vectors() -> None:
    """The form is frozen: a ledger written today is verified for ever."""
    vectors = published()

    previous = FIRST_DIGEST
    for event in vectors["events"]:
        covered = {name: event[name] for name in ("version", "topic", "recorded_at")}
        previous = digest(previous, stream=vectors["stream"], state=event["state"].encode(), **covered)
        assert previous.hex() == event["digest"]


@given(events)
def test_every_digest_is_the_documents(event: dict[str, Any]) -> None:
    """Not only for the vectors: for any stream, version, topic, moment and state."""
    assert digest(**event) == by_the_document(event)


@given(events, st.data())
def test_a_digest_changes_when_any_part_changes(event: dict[str, Any], data: st.DataObject) -> None:
    """No part of a stored event can be edited, nor its place, without its digest showing it."""
    part = data.draw(st.sampled_from(sorted(event)))
    other = data.draw(events.map(lambda drawn: drawn[part]).filter(lambda value: value != event[part]))
    note(f"{part}: {event[part]!r} → {other!r}")

    assert digest(**event) != digest(**{**event, part: other})


@given(text, text)
def test_stream_and_topic_do_not_run_into_each_other(stream: str, topic: str) -> None:
    """A character moved from one part to the next is another event."""
    event: dict[str, Any] = {"previous": FIRST_DIGEST, "version": 1, "recorded_at": "", "state": b""}

    joined = {
        digest(**{**event, "stream": stream + "x", "topic": topic}),
        digest(**{**event, "stream": stream, "topic": "x" + topic}),
    }

    assert len(joined) == 2


@given(plain)
def test_our_form_is_rfc_8785(value: Any) -> None:
    """For the values that an event may hold, our few lines write what the standard says."""
    written = canonical(value)

    assert written == rfc8785.dumps(value)
    assert json.loads(written) == value


@pytest.mark.parametrize(
    "control", [chr(code) for code in (*range(0x20), 0x7F, 0x80, 0x2028, 0xFEFF, 0x10FFFF)], ids=ascii
)
def test_no_character_is_escaped_in_another_way(control: str) -> None:
    """Each of those that JSON libraries disagree about, named."""
    assert canonical(control) == rfc8785.dumps(control)


@pytest.mark.parametrize(
    "value",
    [
        0.0,
        1.5,
        float("nan"),
        LARGEST_INTEGER + 1,
        -LARGEST_INTEGER - 1,
        "\ud800",
        "a\udfffb",
        b"bytes",
        {"ü": 1},
        {1: "one"},
        {None: 1},
        {"\ud800": 1},
        {1, 2},
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("inside", [lambda v: v, lambda v: [v], lambda v: {"k": v}, lambda v: {"k": [1, {"l": (v,)}]}])
def test_what_has_no_place_in_an_event_is_refused(value: Any, inside: Any) -> None:
    """Wherever it stands: two programs could write it differently, or read it as something else."""
    with pytest.raises(NotCanonical):
        canonical(inside(value))


@pytest.mark.parametrize("value", [LARGEST_INTEGER, -LARGEST_INTEGER, True, None, {"~\x7f": []}, ("a", "b")])
def test_what_is_just_inside_the_bounds_is_taken(value: Any) -> None:
    """The guard must not stand in the way of what is meant."""
    assert canonical(value) == rfc8785.dumps(value)
