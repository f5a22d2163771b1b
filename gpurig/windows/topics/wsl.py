"""Topic wsl: Windows can run WSL 2, and WSL is Microsoft's package in a pinned version or newer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpurig.windows import account, packages, wire
from gpurig.windows.actions import Action
from gpurig.windows.packages import File
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.state import FeaturesSection, MachineSection, State, WslSection
from gpurig.windows.topics import distribution

SECTIONS = ("machine", "features", "wsl")

PLATFORM, INBOX = "VirtualMachinePlatform", "Microsoft-Windows-Subsystem-Linux"

WINDOWS_11 = 22000

SERVICE = "WSLService"

BROKEN = ("0x80040154", "REGDB_E_CLASSNOTREG", "0x80070003", "E_PATHNOTFOUND", "0x8000ffff", "E_UNEXPECTED")
"""What WSL says where an update of Windows left it half there (Microsoft's troubleshooting page)."""

_NUMBERS = re.compile(r"\d+(\.\d+)*|")
"""What a file's version begins with; a build of its own may have words behind it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """msi_version, msi_url, msi_sha256: another package than the pinned one; empty: the pinned one.

    distribution, distribution_url, distribution_sha256: as those of topic distribution, which finds its file there; without a name none
    is fetched. allow_reboot: the role may restart Windows. upgrade: WSL is upgraded or repaired even while a distribution runs, which
    ends it.
    """

    msi_version: str = ""
    msi_url: str = ""
    msi_sha256: str = ""
    distribution: str = ""
    distribution_url: str = ""
    distribution_sha256: str = ""
    allow_reboot: bool = False
    upgrade: bool = False


def plan(state: State, wanted: Wanted) -> Plan:
    """Fetch all files first, so that a wrong checksum changes nothing; enable what is missing; install or upgrade."""
    missing = unread(state, SECTIONS)
    if missing:
        return Plan(refusals=missing)
    machine, features, wsl = state["machine"], state["features"], state["wsl"]
    version, file, problems = _package(machine, wanted)
    absent = [name for name in _features(machine) if features["features"].get(name, "absent") == "absent"]
    problems += [Refusal("", f"this Windows has no feature {name}, which WSL 2 needs.") for name in absent]
    problems += [*account.refusals(machine), *account.forbidden(wsl), *_virtualization(machine)]
    if problems:
        return Plan(refusals=tuple(problems))
    windows, reboot = _windows(machine, features)
    half = _half(features, wsl, waits=bool(reboot))
    install, warnings, refusals = _upgrade(wsl, version, half, asked=wanted.upgrade)
    if refusals:
        return Plan(refusals=refusals)
    fetched = [*([packages.fetch(file, "wsl.msi")] if install else []), *_distribution(state, wanted)]
    installed = [_install(wsl, file, version, half)] if install else []
    return Plan(actions=(*fetched, *windows, *installed), reboot=reboot, warnings=warnings)


def _distribution(state: State, wanted: Wanted) -> list[Action]:
    """The fetch that topic distribution would begin with; what it refuses is its own to tell."""
    if not wanted.distribution:
        return []
    like = distribution.Wanted(wanted.distribution, wanted.distribution_url, wanted.distribution_sha256)
    return [action for action in distribution.plan(state, like).actions if action.kind == "file_fetch"]


def _package(machine: MachineSection, wanted: Wanted) -> tuple[str, File, list[Refusal]]:
    pinned, file = packages.msi(machine)
    version = wanted.msi_version or pinned
    try:
        another = packages.version(version) != packages.version(pinned)
    except ValueError:
        return pinned, file, [Refusal("wsl.msi.version", f"found {version!r}; write a version such as {pinned!r}.")]
    if packages.version(version) < packages.version(packages.MINIMUM):
        text = f"found {version!r}; distributions are installed from files, which WSL can from {packages.MINIMUM} on."
        return version, file, [Refusal("wsl.msi.version", text)]
    if not (another or wanted.msi_url or wanted.msi_sha256):
        return version, file, []
    problems = []
    if not wanted.msi_url:
        text = f"write the address of WSL {version}'s package for this PC, or its path there; only {pinned} is pinned."
        problems.append(Refusal("wsl.msi.url", text))
    elif not _is_place(wanted.msi_url):
        problems.append(Refusal("wsl.msi.url", f"found {wanted.msi_url!r}; write https://… or a path on the PC."))
    if not packages.is_sha256(wanted.msi_sha256):
        text = f"write the SHA-256 of WSL {version}'s package: 64 hexadecimal digits."
        problems.append(Refusal("wsl.msi.sha256", text))
    return version, File(wanted.msi_url, wanted.msi_sha256.lower()), problems


def _is_place(url: str) -> bool:
    return url.startswith("https://") or url[1:3] == ":\\"


def _features(machine: MachineSection) -> list[str]:
    """Windows 10 needs the old subsystem's feature as well (microsoft/WSL, WslInstall.cpp)."""
    return [PLATFORM] if machine["build"] >= WINDOWS_11 else [PLATFORM, INBOX]


def _virtualization(machine: MachineSection) -> list[Refusal]:
    if machine["hypervisor_present"] or machine["firmware_virtualization"] is not False:
        return []
    return [Refusal("", account.NO_VIRTUALIZATION)]


def _windows(machine: MachineSection, features: FeaturesSection) -> tuple[list[Action], str]:
    """What of Windows itself is to be changed, and why it must restart."""
    needed = _features(machine)
    off = [name for name in needed if features["features"][name] != "enabled"]
    actions = [
        Action("feature_enable", {"name": name}, says=f"feature {name}", before=f"{name}: off", after=f"{name}: on")
        for name in off
        if name not in features["pending"]
    ]
    launch = machine["hypervisor_launch"]
    if launch not in (None, "auto") or (launch is None and not off and not machine["hypervisor_present"]):
        parameters = {"name": "hypervisorlaunchtype", "value": "auto"}
        was = f"hypervisorlaunchtype: {launch or 'not set'}"
        says = "start the hypervisor with Windows"
        actions.append(Action("bcd_set", parameters, says=says, before=was, after="hypervisorlaunchtype: auto"))
    if off:
        return actions, f"it enables {' and '.join(off)} at its next start"
    return actions, "" if machine["hypervisor_present"] else "its hypervisor starts with its next start"


def _half(features: FeaturesSection, wsl: WslSection, *, waits: bool) -> str:
    """Why WSL, whose program is there, must be installed again; empty where it need not. waits: Windows restarts first."""
    if wsl["path"] is None:
        return ""
    if SERVICE not in features["services"]:
        return f"its service {SERVICE} is not registered"
    listed = wsl["running"]
    if waits or listed is None or listed["code"] in (0, None):
        return ""
    said = wire.text_of(listed).lower()
    return next((f"`wsl --list` says {code}" for code in BROKEN if code.lower() in said), "")


def _upgrade(
    wsl: WslSection, version: str, half: str, *, asked: bool
) -> tuple[bool, tuple[str, ...], tuple[Refusal, ...]]:
    """Whether to install, and what is to be said about the WSL that is there."""
    if wsl["path"] is None:
        return True, (), ()
    present, wanted = _present(wsl), packages.version(version)
    if present > wanted and half:
        text = f"WSL {wsl['msi_version']} is newer than {version}, and {half}: write its own version, url and sha256 here, to repair it"
        return False, (), (Refusal("wsl.msi", text),)
    if present > wanted:
        return False, (f"WSL {wsl['msi_version']} is newer than the wanted {version} and stays.",), ()
    if present == wanted and not half:
        return False, (), ()
    names = ", ".join(account.running(wsl))
    if not names or asked:
        return True, (), ()
    does = f"a repair, since {half}," if present == wanted else f"an upgrade to {version}"
    how = f"{does} would stop {names}: write `variables: {{win_wsl_upgrade: true}}` when nothing runs there"
    if half or present < packages.version(packages.MINIMUM):
        why = "is half there" if half else "is too old"
        return False, (), (Refusal("variables", f"WSL {wsl['msi_version']} {why}, and {how}."),)
    return False, (f"WSL {wsl['msi_version']} stays: {how}.",), ()


def _present(wsl: WslSection) -> tuple[int, ...]:
    return packages.version(_NUMBERS.match(wsl["msi_version"] or "0")[0])  # type: ignore[index]  # it matches anything


def _install(wsl: WslSection, file: File, version: str, half: str) -> Action:
    ended = ", ".join(account.running(wsl))
    repair = bool(half) and _present(wsl) == packages.version(version)
    was = f"{wsl['msi_version'] or 'none'}{', half there' if half else ''}" if wsl["path"] else "none"
    return Action(
        "msi_install",
        {"path": file.path, "sha256": file.sha256.lower(), "repair": repair},
        says=f"install WSL {version}" + (f" again, since {half}" if repair else ""),
        before=f"WSL: {was}",
        after=f"WSL: {version}" + (f"; {ended} is ended for that" if ended else ""),
    )
