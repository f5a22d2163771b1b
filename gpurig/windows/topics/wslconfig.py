"""Topic wslconfig: what the user's .wslconfig says, and that WSL has started since it said so.

Keys of ours are set; all else in the file is the user's and stays. A restart of WSL stops every distribution of the user, so there
is at most one, only where a value changed that the running WSL has otherwise, and never while somebody works there.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gpurig.windows import inside, packages, wslconfig, wslsizes
from gpurig.windows.actions import Action
from gpurig.windows.busy import busy
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.questions import NOTE
from gpurig.windows.state import State
from gpurig.windows.wslconfig import Computer
from gpurig.windows.wslkeys import UNITS, keys, known, meaning

SECTIONS = ("machine", "wsl", "inside")

INSTANCE_TIMER = (2, 5, 8)
"""WSL's first version that knows instanceIdleTimeout; to others it is an unknown key, of which they warn at every start."""

WINDOWS_11 = 22000
"""The first build that has vmIdleTimeout."""

DEFAULTS = {
    "wsl2.networkingMode": "nat",
    "wsl2.localhostForwarding": True,
    "experimental.autoMemoryReclaim": "dropcache",
}
"""What WSL does where our keys are missing: writing just that needs no restart."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """memory, swap: GB; processors: how many. None keeps the user's own value, else computes one from the PC's size.

    settings: further keys, section → key → value, such as {wsl2: {guiApplications: false}}. msi_version: of the WSL that topic wsl
    installs where there is none; empty: the pinned one.
    """

    memory: int | None = None
    processors: int | None = None
    swap: int | None = None
    networking: Literal["nat", "mirrored"] = "nat"
    settings: Mapping[str, Mapping[str, str | int | float | bool]] = field(default_factory=dict)
    msi_version: str = ""


def plan(state: State, wanted: Wanted) -> Plan:
    """Write what differs, then restart WSL where that is needed and nobody works in it."""
    missing = unread(state, SECTIONS)
    if missing:
        return Plan(refusals=missing)
    computer = _computer(state, wanted)
    refusals = [*_refusals(wanted, computer), *_settings(wanted, computer)]
    if refusals:
        return Plan(refusals=tuple(refusals))
    wsl = state["wsl"]
    data = base64.b64decode(wsl["config"] or "")
    text, encoding = _decoded(data)
    edited = wslconfig.edit(text, _nested(_ours(text, wanted, computer)))
    path = wsl["config_path"]
    problems = wslconfig.problems(edited, computer)
    harm = [f"{path}, line {one.line}: {one.key}: {one.text}. Remove this line" for one in problems if one.harmful]
    if harm:
        return Plan(refusals=tuple(Refusal("", text) for text in harm))
    warnings = [f"{path}, line {one.line}: {one.key}: {one.text}" for one in problems]
    changed = _changed(text, edited)
    # To ask a distribution starts WSL, after it was looked at.
    running = wsl["vm_started"] is not None or inside.facts(state["inside"]).problem is None
    actions: list[Action] = []
    if edited != text or wsl["config"] is None:
        after = edited.encode(encoding, "surrogateescape")
        if changed and running:
            actions.append(_note(state, data, after))
        says = f".wslconfig: {', '.join(changed) or 'nothing that has an effect'}"
        actions.append(_write(path, after, _digest(data) if wsl["config"] is not None else "", says, text, edited))
    if running and (changed or _owed(state)):
        working = busy(state)
        if working:
            warnings.append(
                f"WSL was not restarted, so {path} is not wholly in force: {'; '.join(working)}. "
                "When that has ended, run this again, or `wsl --shutdown` on the PC"
            )
        else:
            says = "restart WSL, since values of .wslconfig changed"
            actions.append(
                Action("wsl_shutdown", says=says, before="WSL: runs", after="WSL: shut down and started anew")
            )
    return Plan(actions=tuple(actions), warnings=tuple(warnings))


def _computer(state: State, wanted: Wanted) -> Computer:
    machine, wsl = state["machine"], state["wsl"]
    # Before there is WSL, what will be written is planned for the WSL that will be there then.
    version = wsl["msi_version"] if wsl["path"] else wanted.msi_version or packages.msi(machine)[0]
    return Computer(
        build=machine["build"],
        version=wslconfig.version(version) if version else None,
        memory=machine["memory"],
        processors=machine["processors"],
        policy=wsl["policy"],
    )


def _refusals(wanted: Wanted, computer: Computer) -> Iterator[Refusal]:
    total, processors = (computer.memory or 0) / UNITS["GB"], computer.processors or 0
    if wanted.memory is not None and not 1 <= wanted.memory <= total:
        yield Refusal("wsl.memory", f"is {wanted.memory} GB; the PC has {total:.1f} GB: write 1 to {int(total)}")
    if wanted.processors is not None and not 1 <= wanted.processors <= processors:
        yield Refusal("wsl.processors", f"is {wanted.processors}; the PC has {processors}: write 1 to {processors}")
    if wanted.swap is not None and wanted.swap < 0:
        yield Refusal("wsl.swap", f"is {wanted.swap}: write GB, or 0 for none")
    if wanted.networking == "mirrored" and not wslconfig.mirrors(computer.build or 0):
        yield wslconfig.unmirrored(computer.build or 0)


def _settings(wanted: Wanted, computer: Computer) -> Iterator[Refusal]:
    given = {"memory": wanted.memory, "processors": wanted.processors, "swap": wanted.swap}
    for written, value in _flat(wanted.settings).items():
        key = f"wsl.settings.{written}"
        name = known(written)
        if name is None:
            yield Refusal(key, wslconfig.unknown(written.lower()))
            continue
        own = name.partition(".")[2]
        if given.get(own) is not None or name == "wsl2.networkingMode":
            yield Refusal(
                key,
                f"has a key of its own, wsl.{'networking' if own == 'networkingMode' else own}: write it there only",
            )
        for problem in wslconfig.judge(name, value, computer):
            if problem.harmful or problem.void:
                yield Refusal(key, f"{problem.text}. Remove it")


def _ours(text: str, wanted: Wanted, computer: Computer) -> dict[str, str]:
    """Every key that we set. The user's own size stays where the entry gives none and the PC can have it."""
    present = wslconfig.parse(text)
    sizes = wslsizes.computed(computer.memory or 0, computer.processors or 1, wanted.memory)
    wishes = {"memory": wanted.memory, "processors": wanted.processors, "swap": wanted.swap}
    found: dict[str, str] = {}
    for key, wish in wishes.items():
        name, unit = f"wsl2.{key}", "" if key == "processors" else "GB"
        own = present.get(name)
        fits = own is not None and bool(meaning(name, own) or (key == "swap" and meaning(name, own) == 0))
        if (
            wish is None
            and own is not None
            and fits
            and not any(one.void for one in wslconfig.judge(name, own, computer))
        ):
            found[name] = own
        else:
            number = sizes[key] if wish is None else wish
            found[name] = f"{number}{unit}" if number else "0"
    found["wsl2.networkingMode"] = wanted.networking
    if wanted.networking == "nat":
        found["wsl2.localhostForwarding"] = "true"
    if (computer.build or 0) >= WINDOWS_11:
        found["wsl2.vmIdleTimeout"] = "-1"
    if computer.version is not None and computer.version >= INSTANCE_TIMER:
        found["general.instanceIdleTimeout"] = "-1"
    if present.get("experimental.autoMemoryReclaim", "").lower() != "disabled":
        found["experimental.autoMemoryReclaim"] = "dropCache"
    return found | {known(name) or name: value for name, value in _flat(wanted.settings).items()}


