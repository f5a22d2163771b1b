"""Our rules in Windows' firewalls, and what of other people's and of policies makes them worth less."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gpurig.windows import ranges
from gpurig.windows.actions import Action
from gpurig.windows.questions import GROUP
from gpurig.windows.state import FirewallRule, HyperVRule, NetworkSection

PREFIX = "gpurig-"

SSH, WSL, RDP = f"{PREFIX}ssh", f"{PREFIX}wsl-", f"{PREFIX}rdp"
"""Unique names of our rules; WSL's have the port behind."""


WSL_VM = "{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}"
"""WSL, to Hyper-V's firewall."""


@dataclass(frozen=True, slots=True)
class Rule:
    """name: unique on the PC. display: what Windows shows. remote: ranges that may reach the TCP port."""

    name: str
    display: str
    port: int
    remote: tuple[str, ...]


def firewall(found: NetworkSection, wanted: Sequence[Rule]) -> list[Action]:
    """The host firewall: ours as wanted, and no other of ours but Remote Desktop's, which is another topic's."""
    present = {rule["name"]: rule for rule in found["firewall_rules"]}
    keep = {rule.name for rule in wanted} | {RDP}
    gone = [name for name, rule in present.items() if ours(rule) and name not in keep]
    return [
        *(_removed("firewall_remove", name, _words(present[name])) for name in sorted(gone)),
        *(action for rule in wanted for action in one(found, rule)),
    ]


def one(found: NetworkSection, rule: Rule) -> list[Action]:
    """What makes one rule of ours right; nothing where it is."""
    present = next((there for there in found["firewall_rules"] if there["name"] == rule.name), None)
    if present and _right(present, rule):
        return []
    return [_made("firewall_set", rule, _words(present) if present else "none")]


def removed(found: NetworkSection, name: str) -> list[Action]:
    """What takes out one rule of ours."""
    return [
        _removed("firewall_remove", name, _words(rule))
        for rule in found["firewall_rules"]
        if rule["name"] == name and ours(rule)
    ]


def hyperv(found: NetworkSection, wanted: Sequence[Rule]) -> list[Action]:
    """The firewall of WSL's VM: ours as wanted, and no other of ours."""
    present = {rule["name"]: rule for rule in found["hyperv"]["rules"]}
    keep = {rule.name for rule in wanted}
    return [
        *(
            _removed("hyperv_remove", name, _words(present[name]))
            for name in sorted(present)
            if name.startswith(PREFIX) and name not in keep
        ),
        *(
            _made("hyperv_set", rule, _words(present[rule.name]) if rule.name in present else "none")
            for rule in wanted
            if rule.name not in present or not _open(present[rule.name], rule)
        ),
    ]


def ours(rule: FirewallRule) -> bool:
    """Whether a rule of the host firewall was made by us."""
    return rule["group"] == GROUP and rule["name"].startswith(PREFIX)


def loose(found: NetworkSection, ports: Iterable[int]) -> list[str]:
    """Other people's rules that let anybody in where we limit; they are not ours to change."""
    return [
        f"the firewall rule {rule['display']!r} lets every address reach port {port}; to leave it to ours: {_off(rule)}"
        for port, rule in _others(found, ports, "Allow")
        if any(map(ranges.everybody, rule["remote"]))
    ]


def shut(found: NetworkSection, ports: Iterable[int]) -> list[str]:
    """Other people's rules that shut out whom we let in."""
    return [
        f"the firewall rule {rule['display']!r} blocks port {port} whatever ours allows; to turn it off: {_off(rule)}"
        for port, rule in _others(found, ports, "Block")
    ]


def wide(found: NetworkSection, ports: Sequence[int]) -> Iterator[str]:
    """Why the firewall of WSL's VM, the only one that guards mirrored WSL, guards less than ours say."""
    vm = found["hyperv"]
    for port in ports:
        for rule in vm["rules"]:
            mine = rule["name"].startswith(PREFIX) or not rule["enabled"] or rule["action"] == "Block"
            if not mine and covers(rule["ports"], port) and any(map(ranges.everybody, rule["remote"])):
                yield (
                    f"the rule {rule['name']!r} of Hyper-V's firewall lets every address reach port {port} of WSL; to leave it"
                    f" to ours: Disable-NetFirewallHyperVRule -Name '{rule['name']}'"
                )
    if vm["available"] and not vm["enabled"]:
        yield "Hyper-V's firewall is off for WSL, so every address reaches every port of WSL: take `firewall` out of wsl.settings"
    elif vm["inbound"] == "Allow":
        yield (
            "Hyper-V's firewall lets every address reach every port of WSL; in an elevated PowerShell on the PC:"
            f" Set-NetFirewallHyperVVMSetting -Name '{WSL_VM}' -DefaultInboundAction Block"
        )


def policies(found: NetworkSection) -> Iterator[str]:
    """Why Windows heeds no rule of ours on a network to which it is connected now."""
    used = set(found["connections"].values()) or {profile["name"] for profile in found["firewall_profiles"]}
    for profile in found["firewall_profiles"]:
        if profile["name"] not in used or not profile["enabled"]:
            continue
        where = f"on {profile['name']} networks, of which this PC has one"
        if profile["block_all"]:
            yield (
                f"'Blocks all incoming connections' is on {where}, so no port can be opened: turn it off in Windows Security,"
                " Firewall & network protection; if it is greyed out, a policy of your organisation sets it"
            )
        elif not profile["local_rules"]:
            yield (
                f"a policy of your organisation makes Windows ignore the PC's own firewall rules {where}"
                " (AllowLocalFirewallRules): only who manages the policy can open a port"
            )


def covers(named: Sequence[str], port: int) -> bool:
    """Whether a rule's ports name this one."""
    for one in named:
        first, _, last = one.partition("-")
        if first.isdigit() and int(first) <= port <= int(last if last.isdigit() else first):
            return True
    return False


def _others(found: NetworkSection, ports: Iterable[int], action: str) -> Iterator[tuple[int, FirewallRule]]:
    """Rules that count, are not ours, and name one of these ports."""
    for port in ports:
        for rule in found["firewall_rules"]:
            if not ours(rule) and rule["enabled"] and rule["action"] == action and covers(rule["ports"], port):
                yield port, rule


def _off(rule: FirewallRule) -> str:
    return f"Disable-NetFirewallRule -Name '{rule['name']}'"


def _right(present: FirewallRule, rule: Rule) -> bool:
    return (
        _open(present, rule)
        and present["group"] == GROUP
        and present["profiles"] == ["any"]
        and present["protocol"].upper() in {"TCP", "6"}
    )


def _open(present: FirewallRule | HyperVRule, rule: Rule) -> bool:
    return (
        present["enabled"]
        and present["action"] == "Allow"
        and list(present["ports"]) == [str(rule.port)]
        and ranges.same(present["remote"], rule.remote)
    )


def _made(kind: str, rule: Rule, before: str) -> Action:
    parameters = {"name": rule.name, "display": rule.display, "port": rule.port, "remote": list(rule.remote)}
    after = f"{rule.name}: Allow {rule.port} from {', '.join(rule.remote)}"
    return Action(kind, parameters, f"firewall: {after}", f"{rule.name}: {before}", after)


def _removed(kind: str, name: str, before: str) -> Action:
    return Action(kind, {"name": name}, f"firewall: {name} is taken out", f"{name}: {before}", "")


def _words(rule: FirewallRule | HyperVRule) -> str:
    off = "" if rule["enabled"] else "off, "
    return f"{off}{rule['action']} {','.join(rule['ports'])} from {', '.join(rule['remote'])}"
