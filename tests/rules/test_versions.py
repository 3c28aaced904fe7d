"""How a version, a commit, a name and a moment are written (contract, section 1)."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release_ledger.errors import InvalidCommit, InvalidReleaseCandidateVersion
from release_ledger.versions import (
    is_environment_name,
    is_project_name,
    is_repo,
    parse_candidate_version,
    parse_commit,
    read_moment,
    write_moment,
)

NASTY = st.text(alphabet="-rc019.aA/ \n\t\x00\x7f\x85\u0661²\u2028\xa0é", max_size=8)
PIECES = st.lists(
    st.sampled_from(["1.4.0", "-rc", "-", "0", "7", "012345678", "\n", "/", "\u0663", "\ud800", "a" * 199]), max_size=6
)


@pytest.mark.parametrize(
    ("text", "release_version", "number"),
    [
        ("1.4.0-rc1", "1.4.0", 1),
        ("2026.08.05-2-rc1", "2026.08.05-2", 1),
        ("1.4.0-rc0", "1.4.0", 0),
        ("1.4.0-rc999999999", "1.4.0", 999_999_999),
        ("1-rc1-rc2", "1-rc1", 2),
        ("-rc1-rc2", "-rc1", 2),
        ("--rc1", "-", 1),
        ("x" * 200 + "-rc1", "x" * 200, 1),
        ("V1.É-RC-rc3", "V1.É-RC", 3),
        ("☃" * 200 + "-rc1", "☃" * 200, 1),
    ],
)
def test_a_candidate_version_is_taken_apart(text: str, release_version: str, number: int) -> None:
    """The last `-rc` counts, hyphens are allowed, nothing is normalised."""
    assert parse_candidate_version(text) == (release_version, number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.4.0",
        "-rc1",
        "1.4.0-rc",
        "1.4.0-rc01",
        "1.4.0-rc00",
        "1.4.0-rc1234567890",
        "1.4.0-rc-1",
        "1.4.0-rc+1",
        "1.4.0-rc1 ",
        "1.4.0-rc1\n",
        "\n1.4.0-rc1",
        "1.4.0\n-rc1",
        "1.4.0-RC1",
        "1.4.0-rc\u0661",
        "1.4.0-rc1²",
        "1/4-rc1",
        "1 4-rc1",
        "1\t4-rc1",
        "1\x004-rc1",
        "1\x7f4-rc1",
        "1\x854-rc1",
        "1\xa04-rc1",
        "1\u20284-rc1",
        "1\u30004-rc1",
        "1\ud8004-rc1",
        "x" * 201 + "-rc1",
        None,
        1,
        b"1.4.0-rc1",
        ["1.4.0-rc1"],
    ],
)
def test_what_is_no_candidate_version_is_refused(text: object) -> None:
    """400 with the contract's sentence, and what is expected."""
    with pytest.raises(InvalidReleaseCandidateVersion) as refusal:
        parse_candidate_version(text)

    assert (refusal.value.status, refusal.value.sentence) == (400, "Invalid release candidate version")
    assert refusal.value.details == {"expected": "<release_version>-rc<n>"}


@settings(max_examples=200)
@given(st.one_of(NASTY, PIECES.map("".join), st.text(), st.tuples(NASTY, NASTY).map("-rc1".join)))
def test_a_candidate_version_is_accepted_by_the_letter(text: str) -> None:
    """Whatever text is sent: the parser says what the sentence of the contract says, and loses nothing."""
    release_version, hyphen_rc, number = text.rpartition("-rc")
    expected = (
        hyphen_rc != ""
        and 1 <= len(release_version) <= 200
        and not any(character == "/" or character.isspace() or _is_control(character) for character in release_version)
        and 1 <= len(number) <= 9
        and all(digit in "0123456789" for digit in number)
        and (number == "0" or number[0] != "0")
    )

    try:
        found = parse_candidate_version(text)
    except InvalidReleaseCandidateVersion:
        assert not expected
    else:
        assert expected
        assert f"{found.release_version}-rc{found.number}" == text


def _is_control(character: str) -> bool:
    """Lone surrogates count: they are no characters, and UTF-8 has no bytes for them."""
    return unicodedata.category(character) in ("Cc", "Cs")


