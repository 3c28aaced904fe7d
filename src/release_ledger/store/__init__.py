"""Appending events and reading back, on SQLite and PostgreSQL. Nothing here knows what the events mean."""

from .append import Append, Change, Conflict, Fault, Head, KeptAnswer, Recorded
from .chain import FIRST_DIGEST, canonical, digest
from .statement import Params, Row, Statement
from .store import ReadModelBroken, Source, Store, open_store

__all__ = [
    "FIRST_DIGEST",
    "Append",
    "Change",
    "Conflict",
    "Fault",
    "Head",
    "KeptAnswer",
    "Params",
    "ReadModelBroken",
    "Recorded",
    "Row",
    "Source",
    "Statement",
    "Store",
    "canonical",
    "digest",
    "open_store",
]
