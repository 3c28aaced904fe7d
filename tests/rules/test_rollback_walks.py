"""What holds of every walk back, and of every preview, over random stories."""

from hypothesis import given, settings
from hypothesis import strategies as st

from release_ledger.deployment import Deployment
from release_ledger.errors import NoRollbackTarget, Refusal
from release_ledger.events import DeploymentCanceled, DeploymentRequested
from tests.rules import by_the_letter
from tests.rules.story import Story, rolled_back, success
from tests.rules.story import given as given_story

VERSIONS = st.sampled_from(["A", "B", "C", "D"])
ENDS = st.sampled_from(["success", "success", "failure", "canceled", "in_progress"])
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("deploy"), VERSIONS, ENDS),
        st.tuples(st.just("see"), VERSIONS, ENDS),
        st.tuples(st.just("walk_back"), st.just(""), ENDS),
        st.tuples(st.just("previous"), st.just(""), ENDS),
        st.tuples(st.just("to"), VERSIONS, ENDS),
    ),
    max_size=14,
)
Move = tuple[str, str, str]


class Walk:
    """A story, and who was asked to leave what in it, noted by the letter of the contract at each press."""

    def __init__(self) -> None:
        self.story = Story("walk_back")
        self.asked: list[by_the_letter.Asked] = []

    def move(self, move: Move) -> None:
        """Carry out one move; one that is refused changes nothing."""
        what, version, end = move
        try:
            if what == "deploy":
                self.story.deploy(version).reports(end)
            elif what == "see":
                self.story.report(version, "in_progress")
                self.story.report(version, end)
            else:
                self.press(None if what == "to" else what, version or None, end)
        except Refusal:
            return

    def press(self, strategy: str | None, to: str | None = None, end: str = "success") -> Deployment:
        """One press of rollback: the deployment that it made."""
        before = self.story.rows
        attempt = self.story.roll_back(strategy, to)
        self.asked += by_the_letter.asked_by(before, attempt.number, attempt.version)
        attempt.reports(end)
        return attempt.row


def walked(moves: list[Move]) -> Walk:
    walk = Walk()
    for move in moves:
        walk.move(move)
    return walk


def test_a_version_deployed_forward_again_is_found_behind_one_that_was_left() -> None:
    """The newest success is X, by a rollback, and X was left long ago; B was left too, and deployed forward since."""
    a, b, c, d, x = map(success, "ABCDX")
    production = given_story(
        a, x, rolled_back(to="A"), b, rolled_back(to="A"), b, c, rolled_back(to="X"), d, strategy="walk_back"
    )

    assert production.rollback_target() == "B"


@settings(max_examples=150)
@given(MOVES)
def test_walk_back_never_returns_to_a_version_that_was_left(moves: list[Move]) -> None:
    """Unless it was deployed forward with success since; what was asked is noted here, not read from the events."""
    walk = walked(moves)
    rows = walk.story.rows

    target = walk.story.rollback_target("walk_back")

    assert target not in by_the_letter.left_versions(rows, walk.asked)
    expected = by_the_letter.walk_back(rows, walk.asked)
    assert target == (expected["release_candidate_version"] if expected else None)


@settings(max_examples=100)
@given(MOVES)
def test_walking_back_again_and_again_comes_to_an_end(moves: list[Move]) -> None:
    """Every press that succeeds leaves one version more behind; when none is there, the press is refused."""
    walk = walked(moves)

    visited: list[str] = []
    try:
        while len(visited) < 10:
            visited.append(walk.press("walk_back")["release_candidate_version"])
    except NoRollbackTarget:
        pass

    assert len(visited) == len(set(visited)) <= 4
    assert walk.story.rollback_target("walk_back") is None


@settings(max_examples=100)
@given(MOVES, st.sampled_from(["walk_back", "previous", None]), st.one_of(st.none(), VERSIONS))
def test_the_preview_says_what_a_press_does(moves: list[Move], strategy: str | None, to: str | None) -> None:
    """Same target, same strategy, same explanation, same versions left, and exactly the cancellations it names."""
    story = walked(moves).story
    preview, unfinished, before = story.preview(strategy, to), story.state.unfinished, len(story.events)

    try:
        story.roll_back(strategy, to)
    except NoRollbackTarget:
        assert preview.target is None
        assert len(story.events) == before
        return

    *canceled, requested = story.events[before:]
    assert isinstance(requested, DeploymentRequested)
    assert preview.target is not None
    assert requested.release_candidate_version == preview.target["release_candidate_version"]
    assert requested.commit == preview.target["commit"]
    assert (requested.strategy, requested.explanation) == (preview.strategy, preview.explanation)
    assert requested.leaves == list(preview.leaves)
    assert [e.number for e in canceled if isinstance(e, DeploymentCanceled)] == [ref.number for ref in unfinished]
