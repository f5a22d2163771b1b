"""Failures of the two files that configure WSL: .wslconfig of the Windows user, wsl.conf of the distribution."""

from __future__ import annotations

from collections.abc import Iterator

from gpurig.doctor import Level
from gpurig.windows import configfile, wslconfig, wslkeys
from gpurig.windows.actions import Action
from gpurig.windows.failures.case import SETTINGS, Case, Failure
from gpurig.windows.failures.names import NAMES
from gpurig.windows.failures.starting import start

KERNEL = 0.85
"""Part of `memory` that Linux' MemTotal has at least: its kernel keeps the rest."""

SHOWN = 3


def without_effect(case: Case) -> Failure | None:
    """23. Lines that WSL drops, and values that it does not run with (WSL's configfile.cpp)."""
    if fallen := _fallen_back(case):
        return fallen
    if not case.config:
        return None
    machine, wsl = case.section("machine"), case.section("wsl")
    problems = wslconfig.lint(
        case.config,
        windows_build=machine.get("build"),
        wsl_version=wsl.get("msi_version"),
        memory=machine.get("memory"),
        processors=machine.get("processors"),
        policy=wsl.get("policy"),
    )
    dropped = [f"line {one.line}, {one.key}: {one.text}" for one in problems if not _elsewhere(one)]
    stale = [] if dropped else list(_stale(case))
    if not dropped and not stale:
        return None
    told = [*dropped, *stale]
    found = f"{wsl['config_path']}: {'; '.join(told[:SHOWN])}" + (
        f" and {len(told) - SHOWN} more" if told[SHOWN:] else ""
    )
    meaning = "WSL says nothing about lines that it does not understand, and reads the file only when its virtual machine starts."
    fix = f"Correct these lines; {case.site('win_wslconfig')} writes those of ours, and restarts WSL once nobody works in it."
    if not dropped:
        fix = "`wsl --shutdown` on the PC once nobody works in it; the keeper starts WSL again."
    return Failure(
        23,
        NAMES[23],
        SETTINGS,
        found,
        meaning,
        fix,
        (Action("wsl_shutdown", says="shut WSL down"), start()) if stale else (),
        "WARN",
    )


def half_read(case: Case) -> Failure | None:
    """24. The first malformed line ends the reading of wsl.conf (WSL's WslDistributionConfig.cpp)."""
    text = case.facts.wsl_conf
    faults = configfile.read(text, windows=False).faults if text else []
    if not faults:
        return None
    fault = faults[0]
    found = f"/etc/wsl.conf, line {fault.line}: {fault.text.strip()[:60]!r}: {configfile.FAULTS[fault.why]}"
    meaning = (
        "WSL stops reading there without a word, so every later setting, such as systemd or the user, is its default."
    )
    fix = f"Correct that line, then `wsl --terminate {case.name}` on the PC; {case.site('win_linux')} writes the settings of ours."
    return Failure(24, NAMES[24], SETTINGS, found, meaning, fix, level="WARN")


def _fallen_back(case: Case) -> Failure | None:
    """Since 2.3.25 WSL goes on with a network of its own where Windows' NAT fails (Microsoft's wsl-config page)."""
    runs, told = case.facts.networking_mode, case.setting("wsl2", "networkingMode")
    if runs not in ("virtioproxy", "consomme") or (told or "nat").lower() != "nat":
        return None
    says = f"says {told}" if told else "says nothing, which means nat"
    found = f"WSL runs with {runs}, .wslconfig {says}"
    meaning = "Windows' NAT for virtual machines failed when WSL started. Linux reaches the internet, but no portproxy leads to it."
    fix = (
        "`wsl --shutdown; Restart-Service hns` on the PC once nobody works in WSL; the keeper starts it again. If it comes back, "
        "restart Windows, and look for a VPN or antivirus program that takes over the network."
    )
    actions = (
        Action("wsl_shutdown", says="shut WSL down"),
        Action("service_restart", {"name": "hns"}, "restart Windows' network for virtual machines"),
        start(),
    )
    level: Level = "FAIL" if case.opened else "WARN"
    return Failure(23, NAMES[23], SETTINGS, found, meaning, fix, actions, level)


def _elsewhere(problem: wslconfig.Problem) -> bool:
    """What is not without effect, or has a failure of its own: harmful and odd values, mirrored networking."""
    told = any(words in problem.text for words in ("no effect", "is dropped", "is more than", "is overridden"))
    return problem.key == "wsl2.networkingMode" or not told


def _stale(case: Case) -> Iterator[str]:
    """Values that WSL does not run with, though it would take them."""
    facts = case.facts
    processors = case.setting("wsl2", "processors")
    limit = case.section("machine").get("processors")
    if processors and processors.isdecimal() and facts.nproc and limit:
        wanted = min(int(processors), limit) or limit
        if wanted != facts.nproc:
            yield f"processors={processors}, but WSL runs with {facts.nproc}: it has not started anew since"
    size = _bytes(case, "memory")
    if size and facts.memory_bytes and not KERNEL * size <= facts.memory_bytes <= size:
        yield f"memory={case.setting('wsl2', 'memory')}, but WSL runs with {facts.memory_bytes / 2**30:.1f} GB: it has not started anew since"
    swap = _bytes(case, "swap")
    if swap is not None and facts.swap_bytes is not None and abs(swap - facts.swap_bytes) > 2**20:
        yield f"swap={case.setting('wsl2', 'swap')}, but WSL runs with {facts.swap_bytes / 2**30:.1f} GB: it has not started anew since"
    mode = (case.setting("wsl2", "networkingMode") or "nat").lower()
    if facts.networking_mode and mode in ("nat", "none") and facts.networking_mode == "mirrored":
        yield f"networkingMode={mode}, but WSL runs with mirrored: it has not started anew since"


def _bytes(case: Case, key: str) -> int | None:
    """A size of [wsl2] in bytes; None where it has none that counts."""
    value = case.setting("wsl2", key)
    found = wslkeys.meaning(f"wsl2.{key}", value) if value is not None else None
    return found if isinstance(found, int) else None
