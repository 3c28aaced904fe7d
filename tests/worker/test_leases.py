"""Leases: of all workers one has a wish, for as long as it lives."""

import time

from release_ledger.worker import Timing
from release_ledger.worker.errands import Errands
from release_ledger.worker.leases import Key, Leases
from tests.support.github_stand_in import StandIn
from tests.support.working import HURRIED, Shop, settings_for, working

KEY = Key("environment/shop/production", "trigger", 1)


def test_a_wish_is_one_workers_until_it_gives_it_back_or_dies(shop: Shop) -> None:
    """The database's clock counts, which all share."""
    one, other = Leases(shop.ledger.store, "one", 0.5), Leases(shop.ledger.store, "other", 0.5)

    assert one.take(KEY) == (True, None)
    assert other.take(KEY) == (False, None)
    assert one.take(KEY) == (True, None)
    time.sleep(0.3)
    one.renew()
    time.sleep(0.3)
    assert other.take(KEY) == (False, None)
    assert one.calling(KEY)
    time.sleep(0.6)
    held, calling_for = other.take(KEY)
    assert held
    assert calling_for is not None
    assert calling_for > 0.5
    assert not one.calling(KEY), "it was taken for dead"
    other.settled(KEY)
    assert other.take(KEY) == (True, None)
    other.give_back(KEY)
    assert one.take(KEY) == (True, None)
    one.stop()
    assert other.take(KEY) == (True, None)


def test_a_turn_is_had_once_in_so_many_seconds(shop: Shop) -> None:
    """By whichever worker."""
    one, other = Leases(shop.ledger.store, "one"), Leases(shop.ledger.store, "other")

    turn = KEY._replace(kind="watch")
    assert one.take_turn(turn, 0.3)
    assert not other.take_turn(turn, 0.3)
    assert not one.take_turn(turn, 0.3)
    time.sleep(0.4)
    assert other.take_turn(turn, 0.3)


def test_nothing_is_called_without_the_lease(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Another worker took it over while this one was held up."""
    from release_ledger.worker import Worker

    deployment = shop.deploy()
    (wish,) = shop.ledger.wanted()
    worker = Worker(shop.ledger, settings_for(upgraded_url, github), HURRIED)
    other = Leases(shop.ledger.store, "other")
    assert other.take(Key(wish.stream, wish.kind, wish.number)) == (True, None)
    errands: Errands = worker._errands

    assert errands.carry_out(wish, None) is None

    assert github.started[deployment] == 0
    other.stop()
    with working(shop.ledger, settings_for(upgraded_url, github), Timing(poll_s=0.05)):
        while not github.started[deployment]:
            time.sleep(0.05)
