"""What holds after every history: what is kept from command to command is what the events alone fold to."""

from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from release_ledger.deployment import STATUSES
from release_ledger.environment import UNFINISHED_LIMIT, Settings, ref_of
from release_ledger.errors import Refusal
from release_ledger.events import DeploymentReported, DeploymentRequested
from release_ledger.projection.folded import fold_events
from release_ledger.projection.installed import installed, relevant
from release_ledger.projections.deployments import Deployments
from release_ledger.projections.environments import NOW, Environments
from tests.rules.story import STREAM, Story, at


class Command(NamedTuple):
    """One thing to do; each uses what it needs."""

    what: str
    version: str = "A"
    status: str = "success"
    occurred_at: str | None = None
    number: int = 0
    force: bool = False


DEEDS = ["deploy"] * 2 + ["report"] * 3 + ["roll back", "freeze", "unfreeze", "configure", "give up"]
COMMANDS = st.lists(
    st.builds(
        Command,
        st.sampled_from(DEEDS),
        st.sampled_from(["A", "B", "C"]),
        st.sampled_from(["success", *STATUSES]),
        st.sampled_from([None, None, at(900), at(901), at(9_000)]),
        st.integers(0, 6),
        st.booleans(),
    ),
    max_size=20,
)


def carry_out(story: Story, command: Command) -> None:
    """Do it; what is refused is refused."""
    named = story.rows[-command.number] if 0 < command.number <= len(story.rows) else None
    match command.what:
        case "deploy":
            story.deploy(command.version, force=command.force)
        case "report":
            version = named["release_candidate_version"] if named else command.version
            said = command.status if command.force else None
            named_id = named["id"] if named else None
            story.report(version, command.status, named_id, command.occurred_at, said, said)
        case "roll back":
            strategy = ("previous", "walk_back", None)[command.number % 3]
            story.roll_back(strategy, to=command.version if command.number > 4 else None, force=command.force)
        case "freeze":
            story.freeze(command.version, until=command.occurred_at)
        case "unfreeze":
            story.unfreeze()
        case "configure":
            workflow = {"file": command.status} if command.force else None
            story.configure(Settings(deploy_workflow=workflow, stuck_after_s=command.number or None))
        case "give up" if named is not None and not named["finished"]:
            story.give_up(command.number)


def lived(commands: list[Command]) -> Story:
    story = Story()
    for command in commands:
        events, rows = len(story.events), story.folded
        try:
            carry_out(story, command)
        except Refusal:
            assert (len(story.events), story.folded) == (events, rows), "a refusal records nothing"
    return story


@settings(max_examples=150)
@given(COMMANDS)
def test_folding_the_events_from_scratch_gives_what_was_kept(commands: list[Command]) -> None:
    """So a rebuild and a live row can be compared, and no fold ever fails on a history that the rules allow."""
    story = lived(commands)

    folded, failed = fold_events(relevant(STREAM), story.events)

    assert failed == {}
    assert {name: folded[name] for name in story.folded} == story.folded


@settings(max_examples=100)
@given(COMMANDS)
def test_the_state_is_what_the_rows_say(commands: list[Command]) -> None:
    """Unfinished, running and newest are the rows' own; numbers are dense; ids are unique; it stays bounded."""
    story = lived(commands)
    rows, state = story.rows, story.state

    assert list(state.unfinished) == [ref_of(row) for row in reversed(rows) if not row["finished"]]
    assert state.running == next((ref_of(row) for row in rows if row["status"] == "success"), None)
    assert state.latest == (ref_of(rows[0]) if rows else None)
    assert state.deployments == len(rows)
    assert [row["number"] for row in rows] == list(range(len(rows), 0, -1))
    assert len({row["id"] for row in rows}) == len(rows)
    assert len(state.unfinished) <= UNFINISHED_LIMIT


@settings(max_examples=100)
@given(COMMANDS)
def test_the_outcome_in_an_event_is_the_status_after_it(commands: list[Command]) -> None:
    """The state folds the outcome, the row folds the report: they never disagree, at any version of the stream."""
    story = lived(commands)

    for position, event in enumerate(story.events, 1):
        if isinstance(event, DeploymentReported):
            folded, _ = fold_events([Deployments()], story.events[:position])
            assert folded["deployments"][(event.number,)]["status"] == event.outcome


@settings(max_examples=100)
@given(COMMANDS)
def test_a_deployment_says_what_the_environment_was_running(commands: list[Command]) -> None:
    """At the moment when it was created, whatever was corrected later."""
    story = lived(commands)

    for position, event in enumerate(story.events):
        if isinstance(event, DeploymentRequested):
            state = fold_events([Environments()], story.events[:position])[0]["environments"][NOW,]
            running = state.running
            assert event.from_release_candidate_version == (running.release_candidate_version if running else None)
            assert event.from_commit == (running.commit if running else None)


@settings(max_examples=100)
@given(COMMANDS)
def test_a_finished_deployment_has_an_end_and_an_unfinished_one_has_none(commands: list[Command]) -> None:
    """And whoever ended it is known; a start is never after the end that CI reported."""
    for row in lived(commands).rows:
        assert (row["deploy_end_at"] is not None) == (row["ended_by"] is not None) == bool(row["finished"])
        if row["ended_by"] == "report":
            assert (row["deploy_start_at"] or "") <= (row["deploy_end_at"] or "")


@settings(max_examples=100)
@given(COMMANDS)
def test_versions_are_dense_and_moments_never_go_back(commands: list[Command]) -> None:
    """A stream is numbered from 1 without a gap; every event carries its place, its moment and who recorded it."""
    events = lived(commands).events

    assert [event.originator_version for event in events] == list(range(1, len(events) + 1))
    assert sorted(event.recorded_at for event in events) == [event.recorded_at for event in events]
    assert {(e.originator_id, e.project_name, e.environment_name, e.recorded_by) for e in events} == {
        (STREAM, "shop", "production", "ci")
    }


@settings(max_examples=50)
@given(COMMANDS)
def test_rows_survive_the_columns_of_their_tables(commands: list[Command]) -> None:
    """What is written to the tables and read back is what the fold goes on with."""
    story = lived(commands)

    for name, rows in story.folded.items():
        projection = installed()[name]
        for row in rows.values():
            columns = projection.dump(row)
            assert all(value is None or isinstance(value, str | int) for value in columns.values())
            assert projection.load(msgspec.json.decode(msgspec.json.encode(columns))) == row
