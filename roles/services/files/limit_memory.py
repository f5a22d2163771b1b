"""Ends services that hold more memory than they may; start-as then starts them again. What systemd does with MemoryMax=.

A listener of supervisor's, which asks it every 5 s. Installed by role services.
"""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

LIMITS = Path("/etc/gpurig/services/memory.json")
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
UNITS = "BKMGTPE"
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    from supervisor import childutils

    supervisor = childutils.getRPCInterface(os.environ).supervisor
    while True:
        childutils.listener.wait()
        check(supervisor.getAllProcessInfo())
        childutils.listener.ok()


def check(programs: Iterable[Mapping[str, Any]]) -> None:
    """End those above their limits. programs: as supervisor describes them."""
    limits = json.loads(LIMITS.read_text())
    for program in programs:
        name = program["name"].partition("-")[2]
        most = size(str(limits[name])) if name in limits and program["pid"] else math.inf
        if most == math.inf:
            continue
        processes = tree(program["pid"])
        if sum(map(resident, processes)) > most and (held := sum(map(own, processes))) > most:
            with Path(program["stdout_logfile"]).open("a") as log:
                said = f"held {held / 1e6:.0f} MB, more than its limit {limits[name]} (services_memory_max)"
                log.write(f"gpurig: {name} {said}; it was ended and starts again\n")
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


def size(text: str) -> float:
    """Bytes, of what systemd takes for MemoryMax=; percent are of what this host has."""
    if text == "infinity":
        return math.inf
    if text.endswith("%"):
        return total() * float(text[:-1]) / 100
    number = text.rstrip(UNITS)
    return float(number) * 1024 ** max(0, UNITS.find(text[len(number) :]))


def total() -> int:
    """Bytes of memory that this host has; in a container, that it may have."""
    found = [int(Path("/proc/meminfo").read_text().split()[1]) * 1024]
    for path in CGROUPS:
        with suppress(OSError, ValueError):  # another kind of cgroup, or `max`
            found.append(int(Path(path).read_text()))
    return min(found)


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def resident(process: int) -> int:
    """Bytes in memory, of whatever kind."""
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    return 0


def own(process: int) -> int:
    """Its share of what it cannot give back: memory that others have too counts once, and files that are mapped do not."""
    try:
        lines = [line.split() for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]]
    except FileNotFoundError:
        return resident(process)  # it has ended, or this kernel does not tell
    except OSError:
        return 0
    facts = {words[0]: int(words[1]) * 1024 for words in lines}
    return facts["Pss_Anon:"] + facts["Pss_Shmem:"] if "Pss_Anon:" in facts else facts.get("Pss:", 0)


if __name__ == "__main__":
    main()
