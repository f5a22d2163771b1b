"""The Windows half of site.yml, by real Ansible over real SSH, on other PCs than the plain one, and with the power going off.

Windows and the Linux within are simulated here; test_site.py has a real Linux.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.containers import Containers
from tests.windows.home import Home, home
from tests.windows.model import clock, network
from tests.windows.model.fresh import fresh
from tests.windows.model.healthy import GpuLinux
from tests.windows.test_site import changed

pytestmark = pytest.mark.timeout(600)

LAPTOP, STRANGER = "192.168.1.20", "203.0.113.9"

PROXIES = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\PortProxy\\v4tov4\\tcp"

ENTRY: dict[str, Any] = {
    "allow_reboot": True,
    "allow_from": "192.168.1.0/24",
    "reach": "direct",
    "ports": {"8000": "192.168.1.0/24"},
}


@pytest.fixture
def german(at_hand: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A German PC on which somebody else forwards a port already."""
    with home(tmp_path_factory.mktemp("project"), at_hand, fresh(language="de-DE"), linux=GpuLinux(), **ENTRY) as made:
        made.machine.registry(PROXIES)["0.0.0.0/9999"] = "192.168.1.101/22"
        made.rig("up", "--yes")
        yield made


def site(pc: Home, *, check: bool = True) -> dict[str, int]:
    return changed(pc.playbook("site.yml", limit="home-win", check=check).stdout)


def test_a_german_pc_is_reached_directly_and_only_by_whom_it_should(german: Home) -> None:
    site(german)
    machine = german.machine
    clock.advance(machine, 3)
    assert site(german) == {"home-win": 0}
    assert network.reachable(machine, 2222, LAPTOP)
    assert not network.reachable(machine, 2222, STRANGER)
    assert machine.registry(PROXIES)["0.0.0.0/8000"].endswith("/8000")
    machine.move_address()
    assert not network.reachable(machine, 2222, LAPTOP)
    clock.advance(machine, 3)
    assert network.reachable(machine, 2222, LAPTOP)
    assert machine.registry(PROXIES)["0.0.0.0/9999"] == "192.168.1.101/22"


def test_power_lost_again_and_again_costs_another_run_and_nothing_more(german: Home) -> None:
    """Each run gets a little further; Ansible sees a connection end in the middle of a task."""
    machine, cuts = german.machine, 0
    for steps in (1, 3, 6, 10, 15, 20):
        machine.power_lost_at = machine.steps + steps
        site(german, check=False)
        cuts += machine.power_lost_at is None
        machine.power_lost_at = None
    assert cuts >= 3  # the later ones may be past the end
    site(german)
    clock.advance(machine, 3)
    assert site(german) == {"home-win": 0}
    assert network.reachable(machine, 2222, LAPTOP)