@pytest.mark.parametrize("length", [40, 64])
def test_a_commit_is_40_or_64_hex_digits_in_lower_case(length: int) -> None:
    """SHA-1 and SHA-256; written with capital letters it is the same commit."""
    assert parse_commit(("aBcDeF0123456789" * 4)[:length]) == ("abcdef0123456789" * 4)[:length]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 39,
        "a" * 41,
        "a" * 63,
        "a" * 65,
        "g" * 40,
        "a" * 40 + "\n",
        "a" * 39 + "\uff11",
        None,
        int("1" * 40),
        True,
    ],
)
def test_what_is_no_commit_is_refused(text: object) -> None:
    """Null and numbers too: 400 with the commit sentence."""
    with pytest.raises(InvalidCommit) as refusal:
        parse_commit(text)

    assert (refusal.value.status, refusal.value.sentence) == (400, "Invalid commit hash")


@pytest.mark.parametrize("name", ["a", "shop", "Shop-2_x", "my shop", "a  b", "-", "a" * 100, "a" + " " * 98 + "b"])
def test_a_project_name_may_have_inner_spaces(name: str) -> None:
    """ASCII letters and digits, `-`, `_`, inner spaces; at most 100 characters."""
    assert is_project_name(name)


@pytest.mark.parametrize(
    "name", ["", " ", " a", "a ", "a\n", "a\tb", "a/b", "é", "a.b", "\u0661", "a" * 101, "a" + " " * 99 + "b", "\ud800"]
)
def test_what_is_no_project_name_is_told(name: str) -> None:
    """Spaces at the ends, other white space, other letters, 101 characters."""
    assert not is_project_name(name)


def test_an_environment_name_has_no_spaces() -> None:
    """ASCII letters, digits, `-`, `_`; at most 100 characters."""
    assert all(map(is_environment_name, ["p", "prod-EU_1", "a" * 100]))
    assert not any(map(is_environment_name, ["", "a b", " a", "a\n", "é", "\u0661", "a.b", "a/b", "a" * 101]))


def test_a_repository_is_an_owner_and_a_name() -> None:
    """`org/repo_name`, as GitHub writes them; anything that is no text is none."""
    assert all(map(is_repo, ["acme/shop", "A-1/b_c.d"]))
    assert not any(map(is_repo, ["", "acme", "acme/", "/shop", "a/b/c", "a/b\n", "a b/c", "é/b", None, 1]))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T18:00:00.123456+00:00", "2026-11-23T18:00:00.123456+00:00"),
        ("2026-11-23T18:00:00Z", "2026-11-23T18:00:00.000000+00:00"),
        ("2026-11-23T19:30:00+01:30", "2026-11-23T18:00:00.000000+00:00"),
        ("2026-11-23T12:00:00.5-06:00", "2026-11-23T18:00:00.500000+00:00"),
        ("20261123T180000Z", "2026-11-23T18:00:00.000000+00:00"),
        ("2026-11-23 18:00:00+00:00", "2026-11-23T18:00:00.000000+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+00:00"),
    ],
)
def test_a_moment_is_read_with_its_offset_and_written_in_utc(text: str, moment: str) -> None:
    """Microseconds always, so that the order as text is the order in time."""
    assert write_moment(read_moment(text)) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-23",
        "2026-11-23T18:00:00",
        "2026-02-30T00:00:00Z",
        "2026-11-23T18:00:00Z\n",
        "2026-11-23T18:00:00+24:00",
        "2026-11-23x18:00:00Z",
        "2026-11-23\ud80018:00:00Z",
        "2026-11-23T18:00\x00Z",
        "\u0662026-11-23T18:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "\ud800",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Without an offset, beyond the calendar, or not ISO 8601: an ordinary error, never another one."""
    with pytest.raises(ValueError, match=r"."):
        read_moment(text)


MOMENTS = st.builds(
    lambda moment, minutes: moment.replace(tzinfo=timezone(timedelta(minutes=minutes))),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),  # noqa: DTZ001 - an offset is put on
    st.integers(-1439, 1439),
)


@given(MOMENTS, MOMENTS)
def test_the_order_of_moments_is_the_order_of_their_texts(one: datetime, other: datetime) -> None:
    """Always 32 characters, and read back as the same moment."""
    first, second = write_moment(one), write_moment(other)

    assert (first < second, first == second) == (one < other, one == other)
    assert len(first) == 32
    assert read_moment(first) == one
    assert read_moment(first).tzinfo is UTC


@given(st.one_of(st.text(), st.text(alphabet="0123456789-+:TZ.W ,")))
def test_no_text_makes_reading_a_moment_fail_in_another_way(text: str) -> None:
    """A caller's nonsense is a ValueError, never an error of the ledger."""
    try:
        assert len(write_moment(read_moment(text))) == 32
    except ValueError:
        return
