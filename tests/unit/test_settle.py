"""What a look at a listing says of the time after it was begun: nothing. The computer may have slept meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from gpurig import clock, lifecycle, providers, settle
from gpurig.ledger import Ledger
from gpurig.providers import Machine, Owner
from gpurig.stack import Stack
from tests.unit.far import host

OWNER = Owner("unit", "test", "far")
DELAY = 60.0
"""Seconds that the simulated vendor's listing may be behind."""

SLEEPS_AT = 10.0
"""The third look: fewer never say that there is nothing."""


class Listing:
    """A vendor whose listing shows a machine as late as it may. The computer sleeps for an hour in one look."""

    rents, listing_delay = True, DELAY

    def __init__(self) -> None:
        self.seconds = 0.0
        self.machine = Machine("id-far", OWNER, 1, "", running=True, provider="memory")

    def machines(self, *_: Any) -> list[Machine]:
        begun = self.seconds
        if begun == SLEEPS_AT:
            self.seconds += 3600
        return [self.machine] if begun >= DELAY else []


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> Listing:
    made = Listing()
    monkeypatch.setattr(providers, "renter", lambda _: made)
    monkeypatch.setattr(providers, "provider", lambda _: made)
    monkeypatch.setattr(clock, "monotonic", lambda: made.seconds)
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(made.seconds, UTC))
    monkeypatch.setattr(clock, "sleep", lambda seconds: setattr(made, "seconds", made.seconds + seconds))
    return made


def intended(stack: Stack, machine: Machine) -> str:
    return Ledger(stack.home).intend(
        provider="memory",
        label=machine.label,
        project=OWNER.project,
        stack=OWNER.stack,
        host=OWNER.host,
        generation=1,
        price=Decimal(1),
        price_stopped=None,
        offer={},
    )


def test_a_machine_that_was_rented_just_now_is_looked_for(listing: Listing, stack: Stack) -> None:
    rental = intended(stack, listing.machine)
    assert settle.find(stack, rental, ("memory", OWNER, 1), print, answered=True) == listing.machine


def test_one_that_an_interrupted_run_rented_is_looked_for(listing: Listing, stack: Stack) -> None:
    intended(stack, listing.machine)
    assert settle.settled(stack, OWNER, ["memory"], print) == [listing.machine]


def test_one_that_is_recorded_is_looked_for(listing: Listing, stack: Stack) -> None:
    assert lifecycle.observe(stack, host()) == listing.machine
