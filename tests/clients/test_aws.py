"""AWS through boto3, against moto's simulated EC2: listing, stop, start, end, and what goes wrong. Never run against Amazon."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from moto.ec2.models import ec2_backends

from gpurig import config, engine, lifecycle, orders, reap, records
from gpurig.errors import ConfigError
from gpurig.ledger import Ledger
from gpurig.providers import BrokenError, DoubtError, NotReadyError, Order, RefusedError, renter
from gpurig.providers.aws import client
from gpurig.providers.aws.provider import Provider
from gpurig.stack import Stack
from tests.clients.simulated_aws import ABROAD, HOME, account, launch, mark, owner, refusing, set_state, spec, state


@pytest.fixture(autouse=True)
def _simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with account(monkeypatch):
        yield


def order(stack: Stack) -> Order:
    return orders.order(stack, owner(stack), spec(), 1)


# What is there.


def test_everything_of_ours_is_listed_in_every_region_and_nothing_else(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 5)
    ours = {launch(mark(stack, host), region) for host in ("a", "b", "c") for region in (HOME, ABROAD) for _ in "xx"}
    launch("somebody's")
    launch("gpurig.but.not.quite")
    found = Provider().everything()
    assert {machine.id for machine in found} == ours
    assert {machine.price for machine in found} == {Decimal("1.2345")}
    assert {machine.id for machine in reap.listing(["aws"]).machines} == ours


def test_every_region_that_is_enabled_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(client.REGIONS)
    found = client.regions()
    assert {HOME, ABROAD, "ap-northeast-1"} <= set(found)


def test_an_instance_counts_until_it_is_terminated(stack: Stack) -> None:
    machine = launch(mark(stack))
    set_state(machine, "shutting-down", 32)
    (found,) = Provider().everything()
    assert (found.state, found.running) == ("shutting-down", False)
    with pytest.raises(BrokenError, match="it is ending"):
        Provider().prepare(found, order(stack))
    set_state(machine, "terminated", 48)
    assert Provider().everything() == []


def test_a_host_is_looked_for_where_it_can_be(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = client.instances
    monkeypatch.setattr(client, "instances", lambda region: [asked.append(region), *real(region)][1:])  # type: ignore[func-returns-value]  # the list
    machine = launch(mark(stack), ABROAD)
    entry = {"provider": "aws", "region": ABROAD, "gpu": "A10G", "max_price": 5}
    stack.file.write_text(json.dumps({"config": {"gpurig:hosts": {"a": entry}}}))
    monkeypatch.setenv("AWS_DEFAULT_REGION", ABROAD)
    assert [m.id for m in Provider().machines(stack, owner(stack))] == [machine]
    assert asked == [ABROAD]
    stack.file.unlink()  # nothing is known any more
    assert [m.id for m in Provider().machines(stack, owner(stack))] == [machine]
    assert sorted(asked[1:]) == [ABROAD, HOME]


def test_a_region_that_may_not_be_looked_into_is_an_error_that_says_how_to_leave_it_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusing(monkeypatch, "describe_instances", "UnauthorizedOperation", 403)
    with pytest.raises(RefusedError, match=r"as AWS says it \(UnauthorizedOperation\).*GPURIG_AWS_REGIONS"):
        client.instances(HOME)


# The life of one.


def test_a_host_is_adopted_at_its_tags_price_and_ended_for_good(stack: Stack) -> None:
    machine = launch(mark(stack))
    host = lifecycle.ensure(stack, "a", spec(), report=print)
    assert (host.id, host.endpoint.user) == (machine, "ubuntu")
    (rental,) = Ledger(stack.home).open_rentals()
    assert (rental.provider, rental.machine, rental.price) == ("aws", machine, Decimal("1.2345"))
    lifecycle.end(stack, "a", (), report=print)
    assert state(machine) == "terminated"
    assert Ledger(stack.home).open_rentals() == []


def test_of_two_instances_the_newer_one_is_kept(stack: Stack) -> None:
    old, new = launch(mark(stack)), launch(mark(stack))
    region, _, identifier = old.partition("/")
    ec2_backends["123456789012"][region].get_instance(identifier).launch_time = datetime(2020, 1, 1, tzinfo=UTC)
    assert lifecycle.ensure(stack, "a", spec(), report=print).id == new
    assert (state(old), state(new)) == ("terminated", "running")


def test_ending_is_done_where_it_was_done_before(stack: Stack) -> None:
    launch(mark(stack))
    (machine,) = Provider().everything()
    for _ in range(2):
        Provider().end(stack, machine)
    Provider().end(stack, replace(machine, id=f"{HOME}/i-0123456789abcdef0"))


def test_a_stopped_instance_costs_its_disk_and_starts_again(stack: Stack) -> None:
    launch(mark(stack))
    provider = Provider()
    provider.stop(provider.everything()[0])
    (stopped,) = provider.everything()
    assert (stopped.state, stopped.running, stopped.price) == ("stopped", False, Decimal("0.0123"))
    assert "User initiated" in stopped.note
    with pytest.raises(NotReadyError, match="starting"):
        provider.prepare(stopped, order(stack))
    (running,) = provider.everything()
    assert running.running
    assert provider.prepare(running, order(stack)).port == 22


def test_an_instance_on_its_way_is_not_called_stopped(stack: Stack) -> None:
    machine = launch(mark(stack))
    for word, code in (("stopping", 64), ("stopped", 80)):
        set_state(machine, word, code)
        (found,) = Provider().everything()
        assert (found.running, found.stopping) == (False, word == "stopping")


def test_a_spot_instance_is_not_stopped(stack: Stack) -> None:
    launch(mark(stack), spot=True)
    with pytest.raises(ConfigError, match="a spot instance cannot be stopped"):
        Provider().stop(Provider().everything()[0])
    assert not Provider().capabilities(spec(interruptible=True)).can_stop


def test_why_an_instance_is_gone_is_told_in_amazons_words(stack: Stack) -> None:
    machine = launch(mark(stack))
    Provider().end(stack, Provider().everything()[0])
    assert Provider().why_gone(machine).startswith("AWS says: Client.UserInitiatedShutdown")
    assert "no longer lists it" in Provider().why_gone(f"{HOME}/i-0123456789abcdef0")


def test_without_a_tag_the_price_is_assumed(stack: Stack) -> None:
    launch(mark(stack), price=None)
    assert Provider().everything()[0].price == Decimal("1.006")


# What goes wrong.


def test_nothing_is_rented_without_pulumi(stack: Stack) -> None:
    with pytest.raises(RefusedError, match="aws needs Pulumi's CLI") as caught:
        Provider().create(order(stack))
    assert not caught.value.another


def test_the_embedded_engine_refuses_before_it_does_anything(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_client", lambda *_: pytest.fail("AWS was asked"))
    settings = config.parse({"hosts": {"a": {**spec().normalised()}}}, "test")
    for act in (
        lambda: engine.up(stack, settings, report=print),
        lambda: engine.replace(stack, settings, "a", report=print),
    ):
        with pytest.raises(ConfigError, match=r"gpurig:hosts\.a: aws needs Pulumi's CLI.*make setup-pulumi"):
            act()
    assert records.intents(stack) == {}
    assert not Ledger(stack.home).file.exists()


def test_missing_credentials_are_told_with_where_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.missing_key() == ""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert client.missing_key() == "AWS_ACCESS_KEY_ID"
    with pytest.raises(ConfigError, match=r"AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or ~/.aws"):
        client.instances(HOME)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AuthFailure", 401, ConfigError),
        ("ExpiredToken", 400, ConfigError),
        ("RequestLimitExceeded", 503, DoubtError),
        ("InternalError", 500, DoubtError),
        ("OperationNotPermitted", 400, RefusedError),
    ],
)
def test_an_error_of_aws_is_told_as_what_it_is(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, code: str, status: int, kind: type[Exception]
) -> None:
    launch(mark(stack))
    (machine,) = Provider().everything()
    refusing(monkeypatch, "terminate_instances", code, status)
    with pytest.raises(kind, match="as AWS says it"):
        Provider().end(stack, machine)


def test_boto3_and_pulumi_aws_are_imported_only_for_aws() -> None:
    code = (
        "import sys; from gpurig import config, engine, offers, providers, program, reap\n"
        "for name in providers.REGISTRY: providers.provider(name)\n"
        "entries = {'a': {'provider': 'aws', 'region': 'us-east-1', 'gpu': 'L4', 'max_price': 1}, 'b': {'provider': 'container'}}\n"
        "config.parse({'hosts': entries}, 'test')\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'boto3', 'botocore', 'pulumi_aws'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_aws_is_found_by_its_name() -> None:
    assert isinstance(renter("aws"), Provider)
