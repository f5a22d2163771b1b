"""What is special about Vast.ai (simulated): bids, contracts that a refusal made, offers that are gone, its own states."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from gpurig import config, lifecycle, market, offers, providers
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.ledger import Ledger
from gpurig.offers import Wish
from gpurig.providers import Owner
from gpurig.stack import Stack
from tests.clients.fake import GOOD_KEY, READ_ONLY_KEY
from tests.clients.fake_vastai import Vastai, offer
from tests.clients.server import serving

MINE = Owner("unit", "test", "a")


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vastai]:
    made = Vastai()
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_VASTAI_URL", url)
        yield made
    assert made.mistakes == []


def ensure(stack: Stack, **keys: Any) -> Host:
    entry = {"provider": "vastai", "gpu": "RTX 4090", "max_price": 0.6, **keys}
    spec = config.parse({"hosts": {"a": entry}}, "test").hosts["a"]
    return lifecycle.ensure(stack, "a", spec, report=print)


def search(**wish: Any) -> list[offers.Offer]:
    (answer,) = offers.search(["vastai"], Wish(gpu="RTX 4090", **wish))
    assert not answer.problem
    return list(answer.offers)


def test_a_dear_gpu_is_found_behind_hundreds_of_cheap_ones(vendor: Vastai) -> None:
    vendor.offers = [offer(n, gpu="RTX 3060", price=0.05) for n in range(1, 261)]
    vendor.offers.append(offer(300, gpu="H100 SXM", price=2.0, gpu_ram=81559))
    (answer,) = offers.search(["vastai"], Wish(gpu="H100"))
    assert [found.id for found in offers.ranked(answer.offers, Wish(gpu="H100"))] == ["300"]


def test_a_machine_that_is_billed_above_the_maximum_is_ended(stack: Stack, vendor: Vastai) -> None:
    vendor.offers[0]["dph_total"] = 3.5
    host = ensure(stack)
    assert vendor.machines[host.id].facts["offer"]["id"] != 1
    (first, *_) = Ledger(stack.home).rentals()
    assert (first.state, "billed $3.500 an hour" in first.reason) == ("ended", True)


def test_a_price_holds_the_disk(vendor: Vastai) -> None:
    (first, *_) = offers.ranked(search(disk=72), Wish(gpu="RTX 4090", disk=72))
    assert first.price == Decimal("0.35") + Decimal("0.15") * 72 / 720
    assert first.stopped == Decimal("0.015")


def test_what_a_bid_pays_is_above_the_least_one(stack: Stack, vendor: Vastai) -> None:
    ensure(stack, interruptible=True)
    (machine,) = vendor.living()
    body, least = machine.facts["body"], machine.facts["offer"]["min_bid"]
    assert least < body["price"] <= least * 1.11
    assert body["cancel_unavail"] is True


def test_on_demand_sends_no_price(stack: Stack, vendor: Vastai) -> None:
    ensure(stack)
    assert "price" not in vendor.living()[0].facts["body"]


def test_the_accounts_key_is_in_no_body(stack: Stack, vendor: Vastai) -> None:
    ensure(stack)
    assert GOOD_KEY not in str(vendor.living()[0].facts["body"])


def test_the_start_up_script_is_within_the_limit_and_lets_us_in(stack: Stack, vendor: Vastai) -> None:
    ensure(stack)
    script = vendor.living()[0].facts["body"]["onstart"]
    assert len(script) <= 4048
    assert "ssh-ed25519" in script
    assert "PRIVATE KEY" in script


def test_a_contract_that_a_refusal_made_is_ended(stack: Stack, vendor: Vastai) -> None:
    vendor.refuses_with_contract = 1
    host = ensure(stack)
    assert [m.id for m in vendor.living()] == [host.id]
    made = [rental for rental in Ledger(stack.home).rentals() if rental.machine]
    assert [(rental.state, "made by a refusal" in rental.reason) for rental in made] == [
        ("ended", True),
        ("accepted", False),
    ]


def test_a_yes_without_a_contract_is_looked_up_in_the_listing(stack: Stack, vendor: Vastai) -> None:
    vendor.says_nothing = True
    host = ensure(stack)
    assert [m.id for m in vendor.living()] == [host.id]


def test_an_offer_that_is_gone_is_followed_by_the_next(stack: Stack, vendor: Vastai) -> None:
    vendor.gone = {1, 2}
    ensure(stack)
    assert vendor.living()[0].facts["offer"]["id"] == 3


def test_an_instance_that_cannot_start_is_ended_and_its_machine_left_out(stack: Stack, vendor: Vastai) -> None:
    vendor.cannot_start = {7001}
    host = ensure(stack)
    assert vendor.machines[host.id].facts["offer"]["machine_id"] == 7002
    first = Ledger(stack.home).rentals()[0]
    assert first.state == "ended"
    assert "OCI runtime create failed" in first.reason


def test_a_machine_that_was_bad_is_left_out_by_the_next_run_too(stack: Stack, vendor: Vastai) -> None:
    vendor.cannot_start = {7001}
    ensure(stack)
    vendor.cannot_start = set()
    lifecycle.end(stack, "a", (), report=print)
    assert vendor.machines[ensure(stack).id].facts["offer"]["machine_id"] == 7002


def test_a_recorded_host_that_was_outbid_is_kept_and_said_so(stack: Stack, vendor: Vastai) -> None:
    host = ensure(stack, interruptible=True)
    vendor.machines[host.id].state = "stopped"
    vendor.outbid = True
    machine = lifecycle.observe(stack, host)
    assert machine is not None
    assert "outbid" in machine.note
    with pytest.raises(RigError, match=r"outbid.*\n.*It is kept"):
        ensure(stack, interruptible=True)
    assert [m.id for m in vendor.living()] == [host.id]


def test_all_pages_are_read(stack: Stack, vendor: Vastai) -> None:
    for number in range(60):
        vendor.rent(MINE.mark(number, "0" * 12), offer=offer(1), body={})
    vendor.rent("somebody else's", offer=offer(1), body={})
    found = providers.provider("vastai").machines(stack, MINE)
    assert sorted(machine.generation for machine in found) == list(range(60))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"max_price": 0.3}, r"max_price: nothing under \$0.3 an hour. The cheapest that meets the rest is \$0.36"),
        ({"disk": 4000}, "nobody offers 1 × RTX 4090 with 4000 GB of disk now"),
        ({"region": "Mars"}, r"hosts.a.region: nothing is offered in 'Mars'; there are: SE"),
        ({"gpu": "H200"}, "nobody offers 1 × H200 with 50 GB"),
        ({"image": "nowhere/nothing"}, "image nowhere/nothing not found. Write another one as gpurig:hosts.a.image"),
    ],
)
def test_what_cannot_be_had_is_told_and_nothing_is_rented(
    stack: Stack, vendor: Vastai, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ensure(stack, **keys)
    assert vendor.living() == []
    assert Ledger(stack.home).open_rentals() == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("wrong", "the key is not valid. Is VAST_API_KEY right"),
        (READ_ONLY_KEY, "this key may not do that. Does VAST_API_KEY have the right"),
        ("", "no key. Set the environment variable VAST_API_KEY"),
    ],
)
def test_a_key_that_will_not_do_is_told(
    stack: Stack, vendor: Vastai, monkeypatch: pytest.MonkeyPatch, key: str, message: str
) -> None:
    monkeypatch.setenv("VAST_API_KEY", key)
    with pytest.raises(ConfigError, match=message):
        ensure(stack)
    assert vendor.machines == {}


def test_without_balance_nothing_further_is_asked_of_the_vendor(stack: Stack, vendor: Vastai) -> None:
    vendor.balance = 0
    with pytest.raises(ConfigError, match="lacks credit"):
        ensure(stack)
    assert [kind for _, kind, _ in vendor.calls].count("create") == 1


def test_a_vendor_that_is_down_is_passed_over_for_the_next(
    stack: Stack, vendor: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNPOD_API_KEY")
    spec = config.parse(
        {"hosts": {"a": {"providers": ["runpod", "vastai"], "gpu": {"name": "RTX 4090"}, "max_price": 1}}}, "test"
    ).hosts["a"]
    told: list[str] = []
    host = lifecycle.ensure(stack, "a", spec, report=told.append)
    assert host.provider == "vastai"
    assert any("RUNPOD_API_KEY" in line for line in told)
    lifecycle.end(stack, "a", (), report=print)
    assert vendor.living() == []


def test_the_gone_machine_of_an_empty_account_is_explained(stack: Stack, vendor: Vastai) -> None:
    host = ensure(stack)
    vendor.balance = 0
    vendor.end(vendor.machines[host.id])
    assert "credit is $0.00" in lifecycle.forget(stack, host)
    assert Ledger(stack.home).rentals()[0].state == "gone"


def test_what_is_chosen_is_what_is_offered_to_the_reader(vendor: Vastai) -> None:
    spec: Any = config.parse({"hosts": {"a": {"provider": "vastai", "gpu": "RTX 4090", "max_price": 1}}}, "test").hosts[
        "a"
    ]
    meeting, _ = market.candidates(spec)
    assert [o.id for o in meeting[:3]] == ["1", "2", "3"]
