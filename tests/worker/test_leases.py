"""Leases: of all workers one has a wish, for as long as it lives."""

import time
from dataclasses import replace

from release_ledger.events import DeploymentTriggerFailed
from release_ledger.worker import Timing
from release_ledger.worker.errands import Errands
from release_ledger.worker.leases import Key, Leases, key_of
from tests.support.github_faults import UNAUTHORIZED
from tests.support.github_stand_in import StandIn
from tests.support.working import HURRIED, Shop, eventually, settings_for, working
from tests.worker.test_triggering import events

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
    other.done(KEY)
    assert one.take(KEY) == (True, None)
    one.stop()
    assert other.take(KEY) == (True, None)


def test_the_next_wish_of_the_same_key_inherits_nothing(shop: Shop) -> None:
    """A candidate's second build is not the one whose call was lost; nor does the first one's end take its lease."""
    one, other = Leases(shop.ledger.store, "one", 0.2), Leases(shop.ledger.store, "other", 60.0)
    first, second = KEY._replace(kind="build", version=5), KEY._replace(kind="build", version=9)
    assert one.take(first) == (True, None)
    assert one.calling(first)
    time.sleep(0.3)

    assert other.take(second) == (True, None)
    one.done(first)
    assert one.take(second) == (False, None)
    assert other.calling(second)
    held, calling_for = other.take(second)
    assert (held, calling_for is not None) == (True, True)


def test_a_call_keeps_its_lease_for_the_whole_of_it(shop: Shop) -> None:
    """However old it was when the call began."""
    one, other = Leases(shop.ledger.store, "one", 0.6), Leases(shop.ledger.store, "other", 0.6)
    assert one.take(KEY) == (True, None)
    time.sleep(0.4)

    assert one.calling(KEY)

    time.sleep(0.4)
    assert other.take(KEY) == (False, None)


def test_a_worker_keeps_what_waits_to_be_tried_again(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """For longer than a lease lasts; once it has ended, another has it at once."""
    shop.deploy()
    (wish,) = shop.ledger.wanted()
    other, key = Leases(shop.ledger.store, "other"), key_of(wish)
    github.fault_for = lambda _: UNAUTHORIZED
    timing = replace(HURRIED, lease_s=0.6, first_pause_s=60.0, longest_pause_s=60.0)
    with working(shop.ledger, settings_for(upgraded_url, github), timing):
        assert eventually(lambda: events(shop.ledger, DeploymentTriggerFailed))
        time.sleep(1.2)
        assert other.take(key) == (False, None)

    assert other.take(key) == (True, None)


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
    assert other.take(key_of(wish)) == (True, None)
    errands: Errands = worker._errands

    assert errands.carry_out(wish, None) is None

    assert github.started[deployment] == 0
    other.stop()
    with working(shop.ledger, settings_for(upgraded_url, github), Timing(poll_s=0.05)):
        while not github.started[deployment]:
            time.sleep(0.05)
