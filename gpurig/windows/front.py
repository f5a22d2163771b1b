"""Windows' own sshd as the PC itself tells of it: whether we would find it, whether it lets us in, and who else gets in."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig import keys
from gpurig.doctor import Level
from gpurig.windows import wire
from gpurig.windows.failures.case import Case
from gpurig.windows.failures.network import local

Told = tuple[Level, str, str]
"""How a step is, in one line, and what to do about it."""

SHELLS = ("powershell.exe", "pwsh.exe")

KEY_FILE = "administrators_authorized_keys"

_LINE = re.compile(r'^[ \t]*([A-Za-z]+)(?:[ \t]*=[ \t]*|[ \t]+)"?([^"\r\n]*?)"?[ \t]*\r?$', re.MULTILINE)
"""A setting of sshd_config and its value."""


def reachable(case: Case) -> Told | None:
    """Step reachable: what the laptop saw; where it saw nothing, whether the PC has the address that its entry names."""
    answer = case.link.ports.get(case.ssh_port)
    if answer is None:
        return _address(case)
    if answer == "open":
        return "OK", f"port {case.ssh_port} of the PC answers", ""
    words = {
        "refused": "nothing listens there",
        "silent": "no answer",
        "mute": "it takes connections, but its sshd says nothing: the PC sleeps, wakes up, or is frozen",
    }[answer]
    advice = "Is the PC on, awake, and at this address? Did its owner run the script of `rig bootstrap` there?"
    if answer == "silent":
        advice += " If it is on: a firewall may drop what comes, Windows' own or an antivirus program's."
    return "FAIL", f"port {case.ssh_port} of the PC: {words}", advice


def sshd(case: Case) -> Told | None:
    """Step Windows sshd: what ssh said, and what the PC itself says of its sshd."""
    if case.link.ports.get(case.ssh_port, "open") != "open":
        return None
    if case.link.ssh:
        return "FAIL", case.link.ssh, ""
    if troubles := list(_troubles(case)):
        level: Level = "FAIL" if any(one[0] == "FAIL" for one in troubles) else "WARN"
        return level, "; ".join(one[1] for one in troubles), " ".join(dict.fromkeys(one[2] for one in troubles))
    if case.link.ssh is None:
        known = case.section("features") and case.section("network") and case.section("sshd")
        return ("OK", f"it runs, and has port {case.ssh_port}", "") if known else None
    return "OK", f"the host key is the pinned one; our key is taken{_who(case)}", ""


def takes_passwords(section: Mapping[str, Any]) -> bool:
    """Whether Windows' sshd lets anybody in by a password, be it under a Match. section: sshd; False where nothing is known."""
    config = _config(section)
    return bool(config) and (
        _first(config, "PasswordAuthentication", "yes") != "no"
        or any(
            value.lower() == "yes" for name, value in _LINE.findall(config) if name.lower() == "passwordauthentication"
        )
    )


def _config(section: Mapping[str, Any]) -> str:
    """The text of sshd_config."""
    return wire.decoded(base64.b64decode(section.get("config") or ""))


def _address(case: Case) -> Told | None:
    """Whether the PC has the address that its entry names; None where that cannot be said."""
    network, pinned = case.section("network"), case.pinned
    if not network or not pinned:
        return None
    if not pinned.addresses:
        advice = f"Write an address of the PC as `address` in the entry of {case.host}, or repair the name."
        return "FAIL", f"the name {pinned.address} leads nowhere", advice
    every = {name: [one.partition("/")[0] for one in found] for name, found in network["addresses"].items()}
    if set(pinned.addresses) & {one for found in every.values() for one in found}:
        return "OK", f"the PC has {pinned.address}, as its entry says", ""
    own = [one for name, found in every.items() if name in network["connections"] for one in found]
    if not own:
        return "FAIL", "the PC is in no network", "Plug its cable in, or join its Wi-Fi."
    if all(":" in one for one in pinned.addresses):  # IPv6, which is not read there
        return None
    advice = (
        f"Write `address: {own[0]}` in the entry of {case.host}, and let the router always give the PC this one; "
        f"nothing is wrong with it only if a router hands {pinned.address} on to the PC."
    )
    return "FAIL", f"the PC has {', '.join(own)}, and its entry says {pinned.address}", advice


def _who(case: Case) -> str:
    user = case.section("machine").get("user")
    return f", as {user['name']}" if user else ""


