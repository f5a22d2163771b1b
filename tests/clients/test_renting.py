"""The life cycle against simulated vendors: what is rented, adopted, ended, and never forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from gpurig import clock, config, lifecycle, records
from gpurig.errors import ConfigError
from gpurig.host import Host
from gpurig.ledger import Ledger
from gpurig.providers import Report
from gpurig.stack import Stack
from tests.clients.fake import READ_ONLY_KEY, Fault, Vendor
from tests.clients.server import serving
from tests.clients.vendors import VENDORS


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """Each simulated vendor, with listings that lag 20 s behind; its requests and replies must fit its specification."""
    made: Vendor = request.param()
    made.lag = 20
    with serving(made) as url:
        monkeypatch.setenv(f"GPURIG_{made.name.upper()}_URL", url)
        yield made
    assert made.mistakes == []


def ensure(stack: Stack, vendor: Vendor, report: Report = print) -> Host:
    entry = {"provider": vendor.name, "gpu": vendor.gpu, "max_price": 50}
    spec = config.parse({"hosts": {"a": entry}}, "test").hosts["a"]
    return lifecycle.ensure(stack, "a", spec, report=report)


def end(stack: Stack) -> None:
    lifecycle.end(stack, "a", (), report=print)


def test_a_host_is_rented_once_and_ended(stack: Stack, vendor: Vendor) -> None:
    host = ensure(stack, vendor)
    assert ensure(stack, vendor) == host
    (machine,) = vendor.living()
    assert machine.id == host.id
    end(stack)
    assert vendor.living() == []
    (rental,) = Ledger(stack.home).rentals()
    assert [kind for _, kind in rental.times] == ["intended", "rented", "listed", "accepted", "ending", "ended"]


@pytest.mark.parametrize("what", ["lose_request", "lose_reply", "half_reply", "status", "status_after", "html"])
@pytest.mark.parametrize("kind", ["create", "list", "end"])
def test_no_fault_leaves_two_machines_or_one_forgotten(stack: Stack, vendor: Vendor, kind: str, what: str) -> None:
    vendor.faults = [Fault(kind, what, 502), Fault(kind, what, 502, nth=1)]
    host = ensure(stack, vendor)
    assert [m.id for m in vendor.living()] == [host.id]
    end(stack)
    assert vendor.living() == []
    assert Ledger(stack.home).open_rentals() == []


def test_a_gap_in_the_listing_makes_no_host_gone(stack: Stack, vendor: Vendor) -> None:
    host = ensure(stack, vendor)
    vendor.blind_until = clock.monotonic() + 40
    assert lifecycle.observe(stack, host) is not None
    vendor.blind_until = clock.monotonic() + 40
    assert ensure(stack, vendor) == host
    assert [m.id for m in vendor.living()] == [host.id]


def test_a_machine_that_was_ended_unseen_is_not_taken_for_a_living_one(stack: Stack, vendor: Vendor) -> None:
    first = ensure(stack, vendor)
    vendor.blind_until = vendor.lag = float("inf")
    end(stack)
    assert vendor.living() == []
    vendor.blind_until, vendor.lag = 0, 20
    vendor.machines[first.id].unlisted_from = clock.monotonic() + 200
    second = ensure(stack, vendor)
    assert [m.id for m in vendor.living()] == [second.id] != [first.id]
    assert [rental.state for rental in Ledger(stack.home).rentals()] == ["ended", "accepted"]


def test_another_accounts_key_makes_no_host_gone(stack: Stack, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    host = ensure(stack, vendor)
    elsewhere = type(vendor)()
    with serving(elsewhere) as url:
        monkeypatch.setenv(f"GPURIG_{vendor.name.upper()}_URL", url)
        monkeypatch.setenv(import_module(f"gpurig.providers.{vendor.name}.client").VENDOR.key, READ_ONLY_KEY)
        for refused in (lambda: lifecycle.forget(stack, host), lambda: end(stack)):
            with pytest.raises(ConfigError, match="was rented with another key"):
                refused()
    assert [rental.state for rental in Ledger(stack.home).rentals()] == ["accepted"]


def test_an_extra_machine_that_worked_is_kept_and_told_of(stack: Stack, vendor: Vendor) -> None:
    first = ensure(stack, vendor)
    (hidden,) = vendor.living()
    hidden.listed_from = float("inf")  # a listing that lies for longer than any known delay
    second = ensure(stack, vendor)
    hidden.listed_from = 0
    told: list[str] = []
    assert ensure(stack, vendor, report=told.append).id == second.id
    assert {m.id for m in vendor.living()} == {first.id, second.id}
    assert any("may hold work" in line for line in told)


def test_an_extra_machine_that_another_computer_rented_is_kept(stack: Stack, vendor: Vendor, tmp_path: Path) -> None:
    elsewhere = Stack(stack.project, stack.name, tmp_path, tmp_path / "elsewhere")
    records.set_generation(elsewhere, "a", 5)
    theirs = ensure(elsewhere, vendor)
    (hidden,) = vendor.living()
    hidden.listed_from = float("inf")
    ours = ensure(stack, vendor)
    hidden.listed_from = 0
    told: list[str] = []
    assert ensure(stack, vendor, report=told.append).id == ours.id
    assert {m.id for m in vendor.living()} == {theirs.id, ours.id}
    assert any("rented elsewhere" in line for line in told)
