"""DigitalOcean: what is special about it. What holds for every vendor is in test_renting.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gpurig import clock, keys
from gpurig.errors import ConfigError, RigError
from gpurig.ledger import Ledger
from gpurig.providers import BrokenError, NotReadyError
from gpurig.providers.digitalocean.client import Client
from gpurig.providers.digitalocean.provider import Provider
from gpurig.stack import Stack
from tests.clients.fake import READ_ONLY_KEY, Rented
from tests.clients.fake_digitalocean import Digitalocean
from tests.clients.server import serving
from tests.clients.time import faster
from tests.clients.wanted import bodies, end, ensure, only, order, search


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Digitalocean]:
    made = Digitalocean()
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_DIGITALOCEAN_URL", url)
        yield made
    assert made.mistakes == []


def droplets(vendor: Digitalocean, stack: Stack, number: int) -> list[Rented]:
    """Droplets of so many hosts of ours."""
    for count in range(number):
        Provider().create(order(stack, vendor, f"h{count}"))
    return list(vendor.machines.values())


def test_each_size_with_gpus_is_offered_in_each_region_that_has_it(vendor: Digitalocean) -> None:
    vendor.page = 2
    found = {(o.gpu, o.count, o.memory, o.region, o.country, str(o.price), o.data["image"]) for o in search(vendor)}
    one, eight = "gpu-h100x1-base", "gpu-h100x8-base"
    assert found == {
        ("RTX 4000 Ada", 1, 20.0, "tor1", "CA", "0.76", one),
        ("H100", 1, 80.0, "nyc2", "US", "3.39", one),
        ("H100", 1, 80.0, "tor1", "CA", "3.39", one),
        ("H100", 1, 80.0, "ams3", "NL", "3.39", one),
        ("H100", 1, 80.0, "sfo3", "US", "3.39", one),
        ("H100", 8, 80.0, "nyc2", "US", "23.92", eight),
        ("amd_mi300x", 1, 192.0, "nyc2", "US", "1.99", "gpu-amd-base"),
    }
    assert all(offer.stopped is None and offer.disk == 720 for offer in search(vendor))


def test_a_region_of_the_wish_is_met(vendor: Digitalocean, stack: Stack) -> None:
    ensure(stack, vendor, region="EU")
    assert bodies(vendor)[0]["region"] == "ams3"
    with pytest.raises(ConfigError, match="nothing is offered in 'mars1'; there are: CA"):
        ensure(replace(stack, name="other"), vendor, region="mars1")
    assert len(vendor.living()) == 1


def test_the_droplet_lets_us_in_and_has_no_door_for_others(vendor: Digitalocean, stack: Stack) -> None:
    host = ensure(stack, vendor)
    (body,) = bodies(vendor)
    assert keys.login_key(stack.home).with_suffix(".pub").read_text(encoding="utf-8").strip() in body["user_data"]
    assert host.endpoint.host_key in body["user_data"]
    assert (host.endpoint.address, host.endpoint.port, host.endpoint.user) == ("127.0.0.1", 22, "root")
    assert body["with_droplet_agent"] is False


def test_a_droplet_whose_tags_come_late_is_known_from_its_first_moment(vendor: Digitalocean, stack: Stack) -> None:
    vendor.tags_late = 1e9
    host = ensure(stack, vendor)
    assert [machine.id for machine in vendor.living()] == [host.id]
    end(stack)
    assert vendor.living() == []


def test_a_droplet_without_gpu_that_has_our_mark_is_found(vendor: Digitalocean, stack: Stack) -> None:
    (with_gpu,) = droplets(vendor, stack, 1)
    small = vendor.rent("", body={**bodies(vendor)[0], "size": "s-1vcpu-1gb"}, tags=with_gpu.facts["tags"])
    assert {machine.id for machine in Provider().everything()} == {with_gpu.id, small.id}
    assert {machine.price for machine in Provider().everything()} == {Decimal("3.39"), Decimal("0.00893")}


def test_a_tag_that_nobody_used_yet_is_no_problem(vendor: Digitalocean) -> None:
    vendor.knows_tag = False
    assert Provider().everything() == []


def test_every_page_is_read(vendor: Digitalocean, stack: Stack) -> None:
    made = droplets(vendor, stack, 5)
    vendor.page = 2
    assert {machine.id for machine in Provider().everything()} == {machine.id for machine in made}


def test_a_droplet_that_moves_to_a_page_before_is_not_overlooked(vendor: Digitalocean, stack: Stack) -> None:
    made = droplets(vendor, stack, 5)
    vendor.page = 2

    def delete_first() -> None:
        vendor.between_pages = lambda: None
        vendor.end(made[0])

    vendor.between_pages = delete_first
    assert {machine.id for machine in Provider().everything()} == {machine.id for machine in made[1:]}


def test_a_listing_that_never_stays_the_same_is_an_error(vendor: Digitalocean, stack: Stack) -> None:
    made = droplets(vendor, stack, 20)
    vendor.page = 2
    vendor.between_pages = lambda: vendor.end(next(machine for machine in made if machine.ended is None))
    with pytest.raises(RigError, match="changed each time that it was read"):
        Provider().everything()


def test_where_there_is_no_capacity_the_next_region_is_tried(vendor: Digitalocean, stack: Stack) -> None:
    vendor.without_capacity = {"ams3", "nyc2"}
    ensure(stack, vendor)
    assert [body["region"] for body in bodies(vendor)] == ["sfo3"]


def test_a_droplet_that_the_vendor_fails_to_create_is_ended_and_another_made(
    vendor: Digitalocean, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = vendor.end

    def last_failure(machine: Rented) -> None:
        vendor.fails_to_create = False
        remove(machine)

    vendor.fails_to_create = True
    monkeypatch.setattr(vendor, "end", last_failure)
    host = ensure(stack, vendor)
    assert [machine.id for machine in vendor.living()] == [host.id]
    assert len(vendor.machines) == 2
    assert "the vendor failed to create it" in Ledger(stack.home).rentals()[0].reason


@pytest.mark.parametrize(
    ("change", "words", "calls"),
    [
        ({"limit": 0}, "will exceed your droplet limit", 4),
        ({"balance": 0}, "locked because of an unpaid balance", 1),
    ],
)
def test_a_refusal_is_told_in_the_vendors_words(
    vendor: Digitalocean, stack: Stack, change: dict[str, Any], words: str, calls: int
) -> None:
    for name, value in change.items():
        setattr(vendor, name, value)
    with pytest.raises(ConfigError, match=words) as caught:
        ensure(stack, vendor)
    assert str(caught.value).count(words) == 1
    assert [kind for _, kind, _ in vendor.calls].count("create") == calls
    assert vendor.machines == {}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("wrong", "Is DIGITALOCEAN_TOKEN right"),
        ("", "Set the environment variable DIGITALOCEAN_TOKEN"),
        (READ_ONLY_KEY, "may not do that .a token needs the scopes droplet:create, .*ssh_key:create"),
    ],
)
def test_a_token_that_will_not_do_is_told_and_nothing_rented(
    vendor: Digitalocean, stack: Stack, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", key)
    with pytest.raises(RigError, match=words):
        ensure(stack, vendor)
    assert vendor.machines == {}


def test_an_image_is_taken_by_name_or_number(vendor: Digitalocean, stack: Stack) -> None:
    for image in ("ubuntu-24-04-x64", "220378284"):
        ensure(stack, vendor, image=image)
    assert [body["image"] for body in bodies(vendor)] == ["ubuntu-24-04-x64", 220378284]
    with pytest.raises(ConfigError, match="You specified an invalid image"):
        ensure(replace(stack, name="other"), vendor, image="windows")


def test_a_droplet_is_ready_when_it_is_active(vendor: Digitalocean, stack: Stack) -> None:
    vendor.boots = 300_000
    wanted = order(stack, vendor)
    Provider().create(wanted)
    with pytest.raises(NotReadyError, match="being created"):
        Provider().prepare(only(vendor), wanted)
    vendor.living()[0].made -= 300_000
    assert Provider().prepare(only(vendor), wanted).host_key == keys.public_half(wanted.host_key)
    vendor.living()[0].state = "archive"
    with pytest.raises(BrokenError, match="'archive'"):
        Provider().prepare(only(vendor), wanted)


def test_a_droplet_that_was_switched_off_is_billed_and_switched_on(vendor: Digitalocean, stack: Stack) -> None:
    wanted = order(stack, vendor)
    Provider().create(wanted)
    vendor.living()[0].state = "off"
    machine = only(vendor)
    assert (machine.running, machine.price, machine.note) == (
        False, Decimal("3.39"), "somebody switched it off; it is billed in full",
    )  # fmt: skip
    for words in ("starting it", "already has a pending event"):
        with pytest.raises(NotReadyError, match=words):
            Provider().prepare(machine, wanted)
    assert Provider().prepare(only(vendor), wanted).port == 22


def test_stopping_is_refused_because_it_saves_nothing(vendor: Digitalocean, stack: Stack) -> None:
    Provider().create(order(stack, vendor))
    with pytest.raises(ConfigError, match="bills a droplet that is switched off like one that runs"):
        Provider().stop(only(vendor))
    assert not Provider().capabilities(order(stack, vendor).spec).can_stop


def test_ending_twice_is_done(vendor: Digitalocean, stack: Stack) -> None:
    (droplet,) = droplets(vendor, stack, 1)
    machine = only(vendor)
    Provider().end(stack, machine)
    Provider().end(stack, machine)
    assert droplet.ended


def test_why_a_droplet_is_gone_is_told_from_what_is_owed(vendor: Digitalocean) -> None:
    assert "somebody deleted it" in Provider().why_gone("1")
    vendor.balance = -12.5
    assert "the account owes $12.50" in Provider().why_gone("1")


def test_an_hour_of_calls_that_others_have_nearly_used_up_is_spread_until_there_are_more(
    vendor: Digitalocean, monkeypatch: pytest.MonkeyPatch
) -> None:
    faster(monkeypatch.setattr, 300)
    monkeypatch.setattr(Digitalocean, "every", {})  # of the calls of a minute, some come late where the machine is busy
    vendor.strict_pace = True
    now, many = clock.monotonic(), vendor.hourly - 100
    vendor._counted = [now - 3000 + 3000 * number / many for number in range(many)]  # none expires for 600 s
    client = Client()
    for _ in range(120):
        client.balance()
    assert vendor.too_often == 0
    assert clock.monotonic() - now > 550
