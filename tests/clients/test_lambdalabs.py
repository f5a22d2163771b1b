"""Lambda: what is special about it. What holds for every vendor is in test_renting.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gpurig import keys
from gpurig.errors import ConfigError, RigError
from gpurig.ledger import Ledger
from gpurig.providers import BrokenError, DoubtError, NotReadyError
from gpurig.providers.lambdalabs.provider import Provider
from gpurig.stack import Stack
from tests.clients.fake import READ_ONLY_KEY, Fault
from tests.clients.fake_lambdalabs import Lambdalabs
from tests.clients.server import serving
from tests.clients.wanted import bodies, end, ensure, only, order, search


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambdalabs]:
    made = Lambdalabs()
    with serving(made) as url:
        monkeypatch.setenv("GPURIG_LAMBDALABS_URL", url)
        yield made
    assert made.mistakes == []


def test_each_type_is_offered_in_each_region_that_has_it(vendor: Lambdalabs) -> None:
    found = search(vendor)
    small = [offer for offer in found if offer.gpu == "A10"]
    assert [(offer.region, offer.country) for offer in small] == [
        ("us-east-1", "US"), ("us-west-1", "US"), ("europe-central-1", "DE"), ("asia-northeast-1", "JP"),
    ]  # fmt: skip
    assert {(o.gpu, o.count, o.memory, o.price) for o in found} == {
        ("A10", 1, 24.0, Decimal("0.75")), ("H100", 1, 80.0, Decimal("2.49")), ("A100 40GB", 8, 40.0, Decimal("10.32")),
        ("H100", 8, 80.0, Decimal("23.92")),
    }  # fmt: skip
    assert all(offer.stopped is None and not offer.interruptible for offer in found)
    assert {offer.disk for offer in small} == {1400.0}


def test_an_arm_machine_is_offered_only_by_its_name(vendor: Lambdalabs) -> None:
    assert [offer.gpu for offer in search(vendor, gpu="GH200") if offer.gpu == "GH200"] == ["GH200"]
    assert not [offer for offer in search(vendor, gpu="H100") if offer.gpu == "GH200"]


def test_where_there_is_no_capacity_the_next_region_is_tried(vendor: Lambdalabs, stack: Stack) -> None:
    vendor.without_capacity = {"asia-northeast-1", "europe-central-1"}
    ensure(stack, vendor)
    (machine,) = vendor.living()
    assert machine.facts["body"]["region_name"] == "us-east-1"


def test_a_full_quota_is_told_in_the_vendors_words(vendor: Lambdalabs, stack: Stack) -> None:
    vendor.quota = 0
    with pytest.raises(ConfigError, match=r"Quota exceeded\. Contact Support to increase your quota\.") as caught:
        ensure(stack, vendor)
    assert str(caught.value).count("Quota exceeded") == 1
    assert vendor.machines == {}


def test_an_account_that_may_not_rent_is_not_asked_again(vendor: Lambdalabs, stack: Stack) -> None:
    vendor.balance = 0
    with pytest.raises(ConfigError, match="Your account is inactive"):
        ensure(stack, vendor)
    assert len([kind for _, kind, _ in vendor.calls if kind == "create"]) == 1


@pytest.mark.parametrize(
    ("key", "words"),
    [("wrong", "Is LAMBDA_API_KEY right"), ("", "Set the environment variable LAMBDA_API_KEY"), (READ_ONLY_KEY, "may not do that")],
)  # fmt: skip
def test_a_key_that_will_not_do_is_told_and_nothing_rented(
    vendor: Lambdalabs, stack: Stack, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", key)
    with pytest.raises(RigError, match=words):
        ensure(stack, vendor)
    assert vendor.machines == {}


def test_an_error_from_upstream_leaves_doubt(vendor: Lambdalabs, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = order(stack, vendor)
    reply = vendor.error(400, "provider/internal-unavailable", "Provider unavailable")
    monkeypatch.setattr(vendor, "_unavailable", lambda _: reply)
    monkeypatch.setattr(vendor, "overlays", {**vendor.overlays, "reply 400 of create": "prose only"})
    with pytest.raises(DoubtError, match="Provider unavailable"):
        Provider().create(wanted)


def test_an_image_is_taken_by_family_or_id_where_the_region_has_it(vendor: Lambdalabs, stack: Stack) -> None:
    ensure(stack, vendor, image="ubuntu-lts")
    ensure(stack, vendor, image="lambda-stack-24-04-in-us-east-1")
    assert [(body["region_name"], body["image"]) for body in bodies(vendor)] == [
        ("us-west-1", {"family": "ubuntu-lts"}), ("us-east-1", {"id": "lambda-stack-24-04-in-us-east-1"}),
    ]  # fmt: skip
    assert len(vendor.living()) == 1


def test_an_image_that_is_nowhere_is_told_with_those_there_are(vendor: Lambdalabs, stack: Stack) -> None:
    with pytest.raises(ConfigError, match="no image 'windows'; write one of: lambda-stack-24-04, ubuntu-lts"):
        ensure(stack, vendor, image="windows")
    assert vendor.machines == {}


@pytest.mark.parametrize("project", ["unit", "my.own_Project-2", "P" * 100])
def test_the_mark_is_read_as_it_was_written(vendor: Lambdalabs, stack: Stack, project: str) -> None:
    there = replace(stack, project=project, name="Dev_1")
    wanted = order(there, vendor, "gpu-1", 12)
    vendor.lists_twice = True
    Provider().create(wanted)
    machine = only(vendor)
    assert (machine.owner, machine.generation) == (wanted.owner, 12)
    assert machine.owner.mark(machine.generation, machine.fingerprint) == wanted.mark == vendor.living()[0].mark
    assert machine.since
    assert machine.price == Decimal("0.75")
    vendor.living()[0].facts["tags"] = []
    found = [m.owner for m in Provider().everything()]
    assert found == ([wanted.owner] if len(wanted.mark) <= 64 else [])


def test_what_is_not_marked_exactly_is_not_ours(vendor: Lambdalabs, stack: Stack) -> None:
    Provider().create(order(stack, vendor))
    tags = vendor.living()[0].facts["tags"]
    for name, kept in (("mine", []), ("gpurig.unit.test.a.1", tags[1:]), ("gpurig", [*tags[:3], *tags[4:]])):
        vendor.rent("", body=bodies(vendor)[0], name=name, tags=kept)
    assert [machine.id for machine in Provider().everything()] == ["1001"]


def test_a_machine_is_ready_when_it_is_active_and_has_an_address(vendor: Lambdalabs, stack: Stack) -> None:
    vendor.boots, vendor.without_ip = 300_000, 60_000
    wanted = order(stack, vendor)
    Provider().create(wanted)
    (machine,) = vendor.living()
    with pytest.raises(NotReadyError, match="booting"):
        Provider().prepare(only(vendor), wanted)
    machine.made -= 300_000
    with pytest.raises(NotReadyError, match="address is not known"):
        Provider().prepare(only(vendor), wanted)
    machine.made -= 60_000
    endpoint = Provider().prepare(only(vendor), wanted)
    assert (endpoint.address, endpoint.port, endpoint.user) == ("127.0.0.1", 22, "ubuntu")
    assert endpoint.host_key == keys.public_half(wanted.host_key)
    assert endpoint.host_key in bodies(vendor)[0]["user_data"]


def test_an_unhealthy_machine_is_ended_and_another_region_tried(
    vendor: Lambdalabs, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    rent = vendor.rent

    def bad_in_asia(mark: str, **facts: Any) -> Any:
        made = rent(mark, **facts)
        made.state = "unhealthy" if facts["body"]["region_name"] == "asia-northeast-1" else "running"
        return made

    monkeypatch.setattr(vendor, "rent", bad_in_asia)
    host = ensure(stack, vendor)
    assert [machine.id for machine in vendor.living()] == [host.id]
    assert [body["region_name"] for body in bodies(vendor)] == ["asia-northeast-1", "europe-central-1"]
    reasons = [rental.reason for rental in Ledger(stack.home).rentals()]
    assert "Lambda says that it is unhealthy" in reasons[0]


@pytest.mark.parametrize("state", ["unhealthy", "preempted"])
def test_a_machine_that_will_not_run_again_is_told(vendor: Lambdalabs, stack: Stack, state: str) -> None:
    wanted = order(stack, vendor)
    Provider().create(wanted)
    vendor.living()[0].state = state
    assert (only(vendor).running, only(vendor).state) == (False, state)
    with pytest.raises(BrokenError):
        Provider().prepare(only(vendor), wanted)


def test_a_machine_lives_until_its_end_is_no_longer_listed(vendor: Lambdalabs, stack: Stack) -> None:
    host = ensure(stack, vendor)
    vendor.lag = 90
    end(stack)
    (machine,) = vendor.machines.values()
    assert machine.id == host.id
    ended = next(at for at, kind, _ in vendor.calls if kind == "end")
    last = max(at for at, kind, _ in vendor.calls if kind == "list")
    assert last - ended >= 90


def test_a_machine_that_is_listed_as_terminated_is_gone(vendor: Lambdalabs, stack: Stack) -> None:
    Provider().create(order(stack, vendor))
    machine = only(vendor)
    vendor.lag = 1e6
    Provider().end(stack, machine)
    assert only(vendor).state == "terminating"
    vendor.machines[machine.id].state = "terminated"
    assert Provider().everything() == []


def test_ending_twice_is_done(vendor: Lambdalabs, stack: Stack) -> None:
    vendor.lag = 60
    Provider().create(order(stack, vendor))
    vendor.machines["1001"].listed_from = 0
    machine = only(vendor)
    Provider().end(stack, machine)
    Provider().end(stack, machine)
    Provider().end(stack, only(vendor))
    vendor.machines["1001"].unlisted_from = 0
    Provider().end(stack, machine)
    assert len([kind for _, kind, _ in vendor.calls if kind == "end"]) == 3


@pytest.mark.parametrize("quiet", [False, True])
def test_a_machine_that_cannot_be_ended_yet_is_ended_later(vendor: Lambdalabs, stack: Stack, quiet: bool) -> None:
    vendor.launching, vendor.quiet = 200, quiet
    Provider().create(order(stack, vendor))
    with pytest.raises(DoubtError, match="cannot be ended yet: The VM has not launched yet"):
        Provider().end(stack, only(vendor))
    ensure(stack, vendor)
    end(stack)
    assert vendor.living() == []


def test_nothing_can_be_stopped(vendor: Lambdalabs, stack: Stack) -> None:
    Provider().create(order(stack, vendor))
    with pytest.raises(ConfigError, match="lambdalabs cannot stop a machine and stop billing it"):
        Provider().stop(only(vendor))


def test_a_redirect_is_not_followed(vendor: Lambdalabs, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = order(stack, vendor)
    vendor.faults = [Fault("create", "status", 301)]
    with pytest.raises(DoubtError, match="301"):
        Provider().create(wanted)
    assert [kind for _, kind, _ in vendor.calls].count("create") == 0
