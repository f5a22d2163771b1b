"""/etc/wsl.conf of a distribution: read as WSL reads it, checked, and edited without losing what is the user's own.

Unlike .wslconfig it is given up at the first malformed line: every key after it silently has its default.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpurig.windows import configedit, configfile
from gpurig.windows.configfile import FAULTS
from gpurig.windows.wslconfig import Problem

KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("automount.enabled", "automount.mountFsTab", "automount.ldconfig"), ("true", "false", "1", "0")),
    **dict.fromkeys(
        ("interop.enabled", "interop.appendWindowsPath", "time.useWindowsTimezone"), ("true", "false", "1", "0")
    ),
    **dict.fromkeys(("network.generateHosts", "network.generateResolvConf"), ("true", "false", "1", "0")),
    **dict.fromkeys(
        ("gpu.enabled", "gpu.appendLibPath", "boot.systemd", "boot.protectBinfmt"), ("true", "false", "1", "0")
    ),
    **dict.fromkeys(("general.guiApplications", "fileServer.enabled"), ("true", "false", "1", "0")),
    **dict.fromkeys(
        ("automount.root", "automount.options", "filesystem.umask", "network.hostname", "user.default"), ()
    ),
    **dict.fromkeys(("boot.command", "boot.initTimeout", "fileServer.logFile", "fileServer.logLevel"), ()),
    "automount.cgroups": ("v1", "v2"),
    "fileServer.logTruncate": ("true", "false", "1", "0"),
}
"""Key → the values that it takes, in any case; none where it takes any. Source: microsoft/WSL, WslDistributionConfig.cpp."""

_INDEX = {name.lower(): name for name in KEYS}


def parse(text: str) -> dict[str, str]:
    """What is in force: section.key in lower case → value."""
    found: dict[str, str] = {}
    for entry in configfile.read(text, windows=False).entries:
        found.setdefault(entry.name, entry.value)
    return found


def lint(text: str) -> list[Problem]:
    """All that is odd, by line. harmful: the line at which reading ends, and what takes the GPU away."""
    content = configfile.read(text, windows=False)
    problems = []
    first: dict[str, int] = {}
    for entry in content.entries:
        name = _INDEX.get(entry.name)
        if name is None:
            problems.append(Problem(entry.line, entry.name, "has no effect: WSL does not know it"))
        elif name in first:
            told = f"has no effect: line {first[name]} has it already, and the first one counts"
            problems.append(Problem(entry.line, name, told))
        else:
            first[name] = entry.line
            if KEYS[name] and entry.value.lower() not in KEYS[name]:
                told = f"{entry.value!r} has no effect: write one of {', '.join(KEYS[name][:2])}"
                problems.append(Problem(entry.line, name, told))
            elif name == "gpu.enabled" and entry.value.lower() in ("false", "0"):
                problems.append(Problem(entry.line, name, f"{entry.value}: it takes the GPU away", harmful=True))
    for fault in content.faults:
        told = f"WSL stops reading here, so no later line has an effect: {FAULTS[fault.why]}"
        problems.append(Problem(fault.line, fault.text.strip()[:60], told, harmful=True))
    return problems


def edit(text: str, wanted: Mapping[str, Mapping[str, str]]) -> str:
    """The text with these values in force, everything else as it was, byte for byte; a line at which reading would end becomes a comment."""
    while faults := configfile.read(text, windows=False).faults:
        begin = faults[0].begin
        text = f"{text[:begin]}# {text[begin:]}"
    return configedit.edit(text, wanted, windows=False, same=_same)


def _same(name: str, one: str, other: str) -> bool:
    kind = KEYS.get(_INDEX.get(name, ""), ())
    words = {"1": "true", "0": "false"} if "true" in kind else {}
    if kind:
        one, other = one.lower(), other.lower()
    return words.get(one, one) == words.get(other, other)