def _changed(text: str, edited: str) -> list[str]:
    """`key=value` of all that means something else now than WSL made of it before."""
    before, after = wslconfig.parse(text), wslconfig.parse(edited)

    def meant(found: Mapping[str, str], name: str) -> Any:
        value = meaning(name, found[name]) if name in found else None
        return DEFAULTS.get(name) if value is None else value

    return [
        f"{name.partition('.')[2]}={after.get(name, '')}"
        for name in dict.fromkeys([*after, *before])
        if name in keys() and meant(before, name) != meant(after, name)
    ]


def _note(state: State, before: bytes, after: bytes) -> Action:
    present = state["inside"]["note"]
    said = f"gpurig changed .wslconfig from {_digest(before)} to {_digest(after)}; WSL has run since {state['wsl']['vm_started']}.\r\n"
    return _write(NOTE, said.encode(), present["sha256"] if present else "", "note that WSL needs a restart", "", "")


def _write(path: str, content: bytes, before: str, says: str, old: str, new: str) -> Action:
    parameters = {"path": path, "content": base64.b64encode(content).decode("ascii"), "before": before}
    return Action("file_write", parameters, says=says, before=old, after=new)


def _owed(state: State) -> bool:
    """Whether the running WSL started before we last changed a value."""
    note, started = state["inside"]["note"], state["wsl"]["vm_started"]
    return bool(note and started) and datetime.fromisoformat(note["time"]) > datetime.fromisoformat(started)  # type: ignore[index, arg-type]  # both are there


def _decoded(data: bytes) -> tuple[str, str]:
    """As WSL opens it: UTF-8, or UTF-16 with a mark, which Notepad once wrote. Bytes that are neither survive."""
    encoding = "utf-16-le" if data.startswith(b"\xff\xfe") else "utf-8"
    return data.decode(encoding, "surrogateescape"), encoding


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _flat(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    words = {True: "true", False: "false"}
    return {
        f"{section}.{key}": words[value] if isinstance(value, bool) else str(value)
        for section, found in settings.items()
        for key, value in found.items()
    }


def _nested(flat: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        found.setdefault(section, {})[key] = value
    return found
