"""The host's side of `rig services`: sent there as text and run as root with the host's own Python (3.8 or later, nothing else).

Told as JSON, in its first argument, `names` of services, how many `lines` of each one's log are wanted, and whether the host
has `systemd`; prints JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SYSTEMD = {"active": "running", "activating": "starts again", "failed": "failed", "deactivating": "stops"}
SUPERVISOR = {
    "RUNNING": "running",
    "STARTING": "starts again",
    "BACKOFF": "starts again",
    "FATAL": "failed",
    "EXITED": "ended",
}
LOGS = Path("/var/log/gpurig")
EXPOSURE = Path("/etc/gpurig/services/exposure.cfg")


def look(name: str, lines: int, *, systemd: bool) -> dict[str, Any]:
    """One service: state, memory in bytes, since when in seconds since 1970, and the end of its log."""
    state, pid, log = _systemd(name, lines) if systemd else _supervisor(name)
    processes = _tree(pid) if pid else []
    return {
        "state": state,
        "since": _started(pid) if pid else None,
        "memory": sum(_resident(process) for process in processes) if pid else None,
        "log": log[-lines:] if lines else [],
    }


def exposed(*, systemd: bool) -> dict[str, dict[str, Any]]:
    """What networks reach at this moment: service → its port, whom HAProxy lets in, and the host's own addresses."""
    state = (_systemd("exposure", 0) if systemd else _supervisor("exposure"))[0]
    if state != "running" or not EXPOSURE.exists():
        return {}
    listening = set(re.findall(r":(\d+) +\S+ *$", _output("ss", "-H", "-ltn"), re.MULTILINE))
    lines = [line.split() for line in _output("ip", "-o", "addr", "show", "scope", "global").splitlines()]
    addresses = [words[3].partition("/")[0] for words in lines if words[2] in ("inet", "inet6")]
    found = {}
    for part in re.split(r"^listen ", EXPOSURE.read_text(), flags=re.MULTILINE)[1:]:
        bound = re.search(r"^ +bind \S*:(\d+)", part, re.MULTILINE)
        source = re.search(r"reject unless { src (\S+) }", part)
        if bound and bound[1] in listening:
            facts = {"port": int(bound[1]), "source": source[1] if source else "everywhere", "addresses": addresses}
            found[part.split()[0]] = facts
    return found


def _systemd(name: str, lines: int) -> tuple[str, int, list[str]]:
    unit = f"gpurig-{name}"
    shown = _output("systemctl", "show", unit, "--property=LoadState,ActiveState,MainPID")
    facts = dict(line.partition("=")[::2] for line in shown.splitlines())
    state = (
        SYSTEMD.get(facts.get("ActiveState", ""), "stopped") if facts.get("LoadState") == "loaded" else "not installed"
    )
    log = _output("journalctl", "--no-pager", "--output=short-iso", f"--unit={unit}", f"--lines={lines}").splitlines()
    return state, int(facts.get("MainPID") or 0), log


def _supervisor(name: str) -> tuple[str, int, list[str]]:
    said = _output("supervisorctl", "status", f"gpurig-{name}")
    word = re.match(r"gpurig-\w+ +([A-Z]+)", said)
    pid = re.search(r"pid (\d+)", said)
    state = SUPERVISOR.get(word[1], "stopped") if word else "not installed"
    number = int(pid[1]) if pid else 0
    with suppress(OSError):
        if b"start-as" in Path(f"/proc/{number}/cmdline").read_bytes():  # which waits, and is the service later on
            state = "starts again"
    with suppress(OSError):
        return state, number, (LOGS / f"{name}.log").read_text(errors="replace").splitlines()
    return state, number, []


def _tree(root: int) -> list[int]:
    """A process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def _resident(process: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _started(process: int) -> float | None:
    with suppress(OSError):
        ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
        return round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK"))
    return None


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    reached = exposed(systemd=asked["systemd"])
    told = {name: look(name, asked["lines"], systemd=asked["systemd"]) for name in asked["names"]}
    print(json.dumps({name: {**facts, "exposed": reached.get(name)} for name, facts in told.items()}))  # noqa: T201 (this is its answer)
