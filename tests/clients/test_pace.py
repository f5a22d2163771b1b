"""Calls to a vendor are as far apart as it asks for, however many threads call."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
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
    vendor.calls, vendor._last = [], {}


def test_no_pace_is_above_the_vendors_limit(vendor: Lambdalabs, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the moments that calls are given; when each arrives is for the machine's load to say as well."""
    wanted = [order(stack, vendor, host) for host in "bcd"]
    vendor.calls = []
    every: list[float] = []
    launches: list[float] = []
    take = pace.Pace.take

    def noted(taken: pace.Pace, place: float, seconds: float) -> None:
        (launches if seconds > LAUNCHES_APART else every).append(place)
        take(taken, place, seconds)

    monkeypatch.setattr(pace.Pace, "take", noted)
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(Provider().create, one) for one in wanted]
        listings = [pool.submit(Provider().everything) for _ in range(20)]
        assert len({one.result() for one in made}) == 3
        assert all(one.exception() is None for one in listings)
    assert (len(every), len(launches)) == (len(vendor.calls), 3)
    assert min(later - earlier for earlier, later in pairwise(sorted(every))) >= APART
    assert min(later - earlier for earlier, later in pairwise(sorted(launches))) >= LAUNCHES_APART


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


def test_after_429_nobody_calls_for_as_long_as_the_vendor_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    pace.close("lambdalabs", 10)
    assert [pace.claim("lambdalabs", "read", {"": 1.0}) for _ in range(2)] == [10, 11]
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


def test_a_vendor_closed_on_one_clock_is_open_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch.setattr, 1000)
    pace.close("v", 10)
    faster(monkeypatch.setattr, 3)
    assert pace.claim("v", "read", {"": 1.0}) == 0
    monkeypatch.undo()
    assert pace.claim("v", "read", {"": 1.0}) == 0


IETF = '"minute";r={left};t=30, "hour";r=2000;t=1800'


@pytest.mark.parametrize(
    ("headers", "apart"),
    [
        ({"ratelimit-limit": "5000", "ratelimit-remaining": "4000", "ratelimit-reset": "2000"}, 0.25),
        ({"ratelimit-limit": "5000", "ratelimit-remaining": "100", "ratelimit-reset": "2000"}, 10),
        ({"ratelimit-limit": "5000", "ratelimit-remaining": "0", "ratelimit-reset": "1010"}, 10),
        ({"ratelimit-limit": "5000", "ratelimit-remaining": "0", "ratelimit-reset": "4600"}, 60),
        ({"ratelimit-limit": "5000", "ratelimit-remaining": "0", "ratelimit-reset": "900"}, 0.25),
        ({"ratelimit-limit": "many", "ratelimit-remaining": "-1", "ratelimit-reset": "soon"}, 0.25),
        ({"ratelimit": IETF.format(left=9), "ratelimit-policy": '"minute";q=60;w=60, "hour";q=3000;w=3600'}, 0.25),
        ({"ratelimit": IETF.format(left=3), "ratelimit-policy": '"minute";q=60;w=60, "hour";q=3000;w=3600'}, 10),
        ({"ratelimit": IETF.format(left=3)}, 0.25),
        ({}, 0.25),
    ],
)
def test_calls_are_as_far_apart_as_what_is_left_of_them_asks_for(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], apart: float
) -> None:
    monkeypatch.setattr(pace, "_PACES", {})
    monkeypatch.setattr(clock, "monotonic", lambda: 50.0)
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(1000, UTC))
    every = {"": 0.25}
    pace.claim("v", "read", every)
    pace.heed("v", headers)
    assert pace.claim("v", "read", every) == pytest.approx(apart)
    pace.heed("v", {})
    assert pace.claim("v", "read", every) <= 0.5
