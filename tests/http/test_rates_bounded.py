"""The counts behind 429: bounded memory, and what is kept when there is no room for all."""

import time
from typing import Final

import pytest

from release_ledger.api.rates import KEYS, WINDOW_S, Buckets, Rates, network_of
from release_ledger.errors import TooManyRequests

PER_S: Final = 2
BURST: Final = PER_S * WINDOW_S
HERE: Final = "192.0.2.1"


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        (":no address", ":no address"),
    ],
)
def test_a_network_of_ipv6_is_one_caller(address: str, counted_as: str) -> None:
    """Whoever has one such address has 2^64 of them."""
    assert network_of(address) == counted_as


def test_nothing_is_kept_of_a_million_guessers() -> None:
    """Memory is bounded, whatever the tokens and the addresses are; and a guess costs next to nothing."""
    counts = Rates(PER_S, PER_S, lambda: 0.0)
    started = time.process_time()

    for number in range(5 * KEYS):
        counts.before_lookup(f"sha-{number}", f"address-{number}")
        counts.wrong(f"sha-{number}", f"address-{number}")
        counts.good(f"good-{number}")

    assert len(counts.of_strangers) == len(counts.of_tokens) == KEYS
    assert len(counts._good) == KEYS
    assert (time.process_time() - started) / (5 * KEYS) < 100e-6


def test_the_one_that_was_used_last_is_kept() -> None:
    """Who goes on guessing is not forgotten because of others who came once; nor is who comes when all is full."""
    counts = Buckets(1, lambda: 0.0)
    for number in range(2 * KEYS):
        counts.take(str(number))
        counts.take("again and again")

        if number >= WINDOW_S:
            with pytest.raises(TooManyRequests):
                counts.check("again and again")
    for _ in range(WINDOW_S):
        counts.take("late")
    with pytest.raises(TooManyRequests):
        counts.check("late")


def test_a_guesser_does_not_wait_for_longer_than_a_window() -> None:
    """Guesses that were under way at once cannot lock an address out for hours."""
    now_s = [0.0]
    counts = Buckets(PER_S, lambda: now_s[0])
    for _ in range(100 * BURST):
        counts.take(HERE)

    with pytest.raises(TooManyRequests):
        counts.check(HERE)
    now_s[0] += 1 / PER_S
    counts.check(HERE)


def test_a_token_in_use_is_remembered() -> None:
    """However many other tokens were seen since it was seen first."""
    counts = Rates(KEYS, PER_S, lambda: 0.0)
    for number in range(BURST):
        counts.wrong(str(number), HERE)

    for number in range(2 * KEYS):
        counts.good("mine")
        counts.good(str(number))
        counts.before_lookup("mine", HERE)
    with pytest.raises(TooManyRequests):
        counts.before_lookup("never seen", HERE)
