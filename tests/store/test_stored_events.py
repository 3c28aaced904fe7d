"""Events as they were stored once: tests/examples_of_events.jsonl only grows, and each line is read for ever.

A line is a topic, the state's exact text, and the values that it says. A line may never be changed: somewhere there is
a ledger with such an event in it, and a digest over it.
"""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent

from release_ledger.errors import LedgerUnavailable
from release_ledger.events import TOPICS
from release_ledger.store import canonical
from release_ledger.store.codec import CanonicalTranscoder, UnknownTopic, decode, encode

STREAM: Final = "a stream"
NOT_IN_THE_STATE: Final = {"originator_id", "originator_version"}


class Example(NamedTuple):
    topic: str
    state: str
    fields: dict[str, Any]


EXAMPLES: Final = [
    Example(**json.loads(line))
    for line in (Path(__file__).parents[1] / "examples_of_events.jsonl").read_text().splitlines()
]
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=[example.topic for example in EXAMPLES])
each_later_field = pytest.mark.parametrize(
    ("example", "name", "default"),
    [
        (example, field.name, field.default)
        for example in EXAMPLES
        for field in fields(TOPICS[example.topic])
        if field.default is not MISSING and field.name not in NOT_IN_THE_STATE
    ],
    ids=lambda value: value.topic if isinstance(value, Example) else str(value),
)


def stored(topic: str, state: str) -> dict[str, Any]:
    return {"version": 3, "topic": topic, "state": state.encode()}


def test_every_topic_has_an_example() -> None:
    """No event is recorded of which nobody made sure that it can be read in ten years."""
    assert {example.topic for example in EXAMPLES} == set(TOPICS)


@each_example
def test_a_stored_event_is_read_for_ever(example: Example) -> None:
    """Whatever became of the code: the class of its topic, and every value that was stored."""
    event = decode(STREAM, stored(example.topic, example.state))

    assert type(event) is TOPICS[example.topic]
    assert (event.originator_id, event.originator_version) == (STREAM, 3)
    assert {name: getattr(event, name) for name in example.fields} == example.fields


@each_example
def test_a_stored_event_encodes_back_to_the_same_bytes(example: Example) -> None:
    """A field renamed, dropped or given another meaning would show here."""
    event = decode(STREAM, stored(example.topic, example.state))

    assert encode(event) == (3, example.topic, example.state.encode())


@each_example
@pytest.mark.parametrize("versions", ["", ',"class_version":1', ',"class_version":2'])
def test_reading_is_what_the_librarys_mapper_does(
    example: Example, versions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Field by field, also where an event class has had another version."""
    kind = TOPICS[example.topic]
    if versions:
        monkeypatch.setattr(kind, "class_version", 2, raising=False)
        monkeypatch.setattr(kind, "upcast_v1_v2", staticmethod(lambda state: state.update(later=7)), raising=False)
    state = example.state[:-1] + versions + "}"

    event = decode(STREAM, stored(example.topic, state))

    as_stored = StoredEvent(originator_id=STREAM, originator_version=3, topic=example.topic, state=state.encode())
    mapped: Any = Mapper(CanonicalTranscoder()).to_domain_event(as_stored)
    assert (type(event), vars(event)) == (type(mapped), vars(mapped))
    assert hasattr(event, "later") == ("1" in versions)


@pytest.mark.parametrize("state", ["", "{", "nonsense"])
def test_a_state_that_is_no_json_is_said_to_be_none(state: str) -> None:
    """As the library says it: with the topic, the stream and the version."""
    with pytest.raises(MapperDeserialisationError, match=STREAM):
        decode(STREAM, stored("token-revoked", state))


@each_example
def test_an_example_says_every_field(example: Example) -> None:
    """A field that no example holds could be renamed and nobody would see it. A later field needs a later example."""
    newest = [other for other in EXAMPLES if other.topic == example.topic][-1]

    assert set(newest.fields) == {field.name for field in fields(TOPICS[example.topic])} - NOT_IN_THE_STATE
    assert canonical(example.fields).decode() == example.state


@each_later_field
def test_a_state_from_before_a_field_is_read_with_the_fields_default(example: Example, name: str, default: Any) -> None:
    """The library restores events without calling `__init__`: a field with a default may come later, no other may."""
    older = {field: value for field, value in example.fields.items() if field != name}

    event = decode(STREAM, stored(example.topic, canonical(older).decode()))

    assert getattr(event, name) == default
    assert {field: getattr(event, field) for field in older} == older


def test_a_field_that_only_a_newer_release_knows_is_kept() -> None:
    """An older server beside a newer one reads the event and does not lose what it does not know."""
    [example] = [example for example in EXAMPLES if example.topic == "token-revoked"]
    newer = canonical({**example.fields, "zeal": 1}).decode()

    event = decode(STREAM, stored(example.topic, newer))

    assert encode(event)[2] == newer.encode()


def test_an_unknown_topic_is_no_fault_but_makes_the_stream_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer server recorded it: answered 503 here, with the facts, and remembered for /readyz."""
    monkeypatch.setattr("release_ledger.store.codec.UNKNOWN_TOPICS_SEEN", set())

    with pytest.raises(UnknownTopic) as raised:
        decode(STREAM, stored("deployment-teleported", "{}"))

    assert isinstance(raised.value, LedgerUnavailable)
    assert raised.value.details == {"stream": STREAM, "version": 3, "topic": "deployment-teleported"}
    assert raised.value.sentence == LedgerUnavailable().sentence
