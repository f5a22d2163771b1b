"""Our login key in accounts that keep SSH keys: added once, and no other key is touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gpurig import providers
from gpurig.errors import ConfigError
from gpurig.ledger import Ledger
from gpurig.stack import Stack
from tests.clients.fake import Fault
from tests.clients.fake_digitalocean import Digitalocean
from tests.clients.fake_lambdalabs import Lambdalabs
from tests.clients.server import serving
from tests.clients.wanted import bodies, ensure, order


@pytest.fixture(params=[Lambdalabs, Digitalocean], ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made = request.param()
    with serving(made) as url:
        monkeypatch.setenv(f"GPURIG_{made.name.upper()}_URL", url)
        yield made
    assert made.mistakes == []


def used(vendor: Any) -> set[str | int]:
    """The keys that rented machines were made with, as the vendor calls them."""
    return {key for body in bodies(vendor) for key in body.get("ssh_key_names") or body["ssh_keys"]}


def called(key: dict[str, Any]) -> set[str | int]:
    return {key["name"], key["id"]}


def test_our_key_is_added_once_and_no_other_is_touched(vendor: Any, stack: Stack) -> None:
    others = list(vendor.keys)
    for host in "ab":
        providers.renter(vendor.name).create(order(stack, vendor, host))
    *before, added = vendor.keys
    assert before == others
    assert added["public_key"] == order(stack, vendor).public_key
    assert len(used(vendor) & called(added)) == 1 == len(used(vendor))


def test_a_key_that_is_there_by_another_name_is_used(vendor: Any, stack: Stack) -> None:
    provider = providers.renter(vendor.name)
    provider.create(order(stack, vendor, "a"))
    vendor.keys[-1] |= {
        "name": "my laptop",
        "public_key": vendor.keys[-1]["public_key"].replace(" gpurig", " me@laptop"),
    }
    provider.create(order(stack, vendor, "b"))
    assert len(vendor.keys) == 2
    assert bodies(vendor)[-1].get("ssh_key_names", ["my laptop"]) == ["my laptop"]


def test_who_comes_second_uses_the_key_that_the_first_one_added(
    vendor: Any, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider: Any = providers.renter(vendor.name)
    provider.create(order(stack, vendor, "a"))
    listings = [vendor.keys[:1], vendor.keys[:]]
    monkeypatch.setattr(provider._client, "keys", lambda: listings.pop(0))
    assert provider.create(order(stack, vendor, "b"))
    assert len(vendor.keys) == 2
    assert [kind for _, kind, _ in vendor.calls].count("keys") == 4


@pytest.mark.parametrize("what", ["lose_reply", "half_reply", "status_after"])
def test_a_key_whose_call_was_lost_is_found(vendor: Any, stack: Stack, what: str) -> None:
    wanted = order(stack, vendor)
    vendor.faults = [Fault("keys", what, 502, nth=1)]
    providers.renter(vendor.name).create(wanted)
    assert len(vendor.keys) == 2


def test_without_its_key_nothing_is_rented(vendor: Any, stack: Stack) -> None:
    vendor.faults = [Fault("keys", "status", 502) for _ in range(5)]
    with pytest.raises(ConfigError, match="the login key could not be registered, and nothing was rented"):
        ensure(stack, vendor)
    assert vendor.machines == {}
    assert Ledger(stack.home).open_rentals() == []
