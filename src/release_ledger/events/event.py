"""What all events carry, and how they are stamped when the ledger records them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from eventsourcing.utils import register_topic

How = Literal["answered", "found", "told"]
Json = dict[str, Any]
TOPICS: dict[str, type[Event]] = {}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What all events carry; the ledger stamps these fields when it records."""

    TOPIC: ClassVar[str]

    originator_id: str = ""
    originator_version: int = 0
    recorded_at: str = ""
    occurred_at: str | None = None
    recorded_by: str = ""
    person_id: str | None = None
    request_id: str = ""

    def __init_subclass__(cls, topic: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if topic is not None:
            cls.TOPIC = topic
            TOPICS[topic] = cls
            register_topic(topic, cls)

    @property
    def happened_at(self) -> str:
        """When it is said to have happened; never later than its arrival (contract, section 3)."""
        return min(self.occurred_at or self.recorded_at, self.recorded_at)


E = TypeVar("E", bound=Event)
T = TypeVar("T")


def stamp(events: Iterable[E], stream: str, version: int, **common: Any) -> list[E]:
    """The events with what the ledger knows of them: stream, consecutive versions after `version`, who and when."""
    return [
        changed(event, originator_id=stream, originator_version=number, **common)
        for number, event in enumerate(events, version + 1)
    ]


def changed(known: T, **fields: Any) -> T:
    """As `dataclasses.replace`, which sets each of two dozen fields of a frozen class anew; for one without slots."""
    made = object.__new__(type(known))
    object.__setattr__(made, "__dict__", vars(known) | fields)
    return made
