"""Failures of mirrored networking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpurig.windows import rules
from gpurig.windows.actions import Action
from gpurig.windows.failures.case import ADDRESS, FIREWALL, FIRST_MIRRORED, Case, Failure, version
from gpurig.windows.failures.firewall import covers, who
from gpurig.windows.failures.names import NAMES

OLDEST_KERNEL = (5, 10)

WITHOUT_IPV6 = 0xFF
"""Bits of DisabledComponents with all of IPv6 switched off, which mirrored networking cannot bear (WSL issue 11332)."""


def blocked(case: Case) -> Failure | None:
    """14. The Hyper-V firewall blocks what comes in to a mirrored WSL (WSL issues 10597, 11184)."""
    network = case.section("network")
    if not network or not case.mirrored or case.facts.networking_mode not in (None, "mirrored"):
        return None
    hyperv = network["hyperv"]
    if not (hyperv["available"] and hyperv["enabled"] and hyperv["inbound"].lower() == "block"):
        return None
    allowing = [rule for rule in hyperv["rules"] if rule["enabled"] and rule["action"].lower() == "allow"]
    found = next((said for port in case.opened if (said := _closed(case, allowing, port))), "")
    if not found:
        return None
    meaning = "With mirrored networking a firewall of its own stands before WSL, besides that of Windows."
    fix = f"{case.site('win_network')} sets the rule for just these ports; `DefaultInboundAction Allow` would open all of them."
    actions: tuple[Action, ...] = case.planned("network", "hyperv_set")
    return Failure(14, NAMES[14], FIREWALL, found, meaning, fix, actions)


def unsupported(case: Case) -> Failure | None:
    """15. Mirrored networking is asked for, and WSL fell back to NAT (WSL's localisation, WSL issues 11332, 11377)."""
    machine, facts = case.section("machine"), case.facts
    asked = case.mirrored or (case.setting("wsl2", "networkingMode") or "").lower() == "mirrored"
    if not asked or not machine or facts.networking_mode in (None, "mirrored"):
        return None
    if machine["build"] < FIRST_MIRRORED:
        why = f"Windows build {machine['build']} has none, {FIRST_MIRRORED} (Windows 11 22H2) is the first"
    elif version(facts.kernel) and version(facts.kernel)[:2] < OLDEST_KERNEL:
        why = f"WSL's kernel {facts.kernel} is older than 5.10"
    elif (disabled := case.section("symptoms").get("ipv6_components") or 0) & WITHOUT_IPV6 == WITHOUT_IPV6:
        why = f"IPv6 is switched off in Windows (DisabledComponents is 0x{disabled & 0xFFFFFFFF:x})"
    elif (case.setting("wsl2", "networkingMode") or "").lower() != "mirrored":
        return None  # not written yet
    else:
        why = "WSL has not started anew since, or refuses it for a reason that `wsl --exec /bin/true` names at the PC"
    found = f"mirrored networking is wanted, but {case.name} runs with {facts.networking_mode}: {why}"
    meaning = (
        "Where mirrored networking is not possible WSL falls back to NAT, and nothing listens where you expect it."
    )
    fix = f"Write `wsl: {{networking: nat}}` in the entry of {case.host}, then {case.site()}."
    return Failure(15, NAMES[15], ADDRESS, found, meaning, fix)


def _closed(case: Case, allowing: Sequence[Mapping[str, Any]], port: int) -> str:
    """Why rules of the Hyper-V firewall do not let us in to a port; empty where they do."""
    named = [rule for rule in allowing if "any" in map(str.lower, rule["ports"]) or rules.covers(rule["ports"], port)]
    if any(covers(case, rule["remote"], port) for rule in named):
        return ""
    if named:
        return (
            f"the Hyper-V firewall lets {', '.join(named[0]['remote'])} in to port {port} of WSL, not {who(case, port)}"
        )
    return f"the Hyper-V firewall lets nobody in to port {port} of WSL"
