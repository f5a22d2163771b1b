"""Topic disk: where the distribution's disk lies, and that it gives back room that Linux no longer uses.

Both stop the distribution, so both are done only when the owner asks for them, and never while somebody works there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gpurig.windows import account, inside, paths
from gpurig.windows.actions import Action
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.state import Distribution, State
from gpurig.windows.topics.distribution import export, named

SECTIONS = ("machine", "wsl", "inside")

GIB = 2**30

LEAST = 8 * GIB
"""Bytes that a compaction must be able to give back to be worth stopping WSL."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """distribution: whose disk. location: the folder where it shall lie; empty leaves it.

    move: it may be moved there, after an export of all its files beside it. export: that file's path instead of
    <location>-<time>.tar. discard: there is no export. compact: give room back to Windows.
    """

    distribution: str = "Ubuntu-24.04"
    location: str = ""
    move: bool = False
    export: str = ""
    discard: bool = False
    compact: bool = False


def plan(state: State, wanted: Wanted) -> Plan:
    """Move, then compact."""
    missing = unread(state, SECTIONS[:2])
    if missing:
        return Plan(refusals=missing)
    present = named(state, wanted.distribution)
    if present is None or present["wsl"] != 2:  # noqa: PLR2004  # the second WSL; topic distribution refuses the first
        return Plan()
    moved = Plan()
    if wanted.location and not paths.same(present["base_path"], wanted.location):
        moved = _move(state, present, wanted)
        file = present["vhd_path"].rpartition("\\")[2]
        present = {**present, "vhd_path": f"{wanted.location.rstrip(chr(92))}\\{file}"}
    smaller = _compact(state, present) if wanted.compact else Plan()
    refusals = tuple(dict.fromkeys([*moved.refusals, *smaller.refusals]))
    if refusals:
        return Plan(refusals=refusals)
    return Plan(actions=(*moved.actions, *smaller.actions), warnings=smaller.warnings)


def _move(state: State, present: Distribution, wanted: Wanted) -> Plan:
    name, size = present["name"], present["vhd_size"] or 0
    refusals = [*account.refusals(state["machine"]), *_place(state, present, wanted)]
    if not wanted.move:
        text = (
            f"found {wanted.location!r}, but {name} lies in {present['base_path']}: write that, or "
            f"`variables: {{win_disk_move: true}}` to have its {_gb(size)} exported and moved, during which it stands still."
        )
        return Plan(refusals=(Refusal("wsl.location", text),))
    refusals += [Refusal("variables.win_disk_move", text) for text in _work(state, present, [])]
    if refusals:
        return Plan(refusals=tuple(refusals))
    move = Action(
        "distribution_move",
        {"name": name, "location": wanted.location},
        says=f"move {name} to {wanted.location}",
        before=f"{name}: {present['base_path']}",
        after=f"{name}: {wanted.location}; it is ended for that",
    )
    saved = [] if wanted.discard else [export(present, _export(state, wanted))]
    return Plan(actions=(*saved, move))


def _place(state: State, present: Distribution, wanted: Wanted) -> Iterator[Refusal]:
    """Whether the drives have room for the disk and for what is exported, which may be as big."""
    if said := paths.mistake(wanted.location):
        yield Refusal("wsl.location", f"{said}.")
        return
    size, drives = present["vhd_size"] or 0, state["machine"]["drives"]
    needed: dict[str, int] = {}
    if paths.drive(present["base_path"]) != paths.drive(wanted.location):
        needed[paths.drive(wanted.location)] = size
    if not wanted.discard:
        letter = paths.drive(_export(state, wanted))
        needed[letter] = needed.get(letter, 0) + size
    for letter, room in needed.items():
        if letter not in drives:
            yield Refusal("wsl.location", f"the PC has no fixed drive {letter}:.")
        elif drives[letter]["free"] < room:
            text = f"drive {letter}: has {_gb(drives[letter]['free'])} free, {_gb(room)} are needed to move {present['name']} with an export."
            yield Refusal("wsl.location", text)


def _export(state: State, wanted: Wanted) -> str:
    """A new file's path: what an interrupted export left never stands in the way of the next."""
    time = datetime.fromisoformat(state["machine"]["now"])
    return wanted.export or f"{wanted.location.rstrip(chr(92))}-{time:%Y%m%dT%H%M%S}.tar"


def _compact(state: State, present: Distribution) -> Plan:
    missing = unread(state, SECTIONS)
    if missing:
        return Plan(refusals=missing)
    facts = inside.facts(state["inside"])
    if facts.disk_size_bytes is None or facts.disk_free_bytes is None or present["vhd_size"] is None:
        said = facts.problem or "it does not say how full its disk is"
        return Plan(warnings=(f"{present['name']}'s disk was not compacted: {said}.",))
    used = facts.disk_size_bytes - facts.disk_free_bytes
    if present["vhd_size"] - used < max(LEAST, used // 4):
        return Plan()
    others = [name for name in account.running(state["wsl"]) if name != present["name"]]
    refusals = [Refusal("variables.win_disk_compact", text) for text in _work(state, present, others)]
    refusals += account.refusals(state["machine"])
    if refusals:
        return Plan(refusals=tuple(refusals))
    name, size = present["name"], present["vhd_size"]
    trim = inside.run(name, "trim", says=f"tell {name}'s disk which room it no longer needs")
    compact = Action(
        "disk_compact",
        {"path": present["vhd_path"], "guid": present["guid"]},
        says=f"shut WSL down and give room of {name}'s disk back to Windows",
        before=f"{present['vhd_path']}: {_gb(size)}",
        after=f"{present['vhd_path']}: about {_gb(used)}; WSL is shut down for that",
    )
    return Plan(actions=(trim, compact))


def _work(state: State, present: Distribution, others: list[str]) -> Iterator[str]:
    """Who would lose work, in words."""
    facts = inside.facts(state.get("inside"))
    if facts.busy is None and present["name"] in account.running(state["wsl"]):
        yield f"{present['name']} runs and does not say whether anybody works there: end it by `wsl --terminate {present['name']}` on the PC."
    for one in facts.busy or ():
        yield f"{one}; WSL would be stopped under it: try again when it has ended."
    for name in others:
        yield f"{name} runs, which is not ours; WSL would be stopped under it: try again when it has ended."


def _gb(size: int) -> str:
    return f"{size / 10**9:.1f} GB"
