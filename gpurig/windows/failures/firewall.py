"""What Windows' own firewall lets in."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from gpurig.windows import ranges
from gpurig.windows.failures.case import FIREWALL, Case, Failure
from gpurig.windows.failures.names import NAMES


def blocked(case: Case) -> Failure | None:
    """13. No rule, a rule for other networks, a profile that ignores rules, or another firewall (Microsoft's troubleshooting page)."""
    network = case.section("network")
    wanted = [case.ssh_port, *([] if case.mirrored else case.opened)]
    meaning = "It works on the PC itself, but other machines get no answer."
    if not network:
        silent = [
            port
            for port, answer in case.link.ports.items()
            if answer == "silent" and port in (case.ssh_port, case.port)
        ]
        if not silent or "open" not in case.link.ports.values():
            return None  # a PC that is off is as silent
        found = f"port {silent[0]} of the PC does not answer, and another one does"
        fix = "Look at the PC's firewall; that of an antivirus program counts too."
        return Failure(13, NAMES[13], FIREWALL, found, meaning, fix)
    active = set(network["connections"].values())
    for profile in network["firewall_profiles"]:
        if profile["enabled"] and profile["name"].lower() in active and profile["block_all"]:
            found = f"the firewall of {profile['name'].lower()} networks blocks everything that comes in, whatever rules say"
            fix = f"`Set-NetFirewallProfile -Name {profile['name']} -AllowInboundRules True` on the PC; if it is back soon, a group policy sets it."
            return Failure(13, NAMES[13], FIREWALL, found, meaning, fix)
        if profile["enabled"] and profile["name"].lower() in active and not profile["local_rules"]:
            found = f"a group policy lets the firewall of {profile['name'].lower()} networks ignore this PC's own rules"
            return Failure(
                13, NAMES[13], FIREWALL, found, meaning, "Ask whoever manages this PC for a rule in the policy."
            )
    for port in wanted:
        said = _closed(case, network, port, active)
        if said:
            actions = case.planned("network", "firewall_set")
            setter = (
                f"The script of `rig bootstrap {case.host}`, run at the PC,"
                if case.pinned
                else case.site("win_network")
            )
            fix = f"{setter} sets the rule; from where it lets in, `allow_from` in the entry of {case.host} says."
            return Failure(13, NAMES[13], FIREWALL, said, meaning, fix, actions)
    silent = [port for port in wanted if case.link.ports.get(port) == "silent"]
    if silent:
        found = f"port {silent[0]} does not answer us, though Windows' own firewall lets us in"
        fix = "Look for a second firewall: an antivirus program's, or the router's between the two networks."
        return Failure(13, NAMES[13], FIREWALL, found, meaning, fix)
    return None


def covers(case: Case, remote: list[str], port: int) -> bool:
    """Whether who shall come in to a port is among these; what cannot be told is not held against the rule."""
    address, connected = _source(case, port), case.section("network").get("addresses") or {}
    if not address or {"any", "*"} & {one.lower() for one in remote}:
        return True
    try:
        return ranges.contain(remote, address, connected) is not False
    except ValueError:  # from one address to another, as people write it in Windows
        return True


def who(case: Case, port: int) -> str:
    """Who shall come in to a port, in words."""
    return _others(case, port) or f"us ({_source(case, port)})"


def _source(case: Case, port: int) -> str | None:
    """Where we come from, as the PC sees it; where a port is for others, the first of their addresses."""
    try:
        return str(ipaddress.ip_network(_others(case, port), strict=False).network_address)
    except ValueError:
        return case.section("network").get("client") or case.link.source


def _others(case: Case, port: int) -> str:
    """The range that a further port is opened to; empty for SSH, and where that is the PC's own network."""
    given = (case.variables.get("win_network_ports") or {}).get(str(port)) or ""
    first = given if isinstance(given, str) else str(given[0])
    return "" if first.lower() == ranges.LOCAL.lower() else first


def _closed(case: Case, network: Mapping[str, Any], port: int, active: set[str]) -> str:
    """Why the firewall does not let us in to a port; empty where it does."""
    guarded = [one for one in network["firewall_profiles"] if one["enabled"] and one["name"].lower() in active]
    rules = [rule for rule in network["firewall_rules"] if any(_names(str(one), port) for one in rule["ports"])]
    against = [rule for rule in rules if rule["enabled"] and rule["action"].lower() == "block"]
    if guarded and (named := next((one for one in against if _holds(case, one, port, active)), None)):
        return f"the rule {named['display'] or named['name']} blocks port {port}, whatever other rules say"
    if not guarded or any(_open_to(case, rule, port, active) for rule in rules):
        return ""
    if not rules:
        return f"no rule of the firewall lets anybody in to port {port}"
    rule = rules[0]
    if not rule["enabled"]:
        return f"the rule {rule['name']} for port {port} is switched off"
    if not covers(case, rule["remote"], port):
        return f"the rule {rule['name']} for port {port} lets in {', '.join(rule['remote'])}, not {who(case, port)}"
    return f"the rule {rule['name']} for port {port} holds in {', '.join(rule['profiles'])} networks, and this PC is in {', '.join(sorted(active))}"


def _open_to(case: Case, rule: Mapping[str, Any], port: int, active: set[str]) -> bool:
    """Whether a firewall rule lets in who shall come in, over every network that the PC is in."""
    profiles = {one.lower() for one in rule["profiles"]}
    allows = rule["enabled"] and rule["action"].lower() == "allow"
    return bool(allows and ("any" in profiles or active <= profiles) and covers(case, rule["remote"], port))


def _holds(case: Case, rule: Mapping[str, Any], port: int, active: set[str]) -> bool:
    """Whether a rule is about who shall come in, over some network that the PC is in."""
    profiles = {one.lower() for one in rule["profiles"]}
    return ("any" in profiles or bool(active & profiles)) and covers(case, rule["remote"], port)


def _names(named: str, port: int) -> bool:
    """Whether `22`, or `20-30`, is about a port."""
    first, _, last = named.partition("-")
    return first.isdecimal() and int(first) <= port <= int(last if last.isdecimal() else first)
