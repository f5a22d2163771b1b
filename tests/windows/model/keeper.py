"""The twin of keeper.ps1: what the task does on the simulated PC when it starts, and whenever it looks again."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from gpurig.windows.questions import FOLDER
from gpurig.windows.topics import keeper as topic
from tests.windows.model import netsh, network, wsl_exe
from tests.windows.model.pc import Machine

NO_FILE, FAILED, NO_WSL, NO_START, AS_SYSTEM = 0xFFFD0000, 1, 3, 4, 5

SYSTEM = "S-1-5-18"

LOG = f"{FOLDER}\\keeper.log"

LONGEST_LOG = 262_144
"""Bytes; then it is put aside as keeper.log.1."""

PAUSE = f"{FOLDER}\\keeper.pause"

LOCK = f"{FOLDER}\\keeper.lock"
"""Open, and to nobody else, while a keeper runs: one that starts beside it ends at once."""

OURS = "HKLM:\\SOFTWARE\\gpurig"


def begin(machine: Machine, sid: str, arguments: str) -> int | None:
    """The task's program starts. Returns its exit code where it ends at once, None where it goes on."""
    script = re.search(r'-File "([^"]+)"', arguments)
    if script is None or script[1] not in machine.data["files"]:
        return NO_FILE
    assert _bytes(machine, script[1]).decode("ascii") == topic.script(), "the keeper is not the project's"
    if sid == SYSTEM:
        _log(machine, "refused", why="WSL does not run as SYSTEM: the task must run as the owner of the distribution")
        return AS_SYSTEM
    if PAUSE in machine.data["files"]:
        return 0
    machine.data["files"].setdefault(LOCK, "")
    settings = _bytes(machine, topic.SETTINGS)
    if not settings:
        _log(machine, "failed", why="no settings")
        return FAILED
    if machine.data["wsl"]["version"] is None:
        _log(machine, "failed", why="no wsl.exe")
        return NO_WSL
    name = json.loads(settings)["distribution"]
    code, _, _ = _as(machine, sid, ["-d", name, "--exec", "sleep", "infinity"])
    if code != 0:
        _log(machine, "failed", why="the distribution does not start", code=code)
        return NO_START
    holder = {"name": name, "vm": machine.data["wsl"]["vm_started"], "sid": sid, "version": _version(machine)}
    machine.data["wsl"]["holder"] = holder
    _log(machine, "up", distribution=name)
    return tick(machine)


def tick(machine: Machine) -> int | None:
    """One look of a running keeper. Returns its exit code where that is its end."""
    holder = machine.data["wsl"].get("holder")
    if holder is None or not holds(machine):
        machine.data["wsl"]["holder"] = None
        _log(machine, "ended", paused=False)
        return 0
    _update(machine)
    if _version(machine) != holder["version"]:
        _log(machine, "replaced")
        return 0
    if PAUSE in machine.data["files"]:
        _log(machine, "ended", paused=True)
        return 0
    return None


def holds(machine: Machine) -> bool:
    """Whether a `sleep infinity` of the keeper still keeps its distribution from going idle."""
    holder = machine.data["wsl"].get("holder")
    wsl = machine.data["wsl"]
    return bool(holder and holder["name"] in wsl["running"] and holder["vm"] == wsl["vm_started"])


def _update(machine: Machine) -> None:
    noted = str(machine.value(OURS, "portproxy") or "").split()
    ours = [one for one in noted if re.match(r"^\d.*/\d+$", one)]
    address = network.guest_address(machine)
    own = {one.partition("/")[0] for there in network.addresses(machine).values() for one in there}
    if not ours or address is None or address in own:
        return
    service = machine.data["services"]["iphlpsvc"]
    if service["state"] != "running":
        service |= {"state": "running", "start": "auto"}
        _log(machine, "service", name="iphlpsvc")
    for listen in ours:
        target = f"{address}/{listen.partition('/')[2]}"
        before = netsh.entries(machine).get(listen)
        if before != target:
            machine.registry(netsh.KEY.format("v4tov4"))[listen] = target
            _log(machine, "portproxy", listen=listen, before=before or "", after=target)


def _as(machine: Machine, sid: str, arguments: list[str]) -> wsl_exe.Said:
    """wsl.exe as that account: its own distributions."""
    login = machine.data["login"]
    name = next(name for name, user in machine.data["users"].items() if user["sid"] == sid)
    machine.data["login"] = {**login, "user": name}
    try:
        return wsl_exe.run(machine, arguments)
    finally:
        machine.data["login"] = login


def _version(machine: Machine) -> str:
    return hashlib.sha256(_bytes(machine, topic.SCRIPT) + b" " + _bytes(machine, topic.SETTINGS)).hexdigest()


def _bytes(machine: Machine, path: str) -> bytes:
    return base64.b64decode(machine.data["files"].get(path, ""))


def _log(machine: Machine, event: str, **more: Any) -> None:
    if len(_bytes(machine, LOG)) > LONGEST_LOG:
        machine.data["files"][f"{LOG}.1"] = machine.data["files"].pop(LOG)
    line = json.dumps({**more, "event": event, "time": machine.data["now"]}, separators=(",", ":")) + "\n"
    machine.data["files"][LOG] = base64.b64encode(_bytes(machine, LOG) + line.encode()).decode()
