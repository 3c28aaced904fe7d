"""The rollback rule a second time: slow, over whole lists, each line a sentence of the contract's section 3.

Shares nothing with `release_ledger.rollback`, so that the two can be compared over random histories.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from release_ledger.deployment import Deployment

Asked = tuple[int, str]  # a rollback (its number), and a version that it asked the environment to leave


def running_version(rows: Sequence[Deployment]) -> str | None:
    """ "Running" is the newest success."""
    return next((row["release_candidate_version"] for row in rows if row["status"] == "success"), None)


def counted(rows: Sequence[Deployment]) -> list[Deployment]:
    """An unfinished rollback, or an unfinished deployment of the version already running, is left out."""
    running = running_version(rows)
    return [
        row
        for row in rows
        if row["finished"] or (row["kind"] != "rollback" and row["release_candidate_version"] != running)
    ]


def previous(rows: Sequence[Deployment]) -> Deployment | None:
    """Newest deployment a success → the newest earlier success of a different version; else → the newest success."""
    choice = counted(rows)
    successes = [row for row in choice if row["status"] == "success"]
    if not successes or choice[0]["status"] != "success":
        return successes[0] if successes else None
    newest = choice[0]["release_candidate_version"]
    others = [row for row in successes if row["release_candidate_version"] != newest]
    return others[0] if others else None


def walk_back(rows: Sequence[Deployment], asked: Sequence[Asked]) -> Deployment | None:
    """Newest deployment not a success and the running version not left → the running version;
    else → the newest success of a version that is neither running nor left.
    """
    choice = counted(rows)
    successes = [row for row in choice if row["status"] == "success"]
    running, left = running_version(rows), left_versions(rows, asked)
    if successes and choice[0]["status"] != "success" and running not in left:
        return successes[0]
    open_to_us = [row for row in successes if row["release_candidate_version"] not in left | {running}]
    return open_to_us[0] if open_to_us else None


def left_versions(rows: Sequence[Deployment], asked: Sequence[Asked]) -> set[str]:
    """The versions asked to leave, until deployed forward (`deploy` or `observed`) again with success."""
    return {
        version
        for rollback, version in asked
        if not any(
            row["number"] > rollback
            and row["release_candidate_version"] == version
            and row["kind"] in ("deploy", "observed")
            and row["status"] == "success"
            for row in rows
        )
    }


def asked_by(rows: Sequence[Deployment], rollback: int, target: str) -> list[Asked]:
    """Asked to leave: it was running, or it was the newest deployment's version, when another target was chosen.

    `rows` are those that the rollback of that number saw.
    """
    newest = counted(rows)[0]["release_candidate_version"]
    return [(rollback, version) for version in (running_version(rows), newest) if version not in (None, target)]


def asked_as_recorded(rows: Sequence[Deployment]) -> list[Asked]:
    """What the rollbacks of a history say that they asked to leave."""
    return [(row["number"], version) for row in rows for version in json.loads(row["leaves"] or "[]")]
