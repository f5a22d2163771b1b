"""Failures of logging in to Windows itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpurig.windows.actions import Action
from gpurig.windows.failures.case import REACHABLE, SSHD, Case, Failure
from gpurig.windows.failures.names import NAMES

KEYS = "C:\\ProgramData\\ssh\\administrators_authorized_keys"

HEEDED = "For administrators Windows' sshd reads only this file, and only if nobody but SYSTEM and Administrators may touch it."

RIGHTS = (
    f"`$f = '{KEYS}'; icacls $f /setowner *S-1-5-32-544; icacls $f /reset; icacls $f /inheritance:r /grant:r *S-1-5-18:F "
    "*S-1-5-32-544:F` in an elevated PowerShell at the PC"
)
"""As the bootstrap does it: /reset takes out what was granted to others by name."""

ALLOWED = {"S-1-5-18", "S-1-5-32-544"}
"""SYSTEM and Administrators, by SID: their names are localised."""

INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
"""NT SERVICE\\TrustedInstaller, whom sshd takes as an owner besides these and whoever logs in (Win32-OpenSSH, w32-sshfileperm.c)."""

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
    """30. administrators_authorized_keys can be touched by others, so Windows' sshd ignores it (Win32-OpenSSH issue 1306); or lacks our key."""
    sshd = case.section("sshd")
    script = f"script of `rig bootstrap {case.host}`, run at the PC once more"
    if not sshd:
        if "Permission denied" not in (case.link.ssh or ""):
            return None
        fix = f"The {script}, puts our key there and its rights right; by hand: {RIGHTS}."
        return Failure(30, NAMES[30], SSHD, "Windows' sshd does not accept our key", HEEDED, fix)
    if sshd["admin_keys"] is None:
        return Failure(30, NAMES[30], SSHD, f"{KEYS} is not there", HEEDED, f"The {script}, makes it.")
    if found := _touched(case, sshd["acl"]):
        action = Action("acl_set", {"path": KEYS, "sids": sorted(ALLOWED)}, f"let only administrators touch {KEYS}")
        fix = f"{RIGHTS}; or the {script}, does it."
        return Failure(
            30, NAMES[30], SSHD, f"{KEYS} {found}", HEEDED, fix, (action,) if _owned(case, sshd["acl"]) else ()
        )
    if _lacks_ours(case, sshd["admin_keys"]):
        found = f"{KEYS} does not have the key that we log in with"
        return Failure(30, NAMES[30], SSHD, found, HEEDED, f"The {script}, adds it.")
    return None


def _touched(case: Case, acl: Mapping[str, Any] | None) -> str:
    """Why Windows' sshd would not heed the file; empty where it does."""
    if acl is None:
        return ""
    if not _owned(case, acl):
        return f"belongs to {acl['owner']}, neither SYSTEM nor Administrators"
    others = sorted(set(acl["sids"]) - ALLOWED)
    if others or acl["inherited"]:
        return f"may be touched by others: {', '.join(others) or 'whoever may use its folder'}"
    missing = sorted(ALLOWED - set(acl["sids"]))
    return f"may not be read by {', '.join(missing)}" if missing else ""


def _owned(case: Case, acl: Mapping[str, Any]) -> bool:
    """Whether its owner is one whom sshd takes: also who logs in."""
    return acl["owner"] in {*ALLOWED, INSTALLER, case.section("machine").get("user", {}).get("sid")}


def _lacks_ours(case: Case, lines: Sequence[str]) -> bool:
    """Whether the key that we log in with is in no line, as far as it is known; who came in needs no telling."""
    if case.pinned is None or not case.pinned.login_key or case.link.ssh == "":
        return False
    blob = case.pinned.login_key.split()[1]
    return not any(blob in line.split() for line in lines if not line.lstrip().startswith("#"))
