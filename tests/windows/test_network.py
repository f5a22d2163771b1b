"""Topic network: who reaches what, and nothing of anybody else's is touched."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import topics
from gpurig.windows.plan import Plan
from tests.windows.homes import LAPTOP, STRANGER, VARIABLES, home, inside
from tests.windows.model import netsh, network, wsl_vm
from tests.windows.model.fresh_network import rule
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge, look, talk

DIRECT = {**VARIABLES, "win_network_reach": "direct"}

MIRRORED = {**VARIABLES, "win_network_networking": "mirrored"}


def decide(machine: Machine, variables: dict[str, Any]) -> Plan:
    state = look(machine, *topics.sections("network"), variables=variables)
    return topics.decide("network", state, variables)


def entries(machine: Machine) -> dict[str, str]:
    return netsh.entries(machine)


def test_by_default_nothing_but_windows_sshd_is_open() -> None:
    machine = home()
    converge(machine, "network", VARIABLES)
    assert entries(machine) == {}
    assert network.reachable(machine, 2222, "127.0.0.1")
    assert not network.reachable(machine, 2222, LAPTOP)
    assert network.admitted(machine, 22, LAPTOP)
    assert not network.admitted(machine, 22, STRANGER)


def test_directly_reached_wsl_is_open_to_the_allowed_network_only() -> None:
    machine = home()
    converge(machine, "network", DIRECT)
    assert entries(machine) == {"0.0.0.0/2222": "172.28.120.45/2222"}
    assert network.reachable(machine, 2222, LAPTOP)
    assert not network.reachable(machine, 2222, STRANGER)


def test_a_listed_port_is_open_to_its_own_range() -> None:
    machine = home()
    inside(machine).listening.append(8000)
    converge(machine, "network", {**VARIABLES, "win_network_ports": {8000: "192.168.1.20/32"}})
    assert network.reachable(machine, 8000, LAPTOP)
    assert not network.reachable(machine, 8000, "192.168.1.21")
    assert not network.reachable(machine, 2222, LAPTOP)


def test_what_is_no_longer_wanted_goes() -> None:
    machine = home()
    before = machine.snapshot()
    wanted = {**DIRECT, "win_network_ports": {8000: "LocalSubnet", 6006: "192.168.1.0/24"}}
    converge(machine, "network", wanted)
    converge(machine, "network", {**DIRECT, "win_network_ports": {8000: "LocalSubnet"}})
    assert set(entries(machine)) == {"0.0.0.0/2222", "0.0.0.0/8000"}
    converge(machine, "network", VARIABLES)
    assert entries(machine) == {}
    assert machine.data["firewall"] == before["firewall"]


def test_the_firewall_takes_masks_and_cases_as_the_same() -> None:
    machine = home()
    variables = {**VARIABLES, "win_network_allow_from": ["localsubnet", "10.1.0.0/16", "fd00::/8", "10.9.9.9"]}
    converge(machine, "network", variables)
    assert machine.data["firewall"]["rules"]["gpurig-ssh"]["remote"] == [
        "LocalSubnet",
        "10.1.0.0/255.255.0.0",
        "fd00::/8",
        "10.9.9.9",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"action": "Block"},
        {"profiles": ["private"]},
        {"remote": ["any"]},
        {"ports": ["22", "23"]},
        {"protocol": "6", "group": ""},
    ],
)
def test_our_rule_is_mended_in_place(change: dict[str, Any]) -> None:
    machine = home()
    machine.data["firewall"]["rules"]["gpurig-ssh"] |= change
    plan = converge(machine, "network", VARIABLES)
    assert [action.kind for action in plan.actions] == ["firewall_set"]


def test_an_entry_without_a_listener_gets_one() -> None:
    machine = home()
    converge(machine, "network", DIRECT)
    machine.data["services"]["iphlpsvc"] = {"state": "stopped", "start": "manual"}
    assert not network.reachable(machine, 2222, LAPTOP)
    plan = converge(machine, "network", DIRECT)
    assert [action.kind for action in plan.actions] == ["service_set", "portproxy_set"]
    assert network.reachable(machine, 2222, LAPTOP)


def test_ip_helper_that_does_not_listen_is_started_anew() -> None:
    machine = home()
    converge(machine, "network", DIRECT)
    machine.data["network"]["deaf"] = ["0.0.0.0/2222"]
    assert not network.reachable(machine, 2222, LAPTOP)
    plan = converge(machine, "network", DIRECT)
    assert [action.kind for action in plan.actions] == ["service_restart", "portproxy_set"]
    assert network.reachable(machine, 2222, LAPTOP)


def test_a_moved_address_is_followed() -> None:
    machine = home()
    converge(machine, "network", DIRECT)
    machine.move_address()
    assert not network.reachable(machine, 2222, LAPTOP)
    converge(machine, "network", DIRECT)
    assert network.reachable(machine, 2222, LAPTOP)


def test_wsl_without_an_answer_is_left_to_the_keeper() -> None:
    machine = home()
    inside(machine).silent = True
    plan = converge(machine, "network", DIRECT)
    assert "keeper" in plan.warnings[0]
    assert machine.value("HKLM:\\SOFTWARE\\gpurig", "portproxy") == "0.0.0.0/2222"


@pytest.mark.parametrize("tells_mode", [True, False])
def test_no_proxy_leads_to_windows_itself(*, tells_mode: bool) -> None:
    machine = home()
    inside(machine).tells_mode = tells_mode
    machine.data["wsl"]["networking"] = "mirrored"
    plan = converge(machine, "network", DIRECT)
    assert "itself" in plan.warnings[0]
    assert entries(machine) == {}


class TestMirrored:
    def test_proxies_make_room_for_rules_of_the_vm(self) -> None:
        machine = home()
        converge(machine, "network", DIRECT)
        machine.data["wsl"]["networking"] = "mirrored"
        variables = {**DIRECT, **MIRRORED, "win_network_ports": {8000: "10.0.0.0/8"}}
        converge(machine, "network", variables)
        assert entries(machine) == {}
        assert "gpurig-wsl-2222" not in machine.data["firewall"]["rules"]
        assert set(machine.data["hyperv"]["rules"]) == {"gpurig-wsl-2222", "gpurig-wsl-8000"}
        assert network.reachable(machine, 2222, LAPTOP)
        assert not network.reachable(machine, 2222, STRANGER)
        machine.data["wsl"]["networking"] = "nat"
        converge(machine, "network", DIRECT)
        assert machine.data["hyperv"]["rules"] == {}
        assert network.reachable(machine, 2222, LAPTOP)


def test_foreign_rules_that_open_or_block_are_told() -> None:
    machine = home()
    rules = machine.data["firewall"]["rules"]
    rules["OpenSSH-Server-In-TCP"]["enabled"] = True
    rules["Vendor"] = rule("2000-3000", "any", display="Vendor", action="Block")
    plan = converge(machine, "network", DIRECT)
    assert len(plan.warnings) == 2
    assert "OpenSSH-Server-In-TCP" in plan.warnings[0]
    assert "blocks port 2222" in plan.warnings[1]


@pytest.mark.parametrize(
    ("change", "said"), [({"inbound": "Allow"}, "DefaultInboundAction Block"), ({"enabled": False}, "off")]
)
def test_a_vm_that_nothing_guards_is_told_where_it_matters(change: dict[str, Any], said: str) -> None:
    machine = home()
    machine.data["hyperv"] |= change
    assert decide(machine, DIRECT).warnings == ()
    machine.data["wsl"]["networking"] = "mirrored"
    assert said in decide(machine, MIRRORED).warnings[0]


def test_without_rights_nothing_changes_and_it_is_said() -> None:
    machine = home(language="de-DE")
    machine.data["login"]["elevated"] = False
    before = machine.snapshot()
    answer = talk(machine, decide(machine, DIRECT).actions, {})
    failed = answer.failed()
    assert failed is not None
    assert failed.problem is not None
    assert failed.problem["hresult"] == "0x80070005"
    assert machine.data == before


def test_an_unreadable_section_is_refused_and_not_guessed() -> None:
    machine = home()
    state = look(machine, *topics.sections("network"), variables=VARIABLES)
    state["network"] = {"error": {"message": "no such class", "id": "x", "hresult": "0x80041010"}}  # type: ignore[typeddict-item,typeddict-unknown-key]
    plan = topics.decide("network", state, VARIABLES)
    assert plan.actions == ()
    assert "no such class" in plan.refusals[0].text


def test_a_stopped_vm_has_its_gateway_no_more() -> None:
    machine = home()
    assert network.GATEWAY[0] in network.addresses(machine)
    wsl_vm.shutdown(machine)
    assert network.GATEWAY[0] not in network.addresses(machine)
