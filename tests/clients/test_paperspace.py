"""Paperspace: what is special about it. What holds for every vendor is in test_renting.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from gpurig import config, keys, lifecycle, offers, orders, settle
from gpurig.errors import ConfigError
from gpurig.host import Host
from gpurig.ledger import Ledger
from gpurig.offers import Offer, Wish
from gpurig.providers import DoubtError, Machine, NotReadyError, Order, Owner, RefusedError
from gpurig.providers.paperspace.provider import Provider
from gpurig.stack import Stack
from tests.clients import fake_paperspace
from tests.clients.commands import Rig
from tests.clients.fake import GOOD_KEY, Fault
from tests.clients.fake_paperspace import Paperspace, template
from tests.clients.server import serving
from tests.clients.wanted import answered


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Paperspace]:
    made = Paperspace()
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_PAPERSPACE_URL", url)
        yield made
    assert made.mistakes == []


def search(**wish: Any) -> list[Offer]:
    return answered(Provider().offers(Wish(**{"gpu": "RTX A4000", **wish})))


def order(stack: Stack, host: str = "a", generation: int = 1, **keys_: Any) -> Order:
    entry = {"provider": "paperspace", "gpu": "RTX A4000", "max_price": 1, **keys_}
    spec = config.parse({"hosts": {host: entry}}, "test").hosts[host]
    best = offers.ranked(search(), Wish(gpu="RTX A4000"))[0]
    return orders.order(stack, Owner(stack.project, stack.name, host), spec, generation, best)


def ensure(stack: Stack, **more: Any) -> Host:
    spec = config.parse(
        {"hosts": {"a": {"provider": "paperspace", "gpu": "RTX A4000", "max_price": 1, **more}}}, "test"
    )
    return lifecycle.ensure(stack, "a", spec.hosts["a"], report=print)


def only() -> Machine:
    (machine,) = Provider().everything()
    return machine


def test_an_offer_has_the_price_of_machine_disk_and_address(vendor: Paperspace) -> None:
    found = search(disk=60)
    assert [offer.region for offer in found] == ["ny2", "ams1", "ca1"]
    assert [offer.country for offer in found] == ["US", "NL", "US"]
    first = found[0]
    assert (first.gpu, first.count, first.memory, first.disk) == ("RTX A4000", 1, 16, 100)
    assert first.price == Decimal("0.7739")  # 0.76 + 7 / 720 + 3 / 720
    assert first.stopped == Decimal("0.0097")
    assert not first.interruptible


def test_only_what_is_free_is_offered_and_little_is_asked(vendor: Paperspace) -> None:
    vendor.full = {("A4000", "ny2"), ("A4000", "ca1")}
    assert [offer.region for offer in search()] == ["ams1"]
    assert len(vendor.calls) == 4


def test_a_type_that_the_vendor_gave_up_hides_no_other(vendor: Paperspace) -> None:
    del vendor.rates["H100"]
    found = search(gpu=None)
    assert {offer.gpu for offer in found} == {"RTX A4000", "RTX A5000"}


def test_the_wish_chooses_by_region_in_the_vendors_words(vendor: Paperspace) -> None:
    found = search()
    assert [offer.region for offer in offers.ranked(found, Wish(gpu="RTX A4000", region="CA1"))] == ["ca1"]
    assert [offer.region for offer in offers.ranked(found, Wish(gpu="RTX A4000", region="EU"))] == ["ams1"]


def test_a_template_with_driver_is_preferred_and_its_size_is_honoured(vendor: Paperspace) -> None:
    assert search()[0].data["template"] == "t0nspur5"
    vendor.templates.append(template("tmlinbox", "ML-in-a-Box Ubuntu 22.04", size=100))
    assert search()[0].data["template"] == "tmlinbox"
    assert search()[0].disk == 100


def test_the_machine_lets_us_in_and_holds_no_key_of_the_account(vendor: Paperspace, stack: Stack) -> None:
    host = ensure(stack)
    (script,) = vendor.scripts.values()
    text = vendor.texts[script["name"]]
    login = keys.login_key(stack.home).with_suffix(".pub").read_text(encoding="utf-8").strip()
    assert login in text
    assert host.endpoint.host_key in text
    assert (host.endpoint.user, host.endpoint.port) == ("paperspace", 22)
    (machine,) = vendor.living()
    assert script["name"] == machine.mark == machine.facts["body"]["name"]
    assert GOOD_KEY not in json.dumps([text, machine.facts["body"]])
    assert machine.facts["body"]["autoSnapshotEnabled"] is machine.facts["body"]["emailPassword"] is False


def test_a_machine_is_switched_off_before_it_is_deleted_and_only_our_script_goes(
    vendor: Paperspace, stack: Stack
) -> None:
    others = vendor.put_script("somebody's", "echo")["id"]
    other_host = vendor.put_script(order(stack, "b").mark, "echo")["id"]
    ensure(stack)
    lifecycle.end(stack, "a", (), report=print)
    assert vendor.living() == []
    assert set(vendor.scripts) == {others, other_host}
    kinds = [(kind, path.rpartition("/")[2]) for _, kind, path in vendor.calls if kind in ("write", "end")]
    assert kinds[0] == ("write", "stop")
    assert [kind for kind, _ in kinds].index("end") > 0


def test_a_machine_of_which_only_the_id_is_known_is_ended_with_its_script(vendor: Paperspace, stack: Stack) -> None:
    host = ensure(stack)
    by_id = Machine(host.id, Owner("unit", "test", "a"), host.generation, "", running=False)
    Provider().end(stack, by_id)
    assert vendor.living() == []
    assert vendor.scripts == {}
    Provider().end(stack, by_id)


def test_a_machine_that_does_not_get_off_is_not_called_ended(
    vendor: Paperspace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(stack)
    monkeypatch.setattr(fake_paperspace, "STOPS", 1e9)
    with pytest.raises(DoubtError, match="is stopping; it must be off"):
        Provider().end(stack, only())
    assert vendor.living()


def test_a_machine_that_cannot_be_stopped_yet_is_deleted_as_it_is(vendor: Paperspace, stack: Stack) -> None:
    vendor.boots = 1e9
    machine = vendor.rent(
        order(stack).mark, body={"machineType": "A4000", "region": "ny2", "diskSize": 50}, changed=0.0
    )
    with pytest.raises(RefusedError, match="currently provisioning"):
        Provider().end(stack, only())
    vendor.deletes_in = ("provisioning", "off")
    Provider().end(stack, only())
    assert machine.ended


@pytest.mark.parametrize("what", ["lose_request", "lose_reply", "status", "half_reply"])
def test_a_script_whose_call_was_lost_is_found_and_used(vendor: Paperspace, stack: Stack, what: str) -> None:
    vendor.faults = [Fault("script", what, 502)]
    ensure(stack)
    (script,) = vendor.scripts.values()
    (machine,) = vendor.living()
    assert script["assignedMachineIds"] == [machine.id]


def test_without_its_script_nothing_is_rented(vendor: Paperspace, stack: Stack) -> None:
    vendor.faults = [Fault("script", "status", 502, nth=n) for n in (0, 0, 0)]
    with pytest.raises(ConfigError, match="start-up script could not be put there"):
        ensure(stack)
    assert vendor.machines == {}


def test_a_refusal_is_told_in_the_vendors_words_and_leaves_no_script(vendor: Paperspace, stack: Stack) -> None:
    wanted = order(stack)
    vendor.full = {("A4000", str(wanted.offer.region))} if wanted.offer else set()
    with pytest.raises(RefusedError, match="out of capacity") as caught:
        Provider().create(wanted)
    assert caught.value.another
    vendor.balance = 0
    with pytest.raises(RefusedError, match="outstanding balance") as caught:
        Provider().create(wanted)
    assert not caught.value.another
    assert vendor.scripts == {}


def test_a_script_of_an_older_generation_is_removed_unless_a_machine_uses_it(vendor: Paperspace, stack: Stack) -> None:
    old = vendor.put_script(order(stack, generation=1).mark, "echo")["id"]
    used = vendor.put_script(order(stack, generation=2).mark, "echo")
    used["assignedMachineIds"].append("1")
    Provider().create(order(stack, generation=3))
    assert old not in vendor.scripts
    assert used["id"] in vendor.scripts


def test_a_machine_dearer_than_the_table_says_is_ended_where_it_is_too_dear(vendor: Paperspace, stack: Stack) -> None:
    vendor.rates["A4000"] = 1.90
    with pytest.raises(ConfigError, match=r"A4000 costs \$1\.9\d+ an hour, more than gpurig's table says and than \$1"):
        ensure(stack)
    assert vendor.living() == []
    assert Ledger(stack.home).open_rentals() == []
    assert ensure(stack, max_price=2).provider == "paperspace"


def test_every_page_is_read(vendor: Paperspace, stack: Stack) -> None:
    vendor.page = 2
    marks = {order(stack, generation=n).mark for n in range(1, 6)}
    for mark in (*marks, "somebody's", "gpurig.but.not.quite"):
        vendor.rent(mark, body={"machineType": "A4000", "region": "ny2", "diskSize": 50}, changed=0.0)
    found = Provider().everything()
    assert {m.owner.mark(m.generation, m.fingerprint) for m in found} == marks
    assert {m.price for m in found} == {Decimal("0.7669")}


def test_a_stopped_machine_costs_its_disk_and_starts_again(
    vendor: Paperspace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(stack)
    monkeypatch.setattr(fake_paperspace, "STOPS", 1e6)
    Provider().stop(only())
    assert only().state == "stopping"
    vendor.living()[0].facts["changed"] -= 1e6
    monkeypatch.setattr(fake_paperspace, "STARTS", 1e6)
    assert (only().state, only().running, only().price) == ("off", False, Decimal("0.0069"))
    with pytest.raises(NotReadyError):
        Provider().prepare(only(), order(stack))
    assert only().state == "starting"


def test_stop_waits_until_it_is_off(
    rig: Rig, vendor: Paperspace, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERSPACE_API_KEY", GOOD_KEY)
    monkeypatch.setattr(fake_paperspace, "STOPS", 200.0)
    ensure(stack)
    code, _, err = rig("stop", "a", "--yes")
    assert (code, vendor._state(*vendor.living())) == (0, "off"), err
    assert "a: stopping" in err.splitlines()
    assert [rental.state for rental in Ledger(stack.home).open_rentals()] == ["stopped"]
    ensure(stack)
    monkeypatch.setattr(fake_paperspace, "STOPS", 1e9)
    for _ in range(2):  # also where it is on its way already, which the vendor refuses
        code, _, err = rig("stop", "a", "--yes")
        assert code == 1
        assert "a: still stopping at paperspace after 300 s, and billed until it is stopped" in err
    assert [rental.state for rental in Ledger(stack.home).open_rentals()] == ["started"]


def test_a_machine_that_somebody_deleted_is_told(vendor: Paperspace, stack: Stack) -> None:
    host = ensure(stack)
    assert "no longer lists it" in Provider().why_gone(host.id)
    settle.remove(stack, only(), "test", print)
    assert Provider().why_gone(host.id).startswith("it was deleted at 2026-11-22")
