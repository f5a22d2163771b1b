"""Topic rdp: Remote Desktop is for the given networks, or none of our business."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import topics
from gpurig.windows.plan import Plan
from gpurig.windows.topics.rdp import SERVER
from tests.windows.homes import LAPTOP, STRANGER, home
from tests.windows.model import network
from tests.windows.model.pc import Machine
from tests.windows.model.twins_keeper import POLICY
from tests.windows.rounds import converge, look

WANTED = {"win_rdp_allow_from": "192.168.1.0/24"}


def decide(machine: Machine, variables: dict[str, Any]) -> Plan:
    state = look(machine, *topics.sections("rdp"), variables=variables)
    return topics.decide("rdp", state, variables)


def test_by_default_it_is_left_alone() -> None:
    machine = home(edition="Professional")
    machine.registry(SERVER)["fDenyTSConnections"] = 0
    before = machine.snapshot()
    converge(machine, "rdp", {})
    assert machine.data == before


def test_it_is_open_to_the_given_network_only() -> None:
    machine = home(edition="Professional")
    plan = converge(machine, "rdp", WANTED)
    assert plan.actions[-1].kind == "firewall_set"
    assert machine.data["services"]["TermService"] == {"state": "running", "start": "auto"}
    assert network.admitted(machine, 3389, LAPTOP)
    assert not network.admitted(machine, 3389, STRANGER)


def test_no_longer_wanted_our_rule_goes_and_the_rest_stays() -> None:
    machine = home(edition="Professional")
    converge(machine, "rdp", WANTED)
    plan = converge(machine, "rdp", {})
    assert [action.kind for action in plan.actions] == ["firewall_remove"]
    assert machine.registry(SERVER)["fDenyTSConnections"] == 0


def test_topic_network_leaves_its_rule() -> None:
    machine = home(edition="Professional")
    converge(machine, "rdp", WANTED)
    converge(machine, "network", {"win_distribution_name": "Ubuntu-24.04"})
    assert "gpurig-rdp" in machine.data["firewall"]["rules"]


def test_windows_own_rule_for_everybody_is_told_and_left() -> None:
    machine = home(edition="Professional")
    machine.data["firewall"]["rules"]["RemoteDesktop-UserMode-In-TCP"]["enabled"] = True
    plan = converge(machine, "rdp", WANTED)
    assert "RemoteDesktop-UserMode-In-TCP" in plan.warnings[0]
    assert machine.data["firewall"]["rules"]["RemoteDesktop-UserMode-In-TCP"]["enabled"]


@pytest.mark.parametrize(
    ("edition", "policy", "wanted", "said"),
    [
        ("Core", None, "192.168.1.0/24", "Home edition"),
        ("CoreSingleLanguage", None, "192.168.1.0/24", "Home edition"),
        ("Enterprise", 1, "192.168.1.0/24", "policy"),
        ("Professional", None, "everybody", "'everybody'"),
        ("Professional", None, [], "names no network"),
    ],
)
def test_refused(edition: str, policy: int | None, wanted: Any, said: str) -> None:
    machine = home(edition=edition)
    if policy is not None:
        machine.registry(POLICY)["fDenyTSConnections"] = policy
    plan = decide(machine, {"win_rdp_allow_from": wanted})
    assert plan.actions == ()
    assert [refusal.key for refusal in plan.refusals] == ["rdp"]
    assert said in plan.refusals[0].text
