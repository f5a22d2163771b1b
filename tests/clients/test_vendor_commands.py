"""The same commands at every simulated vendor."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gpurig import accounts, clock, records
from gpurig.ledger import Ledger
from gpurig.stack import Stack
from tests.clients.commands import Rig
from tests.clients.fake import GOOD_KEY, Vendor
from tests.clients.server import serving
from tests.clients.vendors import VENDORS


@pytest.fixture(params=VENDORS, ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest, rig: Rig, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """Each simulated vendor, the only one whose key is here, with a host `box` that is up."""
    made: Vendor = request.param()
    made.lag = 20
    with serving(made) as url:
        monkeypatch.delenv("VAST_API_KEY")
        monkeypatch.setenv(accounts.without_key([made.name])[made.name], GOOD_KEY)
        monkeypatch.setenv(f"GPURIG_{made.name.upper()}_URL", url)
        stack.file.write_text(
            f"config:\n  gpurig:hosts:\n    box: {{provider: {made.name}, gpu: {made.gpu}, max_price: 50}}\n"
        )
        code, out, err = rig("up", "--yes")
        assert (code, out) == (0, "+  box  created\n"), err
        yield made
    assert made.mistakes == []


def verified(stack: Stack, host: str) -> None:
    """A verification of this host, passed now."""
    folder = stack.dir / "reports" / host
    folder.mkdir(parents=True, exist_ok=True)
    report = {"label": records.require(stack, host).label, "verdict": "PASS", "started": clock.now().isoformat()}
    (folder / "latest.json").write_text(json.dumps(report))


def test_what_a_host_is_said_to_cost_is_what_the_ledger_has(vendor: Vendor, rig: Rig, stack: Stack) -> None:
    offered = json.loads(rig("offers", "--gpu", vendor.gpu, "--json")[1])["offers"]
    (host,) = json.loads(rig("status", "--json")[1])["hosts"]
    (rental,) = json.loads(rig("costs", "--json")[1])["open"]
    assert host["hourly"] == f"{Ledger(stack.home).open_rentals()[0].price:f}"
    assert float(rental["hourly"]) == pytest.approx(float(host["hourly"]), abs=1e-4)
    assert all(one["provider"] == vendor.name for one in offered)


def test_a_machine_without_record_is_reaped(vendor: Vendor, rig: Rig, stack: Stack) -> None:
    assert "Nothing is left over" in rig("reap", "--yes")[1]
    records.remove(stack, "box")
    assert "gpurig.unit.test.box.1" in rig("reap")[1]
    assert len(vendor.living()) == 1
    assert rig("reap", "--yes")[0] == 0
    assert vendor.living() == []
    assert Ledger(stack.home).open_rentals() == []


def test_a_stack_without_state_is_ended(vendor: Vendor, rig: Rig, stack: Stack) -> None:
    (stack.dir / "hosts/box.json").write_text("")
    (stack.home / "ledger.sqlite").unlink()
    stack.file.unlink()
    assert rig("down", "--all", "--yes")[:2] == (0, "Ended: box\n")
    assert vendor.living() == []


def test_a_host_is_stopped_and_started_or_it_is_said_why_not(vendor: Vendor, rig: Rig, stack: Stack) -> None:
    full = json.loads(rig("status", "--json")[1])["hosts"][0]["hourly"]
    verified(stack, "box")
    code, _, err = rig("stop", "box", "--yes")
    if not records.require(stack, "box").capabilities.can_stop:
        assert code == 2
        assert err.startswith("box: ")
        return
    assert code == 0, err
    (host,) = json.loads(rig("status", "--json")[1])["hosts"]
    assert host["state"] == "stopped"
    assert float(host["hourly"]) < float(full)
    code, out, err = rig("start", "box", "--yes")
    assert (code, out) == (0, "box is up.\n"), err
    (host,) = json.loads(rig("status", "--json")[1])["hosts"]
    assert host["hourly"] == full
    kept = records.require(stack, "box").capabilities.stop_keeps
    wiped = f"box: the stop wiped all but {kept}; `ansible-playbook playbooks/site.yml --limit box` configures it again"
    assert (wiped in err, host["verified"]) == ((False, "PASS") if kept == "all" else (True, None))
    verified(stack, "box")
    assert json.loads(rig("status", "--json")[1])["hosts"][0]["verified"] == "PASS"


def test_with_a_damaged_ledger_a_host_is_still_stopped(vendor: Vendor, rig: Rig, stack: Stack) -> None:
    if not records.require(stack, "box").capabilities.can_stop:
        return
    (stack.home / "ledger.sqlite").write_bytes(b"no database " * 100)
    code, _, err = rig("stop", "box", "--yes")
    assert (code, "the ledger cannot be used" in err) == (0, True), err
