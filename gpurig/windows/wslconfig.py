"""The file .wslconfig of a Windows user: read as WSL reads it, checked, and edited without losing what is the user's own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpurig.windows import configedit, configfile
from gpurig.windows.configfile import FAULTS, Content, Entry
from gpurig.windows.plan import Refusal
from gpurig.windows.wslkeys import UNITS, keys, known, meaning, names, wrong

MIRRORED_BUILD = 22621
"""Windows 11 22H2, the first with mirrored networking and the Hyper-V firewall."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that does not do what it says, or does harm. line: from 1, 0 where it is not in a file.

    harmful: must be removed; void: WSL takes another value instead.
    """

    line: int
    key: str
    text: str
    harmful: bool = False
    void: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Computer:
    """What limits the values. build: of Windows; version: of WSL, as numbers; memory: bytes. None where it is not known.

    policy: values of HKLM\\Software\\Policies\\WSL.
    """

    build: int | None = None
    version: tuple[int, ...] | None = None
    memory: int | None = None
    processors: int | None = None
    policy: Mapping[str, Any] | None = None


def parse(text: str) -> dict[str, str]:
    """What counts: section.key, in the case of the table where it is known → value as text. An old header's keys are under the new."""
    found: dict[str, str] = {}
    for entry in configfile.read(text, windows=True).entries:
        found.setdefault(known(entry.name) or entry.name, entry.value)
    return found


def lint(
    text: str,
    *,
    windows_build: int | None = None,
    wsl_version: str | None = None,
    memory: int | None = None,
    processors: int | None = None,
    policy: Mapping[str, Any] | None = None,
) -> list[Problem]:
    """All that is odd about a file, by line. For the rest see Computer."""
    known_version = version(wsl_version) if wsl_version else None
    return problems(
        text,
        Computer(build=windows_build, version=known_version, memory=memory, processors=processors, policy=policy),
    )


def problems(text: str, computer: Computer) -> list[Problem]:
    """All that is odd about a file on this computer, by line."""
    content = configfile.read(text, windows=True)
    dropped = [
        Problem(fault.line, fault.text.strip()[:60], f"the line is dropped: {FAULTS[fault.why]}")
        for fault in content.faults
    ]
    return sorted([*dropped, *_effects(content, computer)], key=lambda problem: problem.line)


def judge(name: str, value: str, computer: Computer) -> Iterator[Problem]:
    """What is odd about one value of a key of the table."""
    entry = keys()[name]
    if refused := wrong(entry["type"], value):
        yield Problem(0, name, f"{value!r} has no effect: {refused}", void=True)
        return
    word = meaning(name, value)
    for kind in ("harmful", "odd"):
        why = entry.get(kind, {}).get(str(word).lower()) or (entry.get(kind, {}).get("*") if value else None)
        if why:
            yield Problem(0, name, f"{value}: {why}", kind == "harmful")
    yield from _limits(name, word, computer)
    if not value.isascii():
        yield Problem(0, name, f"{value!r} has no effect: WSL does not read letters beyond ASCII", void=True)
    if "since" in entry and computer.version and computer.version < version(entry["since"]):
        yield Problem(0, name, f"has no effect before WSL {entry['since']}")
    if "build" in entry and computer.build and computer.build < entry["build"]:
        yield Problem(0, name, f"has no effect before build {entry['build']} of Windows, this is {computer.build}")
    if "policy" in entry and (computer.policy or {}).get(entry["policy"]) == 0:
        yield Problem(0, name, f"is overridden by group policy ({entry['policy']})")


def edit(text: str, wanted: Mapping[str, Mapping[str, str]]) -> str:
    """The text with these values in force, everything else as it was, byte for byte. wanted: section → key → value."""
    return configedit.edit(text, wanted, windows=True, names=_names, same=_same)


def mirrors(build: int) -> bool:
    """Whether a build of Windows has mirrored networking."""
    return build >= MIRRORED_BUILD


def unmirrored(build: int) -> Refusal:
    """What is said where it has not; the same words from every topic, so that they are told once."""
    needs = f"mirrored needs Windows 11 22H2 (build {MIRRORED_BUILD}), and this is build {build}"
    return Refusal("wsl.networking", f"{needs}: write nat, or leave it out")


def unknown(name: str) -> str:
    """What is said of a key, section.key in lower case, that WSL does not know."""
    if "." not in name:
        return "has no effect: it stands above every [section]"
    key = name.partition(".")[2]
    elsewhere = [one for one in keys() if one.lower().endswith(f".{key}")]
    close = elsewhere or difflib.get_close_matches(name, list(names()), 1)
    if not close:
        return "has no effect: WSL does not know it"
    section, _, word = (known(close[0]) or close[0]).partition(".")
    return f"has no effect: WSL does not know it; is {word} in [{section}] meant?"


def version(text: str) -> tuple[int, ...]:
    """A version as numbers that compare."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _effects(content: Content, computer: Computer) -> Iterator[Problem]:
    """Of the lines that WSL takes in: does each do what it says?"""
    first: dict[str, Entry] = {}
    for entry in content.entries:
        name = known(entry.name)
        if name is None:
            yield Problem(entry.line, entry.name, unknown(entry.name))
        elif name in first:
            yield Problem(
                entry.line, name, f"has no effect: line {first[name].line} has it already, and the first one counts"
            )
        else:
            first[name] = entry
            for problem in judge(name, entry.value, computer):
                yield replace(problem, line=entry.line)
    mode = first.get("wsl2.networkingMode")
    relay = first.get("wsl2.localhostForwarding")
    if mode and relay and mode.value.lower() == "mirrored":
        yield Problem(relay.line, "wsl2.localhostForwarding", "has no effect with networkingMode=mirrored")


def _limits(name: str, word: bool | int | str | None, computer: Computer) -> Iterator[Problem]:
    """What depends on the computer, or on a part of the value."""
    if name == "wsl2.memory" and computer.memory and isinstance(word, int) and word > computer.memory:
        yield Problem(0, name, f"is more than the PC has, {computer.memory / UNITS['G']:.1f} GB", void=True)
    if name == "wsl2.processors" and computer.processors and isinstance(word, int) and word > computer.processors:
        yield Problem(0, name, f"is more than the PC has, {computer.processors}", void=True)
    if word == "mirrored" and computer.build and not mirrors(computer.build):
        yield Problem(
            0,
            name,
            f"mirrored needs Windows 11 22H2 (build {MIRRORED_BUILD}), this is build {computer.build}; WSL takes NAT",
            void=True,
        )
    if word == "consomme" and computer.version and computer.version < (2, 9):
        yield Problem(0, name, "'consomme' has no effect before WSL 2.9, where it is called virtioproxy", void=True)
    if name == "wsl2.kernelCommandLine" and "nvidia" in str(word).lower():
        why = "WSL has no kernel module of NVIDIA's, its GPU is /dev/dxg; the driver is that of Windows"
        yield Problem(0, name, f"{word}: {why}", harmful=True)


def _names(name: str) -> list[str]:
    meant = known(name)
    return [one for one, found in names().items() if found == meant] if meant else [name]


def _same(name: str, one: str, other: str) -> bool:
    meant = known(name)
    if meant is None or one == other:
        return one == other
    return meaning(meant, one) is not None and meaning(meant, one) == meaning(meant, other)