def _troubles(case: Case) -> Iterator[Told]:
    """In the order in which they hinder."""
    user = case.section("machine").get("user")
    if case.link.ssh == "" and user and not user["admin"]:
        text = f"the host key is the pinned one; our key is taken{_who(case)}, who is no administrator"
        advice = (
            f"Write an administrator of the PC as `user` in the entry of {case.host}: much cannot be read or changed."
        )
        yield "WARN", text, advice
    again = f"Run the script of `rig bootstrap {case.host}` at the PC once more."
    services, found = case.section("features").get("services"), case.section("sshd")
    service = None if services is None else services.get("sshd")
    if services is not None and service is None:
        yield "FAIL", "Windows has no OpenSSH server", again
        return
    if service and service["state"] != "running":
        command = "`Set-Service sshd -StartupType Automatic; Start-Service sshd` in an elevated PowerShell at the PC."
        yield "FAIL", f"its service is {service['state']}, and its start is {service['start']}", command
    elif service and service["start"] != "auto":
        command = "`Set-Service sshd -StartupType Automatic` in an elevated PowerShell at the PC."
        yield "WARN", f"after a restart of Windows it would not run, since its start is {service['start']}", command
    outside = case.link.ssh is None  # else we came in through it
    if outside and service and service["state"] == "running":
        yield from _listening(case, again)
    if found.get("config"):
        yield from _configured(case, _config(found), again, outside=outside)
    if found:
        shell = str(found["default_shell"] or "cmd.exe").rpartition("\\")[2]
        if shell.lower() not in SHELLS:
            yield "FAIL" if outside else "WARN", f"its shell is {shell}, where playbooks expect PowerShell", again
        if outside and case.pinned:
            yield from _shown(case, found)


def _listening(case: Case, again: str) -> Iterator[Told]:
    """Whether sshd has its port, for others too."""
    network = case.section("network")
    if not network:
        return
    here = [one for one in network["listeners"] if one["port"] == case.ssh_port]
    own = [one for one in here if _is_sshd(one)]
    if here and not own:
        who = here[0]["service"] or here[0]["process"] or "another program"
        yield "FAIL", f"{who} has port {case.ssh_port}", f"End it at the PC, then `Restart-Service sshd` there. {again}"
    elif not own:
        other = sorted({str(one["port"]) for one in network["listeners"] if _is_sshd(one)})
        instead = f", but on {', '.join(other)}" if other else ""
        advice = f"Write its port as `port` in the entry of {case.host}; or: {again[0].lower()}{again[1:]}"
        yield "FAIL", f"it does not listen on port {case.ssh_port}{instead}", advice
    elif all(local(one["address"]) for one in own):
        yield "FAIL", "it listens for the PC itself alone", "Take `ListenAddress` out of sshd_config at the PC."


def _configured(case: Case, text: str, again: str, *, outside: bool) -> Iterator[Told]:
    """What sshd_config says against us, or for others."""
    if outside and _first(text, "PubkeyAuthentication", "yes") == "no":
        yield "FAIL", "its sshd_config takes no keys", again
    if outside and not any(KEY_FILE in value for name, value in _LINE.findall(text) if _is_key_file(name)):
        yield "FAIL", f"its sshd_config does not name {KEY_FILE}", again
    if not case.direct and _first(text, "AllowTcpForwarding", "yes") in ("no", "remote"):
        advice = "Take `AllowTcpForwarding` out of sshd_config at the PC, then `Restart-Service sshd` there."
        yield "FAIL", "it hands nothing on, so that there is no way through it to the Linux inside", advice
    if takes_passwords(case.section("sshd")):
        yield (
            "WARN",
            "it takes passwords, which anybody may guess",
            f"{again} A `yes` under a Match is taken out by hand.",
        )


def _shown(case: Case, found: Mapping[str, Any]) -> Iterator[Told]:
    """Whether its host key is the pinned one."""
    pinned = case.pinned.host_key if case.pinned else ""
    if not pinned or pinned in found["host_keys"]:
        return
    kind = pinned.split()[0]
    other = next((one for one in found["host_keys"] if one.split()[0] == kind), "")
    if not other:
        yield (
            "FAIL",
            f"it has no host key of the pinned type {kind}",
            f"Run the script of `rig bootstrap {case.host}` at the PC once more; its last line says how to go on.",
        )
        return
    advice = f"If Windows was set up anew: `rig register {case.host} --fingerprint {keys.fingerprint(other)}`."
    yield "FAIL", f"its host key is not the pinned one ({keys.fingerprint(pinned)})", advice


def _first(text: str, name: str, default: str) -> str:
    """The value that counts for everybody: sshd takes the first that it meets, before any Match."""
    for found, value in _LINE.findall(text):
        if found.lower() == "match":
            break
        if found.lower() == name.lower():
            return str(value).split(" ")[0].lower()
    return default


def _is_key_file(name: str) -> bool:
    return name.lower() == "authorizedkeysfile"


def _is_sshd(listener: Mapping[str, Any]) -> bool:
    return "sshd" in (str(listener["service"]).lower(), str(listener["process"]).lower())
