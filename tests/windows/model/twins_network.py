"""Twins: port proxy, firewalls, connections."""

from __future__ import annotations

import re
from typing import Any

from tests.windows.model import firewall, netsh, network
from tests.windows.model.network import HYPERV_BUILD
from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.model.twins import twin

OURS = "HKLM:\\SOFTWARE\\gpurig"

DONE = {"changed": True, "data": None}

NOTHING = {"changed": False, "data": None}


@twin("collect/network")
def collect(machine: Machine, *, ports: list[int], group: str) -> dict[str, Any]:
    data = machine.data
    lines = [re.fullmatch(r"\s*(\d+)\s+(\d+)\s*", line) for line in netsh.excluded(machine).splitlines()]
    rules = {
        name: rule
        for name, rule in firewall.host(machine).items()
        if rule["group"] == group
        or (rule["enabled"] and rule["protocol"] in {"TCP", "6"} and _names(rule["ports"], ports))
    }
    noted = str(machine.value(OURS, "portproxy") or "")
    return {
        "portproxy": {kind: dict(netsh.entries(machine, kind)) for kind in ("v4tov4", "v4tov6", "v6tov4", "v6tov6")},
        "ours": [one.lstrip("-") for one in noted.split() if "/" in one],
        "client": data["network"]["client"],
        "listeners": network.listeners(machine),
        "excluded": [[int(line[1]), int(line[2])] for line in lines if line],
        "connections": {name: one["category"] for name, one in data["network"]["interfaces"].items()},
        "addresses": network.addresses(machine),
        "firewall_rules": [{"name": name, **rule} for name, rule in rules.items()],
        "firewall_profiles": [{"name": name, **one} for name, one in data["firewall"]["profiles"].items()],
        "hyperv": _hyperv(machine),
    }


@twin("apply/portproxy_set")
def portproxy_set(
    machine: Machine, *, listen_address: str, listen_port: int, connect_address: str, connect_port: int
) -> dict[str, Any]:
    listen, connect = f"{listen_address}/{listen_port}", f"{connect_address}/{connect_port}"
    code, _ = netsh.portproxy_set(machine, listen, connect)
    if netsh.entries(machine).get(listen) != connect:
        raise PowerShellError(f"netsh interface portproxy set ended with {code}, and the entry is not there")
    return DONE


@twin("apply/portproxy_delete")
def portproxy_delete(machine: Machine, *, listen_address: str, listen_port: int) -> dict[str, Any]:
    listen = f"{listen_address}/{listen_port}"
    if listen not in netsh.entries(machine):
        return NOTHING
    code, _ = netsh.portproxy_delete(machine, listen)
    if listen in netsh.entries(machine):
        raise PowerShellError(f"netsh interface portproxy delete ended with {code}, and the entry is still there")
    return DONE


@twin("apply/firewall_set")
def firewall_set(machine: Machine, *, name: str, display: str, port: int, remote: list[str]) -> dict[str, Any]:
    rules = firewall.host(machine)
    values = {
        "display": display,
        "enabled": True,
        "action": "Allow",
        "profiles": ["any"],
        "protocol": "TCP",
        "ports": [str(port)],
        "remote": remote,
    }
    if name not in rules:
        firewall.new(machine, rules, name, {**values, "group": "gpurig"})
        return DONE
    if rules[name]["group"] != "gpurig":
        firewall.change(machine, rules, name, {"group": "gpurig"})
        machine.step()
    firewall.change(machine, rules, name, values)
    return DONE


@twin("apply/firewall_remove")
def firewall_remove(machine: Machine, *, name: str) -> dict[str, Any]:
    rules = firewall.host(machine)
    if name not in rules:
        return NOTHING
    firewall.remove(machine, rules, name)
    return DONE


@twin("apply/hyperv_set")
def hyperv_set(machine: Machine, *, name: str, display: str, port: int, remote: list[str]) -> dict[str, Any]:
    rules = firewall.hyperv(machine)
    values = {"display": display, "enabled": True, "action": "Allow", "ports": [str(port)], "remote": remote}
    (firewall.change if name in rules else firewall.new)(machine, rules, name, values)
    return DONE


@twin("apply/hyperv_remove")
def hyperv_remove(machine: Machine, *, name: str) -> dict[str, Any]:
    rules = firewall.hyperv(machine)
    if name not in rules:
        return NOTHING
    firewall.remove(machine, rules, name)
    return DONE


def _names(named: list[str], ports: list[int]) -> bool:
    for one in named:
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", one)
        if span and any(int(span[1]) <= port <= int(span[2] or span[1]) for port in ports):
            return True
    return False


def _hyperv(machine: Machine) -> dict[str, Any]:
    if machine.data["build"] < HYPERV_BUILD:
        return {"available": False, "enabled": False, "inbound": "", "rules": []}
    found = machine.data["hyperv"]
    kept = ("enabled", "action", "ports", "remote")
    rules = [{"name": name, **{key: rule[key] for key in kept}} for name, rule in found["rules"].items()]
    return {"available": True, "enabled": found["enabled"], "inbound": found["inbound"], "rules": rules}
