"""The cmdlets of the simulated PC's firewalls, as strict as Windows': a name is taken once, a range must be one."""

from __future__ import annotations

import ipaddress
from typing import Any

from tests.windows.model.network import HYPERV_BUILD
from tests.windows.model.pc import Machine, PowerShellError

EXISTS, INVALID, MISSING = "0x800700B7", "0x80070057", "0x80070002"

Rules = dict[str, dict[str, Any]]


def host(machine: Machine) -> Rules:
    """Rules of the host firewall by their unique name."""
    found: Rules = machine.data["firewall"]["rules"]
    return found


def hyperv(machine: Machine) -> Rules:
    """Rules of the firewall of WSL's VM. Raises PowerShellError where Windows has no such cmdlets."""
    if machine.data["build"] < HYPERV_BUILD:
        text = "The term 'Get-NetFirewallHyperVRule' is not recognized as the name of a cmdlet."
        raise PowerShellError(text, code="CommandNotFoundException")
    found: Rules = machine.data["hyperv"]["rules"]
    return found


def new(machine: Machine, rules: Rules, name: str, values: dict[str, Any]) -> None:
    """New-NetFirewallRule."""
    machine.require_admin()
    if name in rules:
        text = "Cannot create a file when that file already exists."
        raise PowerShellError(text, code="Windows System Error 183,New-NetFirewallRule", hresult=EXISTS)
    rules[name] = {**values, "remote": [_kept(one) for one in values["remote"]]}


def change(machine: Machine, rules: Rules, name: str, values: dict[str, Any]) -> None:
    """Set-NetFirewallRule."""
    machine.require_admin()
    if name not in rules:
        text = f"No MSFT_NetFirewallRule objects found with property 'InstanceID' equal to '{name}'."
        raise PowerShellError(text, code="CmdletizationQuery_NotFound_InstanceID", hresult=MISSING)
    kept = {"remote": [_kept(one) for one in values["remote"]]} if "remote" in values else {}
    rules[name] = {**rules[name], **values, **kept}


def remove(machine: Machine, rules: Rules, name: str) -> None:
    """Remove-NetFirewallRule."""
    machine.require_admin()
    del rules[name]


def _kept(text: str) -> str:
    """A range as Windows gives it back."""
    if text.lower() in {"localsubnet", "any"}:
        return {"localsubnet": "LocalSubnet", "any": "any"}[text.lower()]
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise PowerShellError(f"The address is invalid. ({text})", code="InvalidAddress", hresult=INVALID) from error
    if network.num_addresses == 1:
        return str(network.network_address)
    return network.with_netmask if network.version == 4 else str(network)
