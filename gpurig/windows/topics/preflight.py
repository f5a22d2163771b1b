"""Topic preflight: whether this PC and this account can become a host at all. Changes nothing.

What one topic alone needs (sizes in .wslconfig, Remote Desktop, ports) that topic refuses; the role asks them all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpurig.windows import account, packages, paths
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.state import MachineSection, State
from gpurig.windows.topics.distribution import named

SECTIONS = ("machine", "features", "wsl")

WINDOWS_10, WINDOWS_11 = 19045, 22000
"""Windows 10 22H2, its last; every build of Windows 11 (Microsoft, release information)."""

ROOM = 20 * 10**9
"""Bytes of disk beside the distribution: one environment with PyTorch and CUDA's toolkit."""

DOWNLOADS = 10**9
"""Bytes on Windows' own drive for the package of WSL and the distribution's file."""

PROCESSORS = ("AMD64", "ARM64")


@dataclass(frozen=True, slots=True)
class Wanted:
    """user: the account of the host's entry. distribution, location: what is to be installed, and the folder for its disk."""

    user: str = ""
    distribution: str = "Ubuntu-24.04"
    location: str = ""


def plan(state: State, wanted: Wanted) -> Plan:
    """Every problem at once; never an action."""
    missing = unread(state, SECTIONS)
    if missing:
        return Plan(refusals=missing)
    machine = state["machine"]
    refusals = (
        *_windows(machine),
        *_account(machine, wanted.user),
        *account.forbidden(state["wsl"]),
        *_room(state, wanted),
    )
    return Plan(refusals=refusals, warnings=tuple(_warnings(state, wanted)))


def _windows(machine: MachineSection) -> Iterator[Refusal]:
    build = machine["build"]
    if build < WINDOWS_10:
        text = f"Windows build {build} is too old; update to Windows 11, or at least to Windows 10 22H2 (build {WINDOWS_10})."
        yield Refusal("", text)
    elif WINDOWS_10 < build < WINDOWS_11 or machine["edition"].startswith("Server"):
        yield Refusal(
            "", f"Windows build {build} ({machine['edition']}) is none for PCs; there must be Windows 10 or 11."
        )
    if machine["architecture"].upper() not in PROCESSORS:
        text = f"its processor is {machine['architecture']}; WSL 2 needs a 64-bit one ({' or '.join(PROCESSORS)})."
        yield Refusal("", text)
    if not machine["hypervisor_present"] and machine["firmware_virtualization"] is False:
        yield Refusal("", account.NO_VIRTUALIZATION)


def _account(machine: MachineSection, user: str) -> Iterator[Refusal]:
    yield from account.refusals(machine)
    login = machine["user"]["name"]
    name = user.rpartition("\\")[2]
    # A Microsoft account logs in by its mail address and has another, shorter name on the PC.
    if name and "@" not in name and name.lower() != login.lower():
        text = f"found {user!r}, but the login is {login!r}'s, and WSL belongs to one account; there are: {', '.join(machine['owners'])}."
        yield Refusal("user", text)


def _room(state: State, wanted: Wanted) -> Iterator[Refusal]:
    machine = state["machine"]
    if wanted.location and (said := paths.mistake(wanted.location)):
        yield Refusal("wsl.location", f"{said}.")
        return
    if named(state, wanted.distribution) is not None:
        return
    letter = paths.drive(wanted.location or machine["user"]["profile"])
    drives = machine["drives"]
    if letter not in drives:
        yield Refusal("wsl.location", f"the PC has no fixed drive {letter}:; it has {_drives(machine)}.")
        return
    needed = packages.room(wanted.distribution) + ROOM
    if drives[letter]["free"] < needed:
        text = f"drive {letter}: has {_gb(drives[letter]['free'])} free, {_gb(needed)} are needed; the PC has {_drives(machine)}."
        yield Refusal("wsl.location", text)
    own = paths.drive(machine["user"]["profile"])
    if own != letter and drives.get(own, {"free": DOWNLOADS})["free"] < DOWNLOADS:
        yield Refusal(
            "", f"drive {own}: has {_gb(drives[own]['free'])} free, {_gb(DOWNLOADS)} are needed for downloads."
        )


def _warnings(state: State, wanted: Wanted) -> Iterator[str]:
    machine = state["machine"]
    if machine["battery"]:
        yield "The PC has a battery: off the mains it goes to sleep as Windows' settings say, and jobs with it."
    if machine["reboot_pending"] and not state["features"]["pending"]:
        yield "Windows waits for a restart for reasons of its own, such as updates."
    for sid, names in state["wsl"]["elsewhere"].items():
        if wanted.distribution.lower() in map(str.lower, names) and named(state, wanted.distribution) is None:
            yield f"{wanted.distribution} is there for another account of this PC ({sid}), where it stays; {machine['user']['name']} gets one of its own."


def _drives(machine: MachineSection) -> str:
    return ", ".join(f"{letter}: with {_gb(one['free'])} free" for letter, one in sorted(machine["drives"].items()))


def _gb(size: int) -> str:
    return f"{size / 10**9:.0f} GB"
