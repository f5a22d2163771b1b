"""Failures of logging in to Windows itself."""

from __future__ import annotations

from gpurig.windows.actions import Action
from gpurig.windows.failures.case import REACHABLE, SSHD, Case, Failure
from gpurig.windows.failures.names import NAMES

KEYS = "C:\\ProgramData\\ssh\\administrators_authorized_keys"

ALLOWED = {"S-1-5-18", "S-1-5-32-544"}
"""SYSTEM and Administrators, by SID: their names are localised."""

REFUSED = "0x80338169"


def public_network(case: Case) -> Failure | None:
    """29. WinRM's firewall exception does not work on a public network (HRESULT 0x80338169)."""
    if case.connection == "ssh" and not case.says(REFUSED):
        return None
    public = [
        name for name, category in (case.section("network").get("connections") or {}).items() if category == "public"
    ]
    if not public and not case.says(REFUSED):
        return None
    found = f"{public[0] if public else 'a network'} is a public network to Windows"
    meaning = "On public networks Windows refuses WinRM, even where a virtual adapter is the only public one."
    names = ",".join(f"'{name}'" for name in public) or "NAME"
    fix = (
        f"`Set-NetConnectionProfile -InterfaceAlias {names} -NetworkCategory Private` on the PC, if it is your own network; or "
        f"`Enable-PSRemoting -SkipNetworkProfileCheck -Force`; or `connection: ssh` in the entry of {case.host}, which needs none of it."
    )
    return Failure(29, NAMES[29], REACHABLE, found, meaning, fix)


def key_rejected(case: Case) -> Failure | None:
    """30. administrators_authorized_keys can be read by others, so Windows' sshd ignores it (Win32-OpenSSH issue 1306)."""
    sshd = case.section("sshd")
    meaning = "For administrators Windows' sshd reads only this file, and only if nobody but SYSTEM and Administrators may touch it."
    command = f"`icacls {KEYS} /inheritance:r /grant *S-1-5-32-544:F *S-1-5-18:F` in an elevated PowerShell at the PC"
    if sshd:
        acl = sshd["acl"]
        found = ""
        if sshd["admin_keys"] is None:
            found = f"{KEYS} is not there"
        elif acl is not None and (acl["inherited"] or set(acl["sids"]) - ALLOWED):
            others = ", ".join(sorted(set(acl["sids"]) - ALLOWED)) or "whoever may use its folder"
            found = f"{KEYS} may be touched by others: {others}"
        if not found:
            return None
        actions: tuple[Action, ...] = ()
        if sshd["admin_keys"] is not None:
            actions = (
                Action("acl_set", {"path": KEYS, "sids": sorted(ALLOWED)}, f"let only administrators touch {KEYS}"),
            )
        fix = f"{command}; the bootstrap script does it too."
        return Failure(30, NAMES[30], SSHD, found, meaning, fix, actions)
    if "Permission denied" in (case.link.ssh or ""):
        fix = f"{command}; or run the bootstrap script again (`rig bootstrap {case.host}`), which also puts our key there."
        return Failure(30, NAMES[30], SSHD, "Windows' sshd does not accept our key", meaning, fix)
    return None
