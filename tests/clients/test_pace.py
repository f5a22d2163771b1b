"""Calls to a vendor are as far apart as it asks for, however many threads call."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from gpurig import clock
from gpurig.providers import pace
from gpurig.providers.lambdalabs.provider import Provider
from gpurig.stack import Stack
from tests.clients.fake_lambdalabs import Lambdalabs
from tests.clients.server import serving
from tests.clients.time import faster
from tests.clients.wanted import order

APART, LAUNCHES_APART = 1.0, 12.0
"""Seconds; Lambda's limits, which are the narrowest and of two kinds."""


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambdalabs]:
    made = Lambdalabs()
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_LAMBDALABS_URL", url)
        yield made
    assert made.mistakes == []


def slower(monkeypatch: pytest.MonkeyPatch, vendor: Lambdalabs) -> None:
    """From now on time passes only five times faster, so that a second is more than this machine's own pauses."""
    faster(monkeypatch.setattr, 5)
    monkeypatch.setattr(pace, "_PACES", {})
    vendor.calls, vendor._last = [], {}


def test_no_pace_is_above_the_vendors_limit(vendor: Lambdalabs, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [order(stack, vendor, host) for host in "bcd"]
    slower(monkeypatch, vendor)
    vendor.strict_pace = True
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(Provider().create, one) for one in wanted]
        listings = [pool.submit(Provider().everything) for _ in range(20)]
        assert len({one.result() for one in made}) == 3
        assert all(one.exception() is None for one in listings)
    every = [at for at, _, _ in vendor.calls]
    launches = [at for at, kind, _ in vendor.calls if kind == "create"]
    assert min(later - earlier for earlier, later in pairwise(every)) >= APART
    assert min(later - earlier for earlier, later in pairwise(launches)) >= LAUNCHES_APART


def test_a_launch_that_waits_holds_up_no_listing(
    vendor: Lambdalabs, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [order(stack, vendor, host) for host in "bc"]
    slower(monkeypatch, vendor)
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(Provider().create, one) for one in wanted]
        while "create" not in [kind for _, kind, _ in vendor.calls]:
            Provider().everything()
        Provider().everything()
        assert not all(one.done() for one in made)


def test_after_429_nobody_calls_for_as_long_as_the_vendor_asks(
    vendor: Lambdalabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower(monkeypatch, vendor)
    pace.close("lambdalabs", 10)
    assert 9 < pace.claim("lambdalabs", "read", {"": 1.0}) <= 10
    assert 10 < pace.claim("lambdalabs", "read", {"": 1.0}) <= 11
    assert pace.claim("another", "read", {"": 1.0}) == 0


def test_a_free_moment_between_two_calls_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_PACES", {})
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    every = {"": 1.0, "create": 12.0}
    asked = ["create", "create", "read", "read", "create", "read"]
    assert [pace.claim("v", kind, every) for kind in asked] == [0, 12, 1, 2, 24, 3]
    for _ in range(8):
        pace.claim("v", "read", every)
    assert pace.claim("v", "read", every) == 13
