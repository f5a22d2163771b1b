"""Topic disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurig.windows import topics
from tests.windows.model import boot, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine, PowerLostError
from tests.windows.model.twins_wsl import PAUSE
from tests.windows.rounds import converge, look, talk

NAME = "Ubuntu-24.04"

GIB = wsl_vm.GIB

HERE = {"win_distribution_name": NAME}

THERE = {**HERE, "win_disk_location": "D:\\WSL\\Ubuntu"}

MOVE = {**THERE, "win_disk_move": True}

COMPACT = {**HERE, "win_disk_compact": True}


@dataclass
class Full:
    """A Linux that says how full its disk is. busy: who works there."""

    used: int
    busy: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def create(self) -> None: ...
    def destroy(self) -> None: ...
    def start(self) -> None: ...

    def stop(self) -> None:
        self.said.append("stop")

    def run(self, script: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        if "fstrim" in script:
            self.said.append("trim")
            return 0, b"", b""
        size = 1000 * GIB
        lines = [f"disk_size_bytes={size}", f"disk_free_bytes={size - self.used}"]
        lines += [f"busy={one}" for one in self.busy]
        return 0, "\n".join([*lines, "end=1", ""]).encode(), b""


def there(size: int = 200, used: int = 50, *, location: str = "C:\\Old", **changes: Any) -> tuple[Machine, Full]:
    """A PC with a distribution whose disk takes size GiB, of which Linux needs used."""
    drives = {letter: {"size": 2000 * GIB, "free": 900 * GIB} for letter in "CD"}
    machine = Machine(fresh(drives=drives, **changes))
    machine.data["features"][wsl_vm.VMP] = "enabled"
    machine.data["wsl"]["version"] = "2.6.3.0"
    boot.boot(machine)
    guid = wsl_vm.install(machine, NAME, location)
    path = wsl_vm.disk(machine.registry(f"{wsl_vm.LXSS}\\{guid}"))
    machine.data["disks"][path] = {"size": size * GIB, "used": used * GIB}
    linux = Full(used * GIB)
    machine.linux = {NAME: linux}
    return machine, linux


def decide(machine: Machine, variables: dict[str, Any]) -> Any:
    return topics.decide("disk", look(machine, *topics.sections("disk"), variables=variables), variables)


def test_nothing_is_done_unasked() -> None:
    plan = decide(there()[0], HERE)
    assert (plan.actions, plan.refusals, plan.warnings) == ((), (), ())


def test_without_a_distribution_there_is_nothing_to_do() -> None:
    assert decide(Machine(fresh()), {**MOVE, **COMPACT}).actions == ()


def test_another_place_alone_moves_nothing() -> None:
    plan = decide(there()[0], THERE)
    assert plan.actions == ()
    assert plan.refusals[0].key == "wsl.location"
    assert "win_disk_move: true" in plan.refusals[0].text


def test_the_same_place_in_other_letters_is_the_same() -> None:
    machine, _ = there(location="D:\\WSL\\ubuntu")
    plan = decide(machine, {**THERE, "win_disk_location": "d:\\wsl\\Ubuntu\\"})
    assert (plan.actions, plan.refusals) == ((), ())


def test_it_is_exported_and_moved() -> None:
    machine, _ = there()
    first = converge(machine, "disk", MOVE)
    assert [action.kind for action in first.actions] == ["distribution_export", "distribution_move"]
    assert list(machine.data["disks"]) == ["D:\\WSL\\Ubuntu\\ext4.vhdx"]
    assert [one["of"] for one in machine.data["blobs"].values()] == [NAME]


def test_an_owner_who_needs_no_export_gets_none() -> None:
    first = converge(there()[0], "disk", {**MOVE, "win_disk_discard": True})
    assert [action.kind for action in first.actions] == ["distribution_move"]


def test_power_lost_while_moving_loses_nothing() -> None:
    for at in range(1, 30):
        machine, _ = there()
        machine.power_lost_at = machine.steps + at
        try:
            converge(machine, "disk", MOVE)
        except PowerLostError:
            assert len(machine.data["disks"]) == 1
            converge(machine, "disk", MOVE)
        else:
            assert at > 4
            return
        assert list(machine.data["disks"]) == ["D:\\WSL\\Ubuntu\\ext4.vhdx"]
    raise AssertionError("more steps than were tried")


@pytest.mark.parametrize(
    ("location", "free", "text"),
    [
        ("D:\\WSL", 300, "300"),
        ("E:\\WSL", 900, "no fixed drive E:"),
        ("WSL", 900, "whole path"),
    ],
)
def test_a_place_that_will_not_do_is_refused(location: str, free: int, text: str) -> None:
    machine, _ = there()
    machine.data["drives"]["D"]["free"] = free * 10**9
    plan = decide(machine, {**MOVE, "win_disk_location": location})
    assert plan.actions == ()
    assert plan.refusals[0].key == "wsl.location"
    assert text in plan.refusals[0].text


@pytest.mark.parametrize("variables", [MOVE, COMPACT])
def test_nothing_is_stopped_under_a_job(variables: dict[str, Any]) -> None:
    machine, linux = there()
    linux.busy = ["python (42) uses the GPU"]
    plan = decide(machine, variables)
    assert plan.actions == ()
    assert "python (42) uses the GPU" in plan.refusals[0].text


def test_room_is_given_back() -> None:
    machine, linux = there()
    first = converge(machine, "disk", COMPACT)
    assert [action.kind for action in first.actions] == ["inside_run", "disk_compact"]
    assert "trim" in linux.said
    assert next(iter(machine.data["disks"].values()))["size"] < 51 * GIB


def test_a_disk_with_little_to_give_back_stays() -> None:
    assert decide(there(size=55)[0], COMPACT).actions == ()


def test_what_is_not_ours_is_not_shut_down() -> None:
    machine, _ = there()
    wsl_vm.install(machine, "Debian", "")
    wsl_vm.start(machine, "Debian")
    plan = decide(machine, COMPACT)
    assert plan.actions == ()
    assert "Debian" in plan.refusals[0].text


def test_a_linux_that_does_not_answer_is_told() -> None:
    machine, _ = there()
    machine.linux = {}
    plan = decide(machine, COMPACT)
    assert plan.actions == ()
    assert "was not compacted" in plan.warnings[0]


def test_moved_and_made_smaller_in_one_go() -> None:
    machine, _ = there()
    converge(machine, "disk", {**MOVE, **COMPACT})
    assert [held["size"] < 51 * GIB for held in machine.data["disks"].values()] == [True]
    assert list(machine.data["disks"]) == ["D:\\WSL\\Ubuntu\\ext4.vhdx"]


@pytest.mark.parametrize("variables", [MOVE, COMPACT])
def test_the_keeper_stays_away_meanwhile_and_comes_back(variables: dict[str, Any]) -> None:
    machine, _ = there()
    actions = decide(machine, variables).actions
    before = machine.snapshot()["files"]
    seen = []
    step = Machine.step

    def watched(self: Machine) -> None:
        seen.append(PAUSE in self.data["files"])
        step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "step", watched)
        assert talk(machine, actions, {}).failed() is None
    assert any(seen)
    assert machine.data["files"] == before


@given(
    size=st.integers(1, 1500),
    part=st.floats(0.1, 1.0),
    location=st.sampled_from(["", "C:\\Old", "c:\\old\\", "D:\\WSL", "E:\\WSL"]),
    busy=st.sampled_from([[], ["run train (42)"]]),
    foreign=st.booleans(),
    move=st.booleans(),
    discard=st.booleans(),
    compact=st.booleans(),
)
@settings(max_examples=150)
def test_every_wish_is_refused_or_settles_and_others_disks_stay(
    size: int, part: float, location: str, busy: list[str], foreign: bool, **wishes: bool
) -> None:
    machine, linux = there(size=size, used=max(1, int(size * part)))
    if foreign:
        wsl_vm.install(machine, "Debian", "D:\\Debian")
        wsl_vm.start(machine, "Debian")
    linux.busy = busy
    before = machine.snapshot()
    variables = HERE | {"win_disk_location": location} | {f"win_disk_{name}": wish for name, wish in wishes.items()}
    plan = decide(machine, variables)
    if plan.refusals:
        assert plan.actions == ()
        assert location in {"D:\\WSL", "E:\\WSL"} or busy or foreign
        return
    converge(machine, "disk", variables)
    assert machine.data["disks"].get("D:\\Debian\\ext4.vhdx") == before["disks"].get("D:\\Debian\\ext4.vhdx")
    assert ("Debian" in machine.data["wsl"]["running"]) == foreign
