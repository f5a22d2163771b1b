"""Topic network refuses what cannot be, before anything changes, and says which key is to blame."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import topics
from gpurig.windows.plan import Plan
from tests.windows.homes import LAPTOP, VARIABLES, home
from tests.windows.model import netsh, network
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge, look

DIRECT = {**VARIABLES, "win_network_reach": "direct"}

MIRRORED = {**VARIABLES, "win_network_networking": "mirrored"}


def decide(machine: Machine, variables: dict[str, Any]) -> Plan:
    state = look(machine, *topics.sections("network"), variables=variables)
    return topics.decide("network", state, variables)


def refused(machine: Machine, variables: dict[str, Any]) -> dict[str, str]:
    plan = decide(machine, variables)
    assert plan.actions == ()
    return {refusal.key: refusal.text for refusal in plan.refusals}


@pytest.mark.parametrize(
    ("variables", "key", "said"),
    [
        ({"win_network_ports": {8000: None}}, "ports.8000", "`8000: 192.168.1.0/24`"),
        ({"win_network_ports": {8000: "home"}}, "ports.8000", "'home'"),
        ({"win_network_ports": {8000: "0.0.0.0/0"}}, "ports.8000", "every address"),
        ({"win_network_ports": {22: "10.0.0.0/8"}}, "ports.22", "sshd"),
        ({"win_network_ports": {2222: "10.0.0.0/8"}}, "ports.2222", "reach: direct"),
        ({"win_network_ports": {70000: "10.0.0.0/8"}}, "ports.70000", "no port"),
        ({"win_network_wsl_port": 22}, "wsl.port", "Windows' own sshd"),
        ({"win_network_allow_from": []}, "allow_from", "shut you out"),
        ({"win_network_allow_from": ["192.168.1.5/24"]}, "allow_from", "write 192.168.1.0/24"),
        ({"win_network_allow_from": ["10.0.0.0/8"]}, "allow_from", "192.168.1.20"),
    ],
)
def test_bad_input(variables: dict[str, Any], key: str, said: str) -> None:
    assert said in refused(home(), {**VARIABLES, **variables})[key]


@pytest.mark.parametrize(
    ("client", "allowed", "shut_out"),
    [
        ("192.168.1.20", "LocalSubnet", False),
        ("::ffff:192.168.1.20", "192.168.1.0/24", False),
        ("fe80::1%5", "LocalSubnet", False),
        ("2001:db8::1", "LocalSubnet", False),  # which IPv6 networks are the PC's is not read
        ("127.0.0.1", "10.0.0.0/8", False),
        (None, "10.0.0.0/8", False),
        ("100.64.0.9", "LocalSubnet", True),
        ("2001:db8::1", "10.0.0.0/8", True),
    ],
)
def test_nobody_shuts_himself_out(client: str | None, allowed: str, *, shut_out: bool) -> None:
    machine = home()
    machine.data["network"]["client"] = client
    plan = decide(machine, {**VARIABLES, "win_network_allow_from": [allowed]})
    assert [refusal.key for refusal in plan.refusals] == (["allow_from"] if shut_out else [])


@pytest.mark.parametrize("language", ["en-US", "de-DE", "zh-CN"])
def test_a_port_that_windows_keeps(language: str) -> None:
    machine = home(language=language)
    machine.data["network"]["excluded"] = [[2180, 2279], [50000, 50059]]
    said = refused(machine, VARIABLES)["wsl.port"]
    assert "2180-2279" in said
    assert "net stop winnat" in said


def test_an_exposed_services_port_is_told_by_the_key_that_is_in_the_file() -> None:
    machine = home()
    machine.data["network"]["excluded"] = [[18880, 18890]]
    ports = {"win_network_ports": {18888: "192.168.1.0/24"}, "win_network_exposed": {"18888": "jupyter"}}
    said = refused(machine, {**VARIABLES, **ports})
    assert list(said) == ["expose.jupyter"]
    assert "services_ports: {jupyter: …}" in said["expose.jupyter"]
    machine = home()
    machine.data["firewall"]["profiles"]["public"] |= {"block_all": True}
    assert list(refused(machine, {**VARIABLES, **ports})) == ["expose.jupyter"]


def test_a_port_that_was_reserved_on_purpose_is_free() -> None:
    machine = home()
    machine.data["network"]["excluded"] = [[2222, 2222, True]]
    converge(machine, "network", DIRECT)
    assert network.reachable(machine, 2222, LAPTOP)


def test_a_port_of_a_windows_program() -> None:
    machine = home()
    machine.data["network"]["programs"].append({"address": "127.0.0.1", "port": 2222, "process": "node", "service": ""})
    assert "node" in refused(machine, VARIABLES)["wsl.port"]


def test_somebody_elses_proxy_on_the_port() -> None:
    machine = home()
    machine.registry(netsh.KEY.format("v4tov4"))["192.168.1.50/2222"] = "192.168.1.9/22"
    said = refused(machine, DIRECT)["wsl.port"]
    assert "192.168.1.9/22" in said
    assert "delete v4tov4 listenport=2222 listenaddress=192.168.1.50" in said
    assert not decide(machine, VARIABLES).refusals  # nothing of ours listens there


@pytest.mark.parametrize(("change", "said"), [({"block_all": True}, "Blocks all"), ({"local_rules": False}, "policy")])
def test_a_policy_that_forbids(change: dict[str, Any], said: str) -> None:
    machine = home()
    machine.data["firewall"]["profiles"]["public"] |= change
    assert said in refused(machine, DIRECT)["reach"]
    plan = decide(machine, VARIABLES)
    assert not plan.refusals
    assert said in plan.warnings[0]


def test_a_policy_for_networks_of_another_kind_does_not_matter() -> None:
    machine = home()
    machine.data["firewall"]["profiles"]["domain"] |= {"local_rules": False}
    converge(machine, "network", DIRECT)


def test_windows_10_is_refused() -> None:
    assert "build 19045" in refused(home(build=19045), MIRRORED)["wsl.networking"]
