"""gpurig's scripts for the Linux inside WSL, done to a simulated one's data: see linux.SimulatedLinux."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import serialization

OWN_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIIts0wn"


class ScriptFailedError(Exception):
    """A script ends with an error and these words."""


Script = Callable[..., None]

SCRIPTS: dict[str, Script] = {}
"""Name of a file of gpurig/windows/inside → what it does to the data. Called with its input and its arguments."""


def simulates(name: str) -> Callable[[Script], Script]:
    """Register what a script does."""

    def registered(function: Script) -> Script:
        SCRIPTS[name] = function
        return function

    return registered


@simulates("account")
def account(data: dict[str, Any], stdin: bytes) -> None:
    user, key = stdin.decode().splitlines()
    for package in ("sudo", "python3"):
        _install(data, package)
    found = data["users"].setdefault(user, {"uid": 1000 + len(data["users"]), "keys": [], "sudo": False})
    found["sudo"] = True
    if " ".join(key.split()[:2]) not in [" ".join(one.split()[:2]) for one in found["keys"]]:
        found["keys"].append(key)


@simulates("wsl_conf")
def wsl_conf(data: dict[str, Any], stdin: bytes, digest: str) -> None:
    present = data["files"].get("/etc/wsl.conf")
    if present == stdin.decode():
        return
    if digest != ("none" if present is None else hashlib.sha256(present.encode()).hexdigest()):
        raise ScriptFailedError("/etc/wsl.conf has changed since it was read. Run this again.")
    data["files"]["/etc/wsl.conf"] = stdin.decode()


@simulates("sshd")
def sshd(data: dict[str, Any], stdin: bytes, port: str) -> None:
    own = "/etc/ssh/sshd_config.d/00-gpurig.conf"
    if not data["systemd"]:
        raise ScriptFailedError("System has not been booted with systemd as init system (PID 1). Can't operate.")
    if own not in data["files"]:
        data["files"][own] = (
            f"# Managed by gpurig\nPort {port}\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        )
    elif f"Port {port}\n" not in data["files"][own]:
        data["files"][own] = data["files"][own].replace("\n", f"\nPort {port}\n", 1)
    _install(data, "openssh-server")
    if stdin:
        data["files"]["/etc/ssh/ssh_host_ed25519_key"] = stdin.decode()
    data["files"].setdefault("/etc/ssh/ssh_host_ed25519_key", "its own")
    data["units"]["ssh.socket"] = {"enabled": False, "active": False}
    data["units"]["ssh.service"] = {"enabled": True, "active": True}


def _install(data: dict[str, Any], package: str) -> None:
    if package in data["packages"]:
        return
    if not data["online"]:
        raise ScriptFailedError("E: Failed to fetch http://archive.ubuntu.com/ubuntu  Temporary failure resolving")
    data["packages"].append(package)
    if package == "openssh-server":
        data["units"]["ssh.socket"] = {"enabled": data["socket"], "active": data["socket"]}
        data["units"]["ssh.service"] = {"enabled": True, "active": not data["socket"]}


def facts(data: dict[str, Any], port: str, user: str) -> str:
    """What facts.sh says. port: only the real one needs it, to know which socket of systemd's is sshd's."""
    assert port.isdecimal()
    told = [(key, value) for key, value in _facts(data, user) if key not in data["facts"]]
    given = [
        (key, one)
        for key, values in data["facts"].items()
        for one in (values if isinstance(values, list) else [values])
    ]
    return "".join(f"{key}={value}\n" for key, value in [*given, *told])


def _facts(data: dict[str, Any], user: str) -> Iterator[tuple[str, object]]:
    given = {
        "kernel": "6.6.87.2-microsoft-standard-WSL2",
        "address": "172.28.120.45",
        "nproc": 24,
        "cgroup": "2",
        "dns_ok": 1,
    }
    given |= {
        "memory_bytes": 50 * 2**30,
        "swap_bytes": 12 * 2**30,
        "networking_mode": "nat",
        "clock": 1795348800,
        "dxg": 1,
    }
    yield from given.items()
    yield from zip(("os_id", "os_version"), data["os"], strict=True)
    yield "systemd", "running" if data["systemd"] else "offline"
    if "/etc/wsl.conf" in data["files"]:
        yield "wsl_conf", _packed(data["files"]["/etc/wsl.conf"])
    yield "python3", int("python3" in data["packages"])
    for name, found in data["users"].items():
        yield "user", f"{name}:{found['uid']}"
    if user != "-":
        yield "user_exists", int(user in data["users"])
    if user in data["users"]:
        yield "sudo_ok", int(data["users"][user]["sudo"])
        for key in data["users"][user]["keys"]:
            yield "authorized_key", key
    yield from _secure_shell(data)
    for words in data["busy"]:
        yield "busy", words
    yield "end", 1


def _secure_shell(data: dict[str, Any]) -> Iterator[tuple[str, object]]:
    there = "openssh-server" in data["packages"]
    yield "sshd_installed", int(there)
    if data["systemd"]:
        service, socket = (data["units"].get(name, {}) for name in ("ssh.service", "ssh.socket"))
        yield "sshd_active", int(service.get("active", False))
        yield "sshd_enabled", int(service.get("enabled", False))
        yield "ssh_socket_active", int(socket.get("active", False))
        if service.get("active"):
            for held in re.findall(r"^Port (\d+)$", _own(data), re.MULTILINE) or ["22"]:
                yield "sshd_port", f"0.0.0.0:{held}"
        elif socket.get("active"):
            yield "sshd_port", "*:22"
    if not there:
        return
    if _own(data):
        yield "sshd_own", _packed(_own(data))
    yield "sshd_config_ok", 1
    yield "password_login", int(not _own(data))
    key = data["files"].get("/etc/ssh/ssh_host_ed25519_key")
    if key is not None:
        yield "host_key", _public(key)


def _own(data: dict[str, Any]) -> str:
    return str(data["files"].get("/etc/ssh/sshd_config.d/00-gpurig.conf", ""))


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _public(private: str) -> str:
    if "PRIVATE KEY" not in private:
        return f"ssh-ed25519 {OWN_KEY}"
    key = serialization.load_ssh_private_key(private.encode(), None).public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
