"""Who listens on the simulated PC, what its firewalls let through, and whether a connection reaches WSL."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.windows.openings import EVERYWHERE
from tests.windows.model import linux_scripts, netsh, wsl_vm
from tests.windows.model.linux import ContainerLinux, SimulatedLinux
from tests.windows.model.pc import Machine

GATEWAY = ("vEthernet (WSL (Hyper-V firewall))", "172.28.112.1/20")

HYPERV_BUILD = 22621


def guest_address(machine: Machine) -> str | None:
    """The address of WSL's eth0; None where no distribution runs."""
    if not machine.data["wsl"]["running"]:
        return None
    if mirrored(machine):
        return str(machine.data["network"]["interfaces"]["Ethernet"]["addresses"][0]).partition("/")[0]
    for name in machine.data["wsl"]["running"]:
        inside = machine.linux.get(name)
        if isinstance(inside, ContainerLinux):  # a real one has a real address
            _, out, _ = inside.run("ip -4 -o addr show dev eth0", [], b"")
            found = re.search(r"inet (\S+)/", out.decode())
            return found[1] if found else None
    return str(machine.value(wsl_vm.LXSS, "NatIpAddress", wsl_vm.ADDRESS))


def move(machine: Machine, address: str) -> None:
    """Give WSL another address."""
    for user in machine.data["users"].values():
        user["registry"].setdefault(wsl_vm.LXSS.partition(":\\")[2], {})["NatIpAddress"] = address
    for inside in machine.linux.values():
        if isinstance(inside, SimulatedLinux) and inside.data is not None:
            inside.data["facts"]["address"] = address


def mirrored(machine: Machine) -> bool:
    """Whether WSL runs with mirrored networking."""
    return bool(machine.data["wsl"].get("networking", "nat") == "mirrored")


def addresses(machine: Machine) -> dict[str, list[str]]:
    """Interface → its IPv4 addresses with prefix. WSL's own is there while its VM runs."""
    found = {name: list(one["addresses"]) for name, one in machine.data["network"]["interfaces"].items()}
    if machine.data["wsl"]["vm_started"] is not None and not mirrored(machine):
        found[GATEWAY[0]] = [GATEWAY[1]]
    return {"Loopback Pseudo-Interface 1": ["127.0.0.1/8"], **found}


def listeners(machine: Machine) -> list[dict[str, Any]]:
    """Sockets that listen: programs, sshd, Remote Desktop, the port proxy and WSL's relay, each as far as it can."""
    found = [dict(one) for one in machine.data["network"]["programs"]]
    services = machine.data["services"]
    if services.get("sshd", {}).get("state") == "running":
        found += [
            {"address": at, "port": machine.data.get("ssh_port", 22), "process": "sshd", "service": "sshd"}
            for at in (EVERYWHERE, "::")
        ]
    if services.get("TermService", {}).get("state") == "running":
        found.append({"address": EVERYWHERE, "port": 3389, "process": "svchost", "service": "TermService"})
    if services["iphlpsvc"]["state"] == "running":
        for listen in netsh.entries(machine):
            address, _, port = listen.partition("/")
            bound = EVERYWHERE if address == "*" else address
            if listen not in machine.data["network"]["deaf"] and _free(machine, found, bound, int(port)):
                found.append({"address": bound, "port": int(port), "process": "svchost", "service": "iphlpsvc"})
    if machine.data["wsl"].get("relay", True) and not mirrored(machine):
        found += [
            {"address": at, "port": port, "process": "wslrelay", "service": ""}
            for port in guest_ports(machine)
            for at in ("127.0.0.1", "::1")
            if _free(machine, found, at, port)
        ]
    return found


def guest_ports(machine: Machine) -> list[int]:
    """Ports on which something listens inside WSL, on all its addresses."""
    ports: set[int] = set()
    for name in machine.data["wsl"]["running"]:
        inside = machine.linux.get(name)
        if isinstance(inside, SimulatedLinux) and inside.data is not None:
            said = re.findall(r"^sshd_port=\S*:(\d+)$", linux_scripts.facts(inside.data, "2222", "-"), re.MULTILINE)
            ports |= set(map(int, said))
        else:
            ports |= set(getattr(inside, "listening", [2222]))
    return sorted(ports)


def reachable(machine: Machine, port: int, source: str) -> bool:
    """Whether a connection from that address to this port of the PC gets to a program inside WSL."""
    if port not in guest_ports(machine):
        return False
    if source == "127.0.0.1":  # from a jump, or the PC itself
        if mirrored(machine):
            return True
        return any(
            one["process"] == "wslrelay" and one["port"] == port and one["address"] == "127.0.0.1"
            for one in listeners(machine)
        )
    if mirrored(machine):
        rules = machine.data["hyperv"]["rules"].values()
        return machine.data["hyperv"]["inbound"] == "Allow" or any(_lets(machine, one, port, source) for one in rules)
    return admitted(machine, port, source) and _proxied(machine, port)


def admitted(machine: Machine, port: int, source: str) -> bool:
    """Whether the host firewall lets a TCP connection from that address through to this port."""
    interface = next((one for name, one in _interfaces(machine) if _connected(one, source)), None)
    category = (interface or machine.data["network"]["interfaces"]["Ethernet"])["category"]
    profile = machine.data["firewall"]["profiles"][category]
    if not profile["enabled"]:
        return True
    if profile["block_all"] or not profile["local_rules"]:
        return False
    rules = [
        rule
        for rule in machine.data["firewall"]["rules"].values()
        if set(rule["profiles"]) & {"any", category} and _lets(machine, rule, port, source, any_action=True)
    ]
    return bool(rules) and all(rule["action"] == "Allow" for rule in rules)


def _proxied(machine: Machine, port: int) -> bool:
    live = {(one["address"], one["port"]) for one in listeners(machine) if one["service"] == "iphlpsvc"}
    target = netsh.entries(machine).get(f"{EVERYWHERE}/{port}")
    return (EVERYWHERE, port) in live and target == f"{guest_address(machine)}/{port}"


def _lets(machine: Machine, rule: Mapping[str, Any], port: int, source: str, *, any_action: bool = False) -> bool:
    wanted = rule["enabled"] and rule.get("protocol", "TCP") == "TCP" and str(port) in rule["ports"]
    return bool(wanted and (any_action or rule["action"] == "Allow") and _from(machine, rule["remote"], source))


def _from(machine: Machine, remote: list[str], source: str) -> bool:
    address = ipaddress.ip_address(source)
    for one in remote:
        if one.lower() == "any" or (
            one == "LocalSubnet" and any(_connected(i, source) for _, i in _interfaces(machine))
        ):
            return True
        if one not in {"any", "LocalSubnet"} and address in ipaddress.ip_network(one):
            return True
    return False


def _interfaces(machine: Machine) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from machine.data["network"]["interfaces"].items()


def _connected(interface: Mapping[str, Any], source: str) -> bool:
    return any(ipaddress.ip_address(source) in ipaddress.ip_interface(one).network for one in interface["addresses"])


def _free(machine: Machine, found: list[dict[str, Any]], address: str, port: int) -> bool:
    for first, last, *administered in machine.data["network"]["excluded"]:
        if first <= port <= last and not administered:
            return False
    everywhere = {EVERYWHERE, "::"} if address in {EVERYWHERE, "*"} else set()
    return not any(one["port"] == port and one["address"] in {address, *everywhere} for one in found)
