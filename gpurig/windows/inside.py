"""The Linux inside WSL: what it says of itself, and how a script is run there."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig.windows import wslconf
from gpurig.windows.actions import Action
from gpurig.windows.wire import text_of

FOLDER = Path(__file__).with_name("inside")

SECONDS = 600
"""After which a script is given up; packages may come over a slow line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What facts.sh said. A field is None where it is not known, all of them where the distribution does not answer.

    problem: why it does not answer, None where it does. systemd: running, degraded, starting, …, offline without systemd.
    failed_units: of systemd. address: the first IPv4 of eth0. networking_mode: wslinfo's word. wsl_conf: the text of
    /etc/wsl.conf, None without the file. users: name → uid of people. default_uid: of wsl.conf's user, None where it names none
    that exists. ssh_socket_active: systemd holds sshd's port. sshd_ports: `address:port` that listen. sshd_config_ok: `sshd -t`;
    sshd_problem: its words. sshd_own: text of sshd_config.d/00-gpurig.conf. host_keys: public, `type base64`.
    password_login: sshd takes passwords. dxg: /dev/dxg is there. nvidia_smi_code: 124 where it hung; nvidia_smi_out: its first
    4 kB. libcuda: the file that programs load. nvidia_packages: drivers for Linux, which hide Windows'. clock: seconds since 1970.
    cgroup: 1, 2 or hybrid. docker: systemd's word for it, empty without Docker. dns_ok: the name of apt's own server is known.
    busy: who would lose work if WSL were restarted, in words. authorized_keys: lines of the asked user's.
    """

    problem: str | None = None
    kernel: str | None = None
    os_id: str | None = None
    os_version: str | None = None
    systemd: str | None = None
    failed_units: tuple[str, ...] | None = None
    address: str | None = None
    nproc: int | None = None
    memory_bytes: int | None = None
    swap_bytes: int | None = None
    networking_mode: str | None = None
    wsl_conf: str | None = None
    users: Mapping[str, int] | None = None
    default_uid: int | None = None
    sshd_installed: bool | None = None
    sshd_active: bool | None = None
    sshd_enabled: bool | None = None
    ssh_socket_active: bool | None = None
    sshd_ports: tuple[str, ...] | None = None
    sshd_config_ok: bool | None = None
    sshd_problem: str | None = None
    sshd_own: str | None = None
    host_keys: tuple[str, ...] | None = None
    password_login: bool | None = None
    dxg: bool | None = None
    nvidia_smi_path: str | None = None
    nvidia_smi_code: int | None = None
    nvidia_smi_out: str | None = None
    libcuda: str | None = None
    nvidia_packages: tuple[str, ...] | None = None
    clock: int | None = None
    cgroup: str | None = None
    docker: str | None = None
    disk_free_bytes: int | None = None
    disk_size_bytes: int | None = None
    dns_ok: bool | None = None
    python3: bool | None = None
    user_exists: bool | None = None
    sudo_ok: bool | None = None
    authorized_keys: tuple[str, ...] | None = None
    busy: tuple[str, ...] | None = None


LISTS = {
    "failed_unit": "failed_units",
    "sshd_port": "sshd_ports",
    "host_key": "host_keys",
    "nvidia_package": "nvidia_packages",
    "authorized_key": "authorized_keys",
    "busy": "busy",
}
"""Key of a line → field: one line for each."""

TEXTS = ("wsl_conf", "sshd_own", "nvidia_smi_out")

NUMBERS = ("nproc", "memory_bytes", "swap_bytes", "nvidia_smi_code", "clock", "disk_free_bytes", "disk_size_bytes")

TRUTHS = (
    *("sshd_installed", "sshd_active", "sshd_enabled", "ssh_socket_active", "sshd_config_ok", "password_login"),
    *("dxg", "dns_ok", "python3", "user_exists", "sudo_ok"),
)

WORDS = (
    *("kernel", "os_id", "os_version", "systemd", "address", "networking_mode", "sshd_problem", "nvidia_smi_path"),
    *("libcuda", "cgroup", "docker"),
)


def facts(section: Mapping[str, Any] | None) -> Facts:
    """Read section `inside`. Never raises: what was not said or makes no sense is None."""
    if section is None:
        return Facts(problem="it was not asked")
    if "error" in section:
        return Facts(problem=str(section["error"]["message"]))
    native = section["facts"]
    if native is None:
        return Facts(problem=f"there is no distribution {section['distribution']}")
    lines = [line.partition("=") for line in text_of(native).splitlines() if "=" in line]
    if ("end", "=", "1") not in lines:
        said = (text_of(native, "err") or text_of(native)).strip()[-400:] or "nothing"
        ended = "did not end in time" if native["code"] is None else f"ended with {native['code']}"
        return Facts(problem=f"what was asked of {section['distribution']} {ended} and said: {said}")
    return _read([(key, value) for key, _, value in lines])


def to_come(section: Mapping[str, Any], port: int) -> bool:
    """Whether nobody can log in on its port yet, since the roles of Windows have still to make it so.

    False where it is not known: who tries then learns why.
    """
    if "error" not in section and section["facts"] is None:
        return True
    found = facts(section)
    if found.problem is not None:
        return False
    listening = {address.rpartition(":")[2] for address in found.sshd_ports or ()}
    return not found.user_exists or str(port) not in listening


def run(distribution: str, name: str, arguments: Sequence[str] = (), data: bytes = b"", **told: str) -> Action:
    """An action that runs inside/<name>.sh as root. data: its input, which no list of processes shows. told: says, before, after."""
    parameters = {
        "distribution": distribution,
        "script": name,
        "text": script(name),
        "arguments": list(arguments),
        "stdin": base64.b64encode(data).decode("ascii"),
        "seconds": SECONDS,
    }
    return Action("inside_run", parameters, **told)


@functools.cache
def script(name: str) -> str:
    """The text of a script of inside/."""
    return (FOLDER / f"{name}.sh").read_text(encoding="ascii")


def _read(lines: Sequence[tuple[str, str]]) -> Facts:
    single = dict(lines)
    found: dict[str, Any] = {field: tuple(v for k, v in lines if k == key) for key, field in LISTS.items()}
    found |= {key: single[key] for key in WORDS if key in single}
    found |= {key: int(single[key]) for key in NUMBERS if single.get(key, "").isdecimal()}
    found |= {key: single[key] == "1" for key in TRUTHS if key in single}
    found |= {key: _text(single[key]) for key in TEXTS if key in single}
    found.setdefault("docker", "")
    users = (value.partition(":") for key, value in lines if key == "user")
    found["users"] = {name: int(uid) for name, _, uid in users if uid.isdecimal()}
    found["default_uid"] = _default_uid(found.get("wsl_conf"), found["users"])
    return Facts(**found)


def _text(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "surrogateescape")
    except binascii.Error:
        return ""


def _default_uid(wsl_conf: str | None, users: Mapping[str, int]) -> int | None:
    name = wslconf.parse(wsl_conf or "").get("user.default", "")
    return 0 if name == "root" else users.get(name)
