"""The life cycle against simulated vendors: what is rented, adopted, ended, and never forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gpurig import config, lifecycle
from gpurig.host import Host
from gpurig.ledger import Ledger
from gpurig.stack import Stack
from tests.clients.fake import Fault, Vendor
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


def ensure(stack: Stack, vendor: Vendor, **keys: object) -> Host:
    entry = {"provider": vendor.name, "gpu": vendor.gpu, "max_price": 50, **keys}
    spec = config.parse({"hosts": {"a": entry}}, "test").hosts["a"]
    return lifecycle.ensure(stack, "a", spec, report=print)


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
