"""Failures of room: WSL's disk, and the PC's memory."""

from __future__ import annotations

from gpurig.windows.failures.case import ROOM, Case, Failure
from gpurig.windows.failures.names import NAMES

GIB = 2**30

NO_ROOM, LOW_ROOM = 1 * GIB, 5 * GIB
"""Bytes free below which little works, and below which it is worth a warning."""

WASTE = 50 * GIB
"""Bytes that a virtual disk takes beyond what is in it from which compacting is worth while, once Windows is short of room."""

SHORT = 0.1
"""Part of a drive, and of the PC's memory, that must be free."""

GREEDY = 0.9
"""Part of the PC's memory beyond which WSL must not grow."""


def full(case: Case) -> Failure | None:
    """27. WSL's virtual disk is full, its drive is, or it never shrank (WSL issues 13075, 4103)."""
    facts, distribution = case.facts, case.distribution
    compact = f"`rig connect {case.host} -- sudo fstrim -v /`, then `ansible-playbook playbooks/site.yml --limit {case.host} --tags win_disk -e win_disk_compact=true`, which shuts WSL down."
    unsafe = "Not `--set-sparse --allow-unsafe`: it may lose data."
    meaning = (
        "WSL's disk is a file that grows and never shrinks by itself; where its drive is full, Linux sees broken disks."
    )
    if distribution is not None:
        drive = case.section("machine").get("drives", {}).get(distribution["vhd_path"][:1].upper())
        size = distribution["vhd_size"] or 0
        if drive and drive["free"] < LOW_ROOM:
            found = f"drive {distribution['vhd_path'][:2]}, where {case.name} lies, has {_gb(drive['free'])} free"
            fix = f"Make room on it; or shrink WSL's disk: {compact} {unsafe}"
            return Failure(27, NAMES[27], ROOM, found, meaning, fix, (), "FAIL" if drive["free"] < NO_ROOM else "WARN")
        if drive and facts.disk_size_bytes and facts.disk_free_bytes is not None:
            waste = size - (facts.disk_size_bytes - facts.disk_free_bytes)
            if waste > WASTE and drive["free"] < SHORT * drive["size"]:
                found = f"the disk of {case.name} takes {_gb(size)}, of which {_gb(waste)} are empty, and its drive has {_gb(drive['free'])} free"
                return Failure(27, NAMES[27], ROOM, found, meaning, f"{compact} {unsafe}", (), "WARN")
    if facts.disk_free_bytes is not None and facts.disk_free_bytes < LOW_ROOM:
        found = f"{case.name} has {_gb(facts.disk_free_bytes)} free"
        fix = f"`rig connect {case.host} -- 'du -xh ~ | sort -h | tail'` shows what takes it. Larger: `wsl --manage {case.name} --resize 1TB` on the PC."
        return Failure(
            27, NAMES[27], ROOM, found, meaning, fix, (), "FAIL" if facts.disk_free_bytes < NO_ROOM else "WARN"
        )
    return None


def memory(case: Case) -> Failure | None:
    """28. The page cache of WSL's VM takes what Windows needs (WSL issue 4166)."""
    machine, symptoms = case.section("machine"), case.section("symptoms")
    if not machine:
        return None
    found = ""
    taken, free = symptoms.get("vm_memory"), symptoms.get("memory_free")
    if taken and free is not None and free < SHORT * machine["memory"] and taken > machine["memory"] / 2:
        found = f"WSL takes {_gb(taken)} of {_gb(machine['memory'])}, and Windows has {_gb(free)} left"
    elif case.facts.memory_bytes and case.facts.memory_bytes > GREEDY * machine["memory"]:
        found = f"WSL may take {_gb(case.facts.memory_bytes)} of the PC's {_gb(machine['memory'])}"
    if not found:
        return None
    meaning = (
        "Linux keeps every file that it read in memory; without a limit that is taken from Windows, which then crawls."
    )
    fix = f"Write a smaller `wsl: {{memory: …}}` in the entry of {case.host}, then {case.site('win_wslconfig')}; it sets autoMemoryReclaim=dropCache too."
    return Failure(28, NAMES[28], ROOM, found, meaning, fix, level="WARN")


def _gb(size: float) -> str:
    return f"{size / 10**9:.{0 if size > 10**10 else 1}f} GB"
