"""A request whose token this process remembers is answered without looking the token up first.

How the tokens stood then is compared in the request's own first statement: every question, every look and every
append asks for it (`asking.ACCESS_MARK`, `Append.unmoved`). Where they have moved, nothing is answered or written, and
the request begins anew with a token that was looked up.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from ..projection import ACCESS
from ..store import Append, Params, Row, Statement, Store
from .asking import ACCESS_MARK

_MARK = Statement(select(ACCESS_MARK))


class AccessMoved(Exception):
    """A token was made or revoked since this one was looked up: it must be looked up again."""


class TrustingStore(Store):
    """The store for one request, on the condition that the tokens stand as they did."""

    def __init__(self, store: Store, mark: str) -> None:
        super().__init__(store.database)
        self._mark, self._confirmed = mark, False

    def read(self, statement: Statement, params: Params) -> list[Row]:
        rows = super().read(statement, params)
        if not self._confirmed and rows and "access_mark" in rows[0]:
            self._compare(rows[0]["access_mark"])
        return rows

    def write(self, statement: Statement, params: Params) -> None:
        self.confirm()
        super().write(statement, params)

    def append_all(self, appends: Sequence[Append]) -> list[int]:
        asked = {mark for append in appends for stream, mark in append.unmoved if stream == ACCESS}
        if not asked:
            self.confirm()
        elif asked != {self._mark}:
            raise AccessMoved(*asked)
        positions = super().append_all(appends)
        self._confirmed = True
        return positions

    def confirm(self) -> None:
        """Raise `AccessMoved` unless the tokens stand as they did, asking if nothing has asked so far."""
        if not self._confirmed:
            self._compare(super().read(_MARK, {})[0]["access_mark"])

    def _compare(self, mark: str) -> None:
        if mark != self._mark:
            raise AccessMoved(mark)
        self._confirmed = True
