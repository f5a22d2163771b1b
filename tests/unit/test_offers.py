"""Which offer meets a wish, and what each GPU is called."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from gpurig import gpus, offers, providers
from gpurig.errors import ConfigError
from gpurig.offers import Offer, Wish

GOOD: dict[str, Any] = {
    "provider": "vastai", "id": "1", "machine": "m1", "gpu": "RTX 4090", "count": 1, "memory": 24, "disk": 500, "region": "Sweden, SE",
    "country": "SE", "price": Decimal("0.36"), "reliability": 0.99, "link": 900,
}  # fmt: skip

WISH: dict[str, Any] = {
    "gpu": "RTX 4090", "memory": 24, "disk": 80, "max_price": Decimal("0.60"), "region": "EU", "reliability": 0.95, "link": 100,
}  # fmt: skip


def offer(**facts: Any) -> Offer:
    return Offer(**{**GOOD, **facts})


def test_the_usual_wish_is_met() -> None:
    assert offers.objection(offer(), Wish(**WISH)) is None


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"gpu": "RTX 3090"}, "its GPU is RTX 3090, not RTX 4090"),
        ({"count": 2}, "it has 2 GPUs, not 1"),
        ({"memory": 12}, "12 GB of GPU memory are less than 24"),
        ({"interruptible": True}, "it may be interrupted"),
        ({"disk": 50}, "50 GB of disk are less than 80"),
        ({"region": "Texas, US", "country": "US"}, "it is in Texas, US, not in EU"),
        ({"reliability": 0.9}, "its reliability of 90.0% is less than 95.0%"),
        ({"link": 50}, "50 Mbit/s are less than 100"),
        ({"price": Decimal("0.6001")}, "$0.6001 an hour is more than $0.60"),
    ],
)
def test_an_objection_names_what_is_wrong(facts: dict[str, Any], says: str) -> None:
    assert offers.objection(offer(**facts), Wish(**WISH)) == says


def test_what_a_vendor_does_not_say_is_no_objection() -> None:
    unknown = offer(disk=None, reliability=None, link=None)
    assert offers.objection(unknown, Wish(**WISH)) is None


def test_the_price_may_be_just_the_most() -> None:
    assert offers.objection(offer(price=Decimal("0.60")), Wish(**WISH)) is None


def test_a_machine_that_proved_bad_is_left_out_at_its_vendor_only() -> None:
    wish = Wish(**WISH, exclude=frozenset({("vastai", "m1")}))
    assert offers.objection(offer(), wish) == "this machine is excluded: it proved bad before, or `exclude` names it"
    assert offers.objection(offer(provider="runpod"), wish) is None


@pytest.mark.parametrize(
    ("region", "country", "wanted", "inside"),
    [
        ("Sweden, SE", "SE", "se", True),
        ("EU-SE-1", "SE", "EU", True),
        ("us-east-3", "US", "US-EAST", True),
        ("us-east-3", "US", "us-east-3", True),
        ("us-east-3", "US", "us-eas", False),
        ("Oslo, NO", "NO", "EU", False),
        ("Oslo, NO", "NO", "EUROPE", True),
        ("", "", "EU", False),
    ],
)
def test_a_region_is_a_country_a_group_or_a_vendors_name(region: str, country: str, wanted: str, inside: bool) -> None:
    assert offers.in_region(offer(region=region, country=country), wanted) is inside


def test_the_cheapest_comes_first_unless_another_vendor_is_preferred() -> None:
    found = [
        offer(id="1"),
        offer(id="2", price=Decimal("0.30")),
        offer(id="3", provider="runpod", price=Decimal("0.40")),
    ]
    assert [o.id for o in offers.ranked(found, Wish())] == ["2", "1", "3"]
    assert [o.id for o in offers.ranked(found, Wish(), ["runpod", "vastai"])] == ["3", "2", "1"]


def test_of_equal_prices_the_more_reliable_comes_first() -> None:
    found = [offer(id="1", reliability=None), offer(id="2", reliability=0.96), offer(id="3", reliability=0.99)]
    assert [o.id for o in offers.ranked(found, Wish())] == ["3", "2", "1"]


def test_money_goes_to_programs_as_exact_text() -> None:
    data = offer(price=Decimal("0.3604"), stopped=None).to_dict()
    assert (data["price"], data["stopped"]) == ("0.3604", None)


class Vendor:
    """A simulated vendor in memory that answers after some time, and after another was asked, or fails."""

    def __init__(self, seconds: float, failure: Exception | None = None, after: Vendor | None = None) -> None:
        self.seconds, self.failure, self.after = seconds, failure, after
        self.asked = asyncio.Event()

    async def offers(self, wish: Wish) -> list[Offer]:
        self.asked.set()
        if self.after:
            await self.after.asked.wait()
        await asyncio.sleep(self.seconds)
        if self.failure:
            raise self.failure
        return [offer()]


def test_vendors_are_asked_at_once_and_one_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    last = Vendor(0.1)
    vendors = {
        "first": Vendor(0, after=last), "asleep": Vendor(60),
        "keyless": Vendor(0, ConfigError("keyless: no key.")), "broken": Vendor(0, KeyError("dph_base")), "last": last,
    }  # fmt: skip
    monkeypatch.setattr(providers, "renter", vendors.__getitem__)
    monkeypatch.setattr(offers, "SECONDS", 1.5)
    started = time.monotonic()
    answers = {answer.provider: answer for answer in offers.search(vendors, Wish())}
    assert time.monotonic() - started < 30
    assert {name for name, answer in answers.items() if answer.offers} == {"first", "last"}
    assert answers["keyless"].problem == "keyless: no key."
    assert "no answer within" in answers["asleep"].problem
    assert "KeyError" in answers["broken"].problem


@pytest.mark.parametrize(
    ("name", "memory", "canonical"),
    [
        ("NVIDIA GeForce RTX 4090", 24, "RTX 4090"),
        ("rtx4090", None, "RTX 4090"),
        ("RTX 4090", 47.9, None),  # a modified one is another GPU
        ("A100 SXM4", 80.0, "A100 80GB"),
        ("A100 PCIE", 39.5, "A100 40GB"),
        ("NVIDIA A100-SXM4-80GB", None, "A100 80GB"),
        ("H100 80GB HBM3", 79.6, "H100"),
        ("Tesla V100", 32, "V100 32GB"),
        ("L40", 48, "L40"),
        ("L40S", 48, "L40S"),
        ("GTX 9090", None, None),
    ],
)
def test_vendors_names_of_a_gpu_become_one(name: str, memory: float | None, canonical: str | None) -> None:
    found = gpus.find(name, memory)
    assert (found.name if found else None) == canonical


def test_a_name_of_several_sizes_is_ambiguous() -> None:
    assert gpus.ambiguous("A100") == ("A100 40GB", "A100 80GB")
    assert gpus.ambiguous("RTX 4090") == ()


def test_every_canonical_name_means_itself() -> None:
    for name in gpus.names():
        found = gpus.find(name)
        assert found
        assert found.name == name
        assert gpus.find(name, found.memory) == found
