"""Topic wslconfig: the user's file, and the restart of WSL that a change needs."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gpurig.errors import ConfigError
from gpurig.windows import inside, topics, wslconfig
from gpurig.windows.plan import Plan
from gpurig.windows.wslsizes import computed
from tests.windows.model import wsl_exe, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.installed import NAME, installed, path, text, write
from tests.windows.model.linux import SimulatedLinux
from tests.windows.model.pc import Machine, PowerLostError
from tests.windows.rounds import converge, look, talk

GIB = 2**30

BY_HAND = "# mine\r\n[wsl2]\r\n  Memory = 20GB   # enough for the game\r\nguiApplications=false\r\n"

SECTIONS = topics.sections("wslconfig")


def variables(**given: Any) -> dict[str, Any]:
    return {"win_distribution_name": NAME} | {f"win_wslconfig_{name}": value for name, value in given.items()}


def plan(machine: Machine, **given: Any) -> Plan:
    return topics.decide("wslconfig", look(machine, *SECTIONS, variables=variables(**given)), variables(**given))


def do(machine: Machine, found: Plan) -> None:
    assert talk(machine, found.actions, {}).failed() is None


def kinds(found: Plan) -> list[str]:
    return [action.kind for action in found.actions]


def test_a_fresh_pc_gets_sizes_for_its_size_without_a_restart() -> None:
    machine = Machine(fresh())
    first = converge(machine, "wslconfig", variables())
    assert kinds(first) == ["file_write"]
    assert wslconfig.parse(text(machine)) == {
        "wsl2.memory": "48GB",
        "wsl2.processors": "22",
        "wsl2.swap": "12GB",
        "wsl2.networkingMode": "nat",
        "wsl2.localhostForwarding": "true",
        "wsl2.vmIdleTimeout": "-1",
        "general.instanceIdleTimeout": "-1",  # of the WSL that topic wsl will have installed by then
        "experimental.autoMemoryReclaim": "dropCache",
    }


def test_before_there_is_wsl_the_owners_own_package_is_reckoned_with() -> None:
    found = plan(Machine(fresh()), msi_version="2.4.4")
    assert "instanceIdleTimeout" not in found.actions[0].after


@pytest.mark.parametrize(
    ("memory", "processors", "sizes"),
    [
        (8 * GIB, 4, (4, 4, 1)),
        (16 * GIB, 8, (8, 6, 2)),
        (int(31.8 * GIB), 16, (23, 14, 6)),
        (64 * GIB, 24, (48, 22, 12)),
        (128 * GIB, 32, (96, 30, 24)),
    ],
)
def test_windows_keeps_what_it_needs(memory: int, processors: int, sizes: tuple[int, int, int]) -> None:
    found = computed(memory, processors)
    assert (found["memory"], found["processors"], found["swap"]) == sizes


def test_a_running_wsl_is_restarted_once_and_only_once() -> None:
    machine = installed()
    first = converge(machine, "wslconfig", variables(memory=32))
    assert kinds(first) == ["file_write", "file_write", "wsl_shutdown"]
    assert wslconfig.parse(text(machine))["general.instanceIdleTimeout"] == "-1"
    assert machine.data["done"].count("wsl_shutdown") == 1
    converge(machine, "wslconfig", variables(memory=32))
    assert machine.data["done"].count("wsl_shutdown") == 1


def test_what_is_written_by_hand_stays() -> None:
    machine = installed(wslconfig=BY_HAND)
    converge(machine, "wslconfig", variables())
    assert text(machine).startswith(BY_HAND)
    converge(machine, "wslconfig", variables(memory=40))
    assert text(machine).startswith(BY_HAND.replace("20GB", "40GB"))


def test_a_size_that_cannot_be_is_replaced() -> None:
    machine = installed(wslconfig="[wsl2]\nmemory=24gb\nprocessors=99\nswap=0\n")
    converge(machine, "wslconfig", variables())
    found = wslconfig.parse(text(machine))
    assert (found["wsl2.memory"], found["wsl2.processors"], found["wsl2.swap"]) == ("48GB", "22", "0")


def test_a_change_without_an_effect_restarts_nothing() -> None:
    machine = installed()
    converge(machine, "wslconfig", variables())
    write(machine, text(machine).replace("networkingMode=nat\r\n", "").replace("localhostForwarding=true\r\n", ""))
    assert kinds(plan(machine)) == ["file_write"]


@pytest.mark.parametrize("busy", [["run 20261122-093015-train"], ["python3 (812) uses the GPU"]])
def test_nobody_who_works_loses_anything(busy: list[str]) -> None:
    linux = SimulatedLinux(busy=busy)
    machine = installed(linux)
    found = plan(machine)
    assert kinds(found) == ["file_write", "file_write"]
    do(machine, found)
    again = plan(machine)
    assert kinds(again) == []
    assert busy[0] in again.warnings[0]
    assert "wsl --shutdown" in again.warnings[0]
    assert linux.data is not None
    linux.data["busy"] = []
    later = plan(machine)
    assert kinds(later) == ["wsl_shutdown"]
    do(machine, later)
    assert plan(machine) == Plan()


def test_the_owners_own_restart_is_as_good_as_ours() -> None:
    machine = installed(SimulatedLinux(busy=["run a"]))
    do(machine, plan(machine))
    wsl_exe.run(machine, ["--shutdown"])
    assert plan(machine) == Plan()


def test_another_distribution_that_runs_is_not_stopped() -> None:
    machine = installed()
    look(machine, "inside", variables=variables())
    machine.data["wsl"]["running"].append("docker-desktop")
    wsl_vm.install(machine, "docker-desktop", "")
    found = plan(machine)
    assert "wsl_shutdown" not in kinds(found)
    assert "docker-desktop" in found.warnings[0]


def test_a_distribution_that_does_not_answer_is_not_stopped() -> None:
    machine = installed()
    state = look(machine, *SECTIONS, variables=variables())
    native = state["inside"]["facts"]
    assert native is not None
    native |= {"code": None, "out": ""}
    state["wsl"]["vm_started"] = machine.data["now"]
    state["wsl"]["running"] = look(machine, "wsl")["wsl"]["running"]
    found = topics.decide("wslconfig", state, variables())
    assert "wsl_shutdown" not in kinds(found)
    assert "does not answer" in found.warnings[0]


def test_power_may_be_lost_at_every_step() -> None:
    steps = 1
    while True:
        machine = installed(wslconfig=BY_HAND)
        look(machine, *SECTIONS, variables=variables())
        machine.power_lost_at = machine.steps + steps
        try:
            do(machine, plan(machine))
        except PowerLostError:
            steps += 1
        else:
            break
        converge(machine, "wslconfig", variables())
        assert text(machine).startswith(BY_HAND)
    assert steps > 6


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        ({"memory": 128}, "wsl.memory", "is 128 GB; the PC has 64.0 GB: write 1 to 64"),
        ({"memory": 0}, "wsl.memory", "write 1 to 64"),
        ({"processors": 25}, "wsl.processors", "the PC has 24"),
        ({"swap": -1}, "wsl.swap", "0 for none"),
        ({"settings": {"wsl2": {"memroy": "8GB"}}}, "wsl.settings.wsl2.memroy", "is memory in [wsl2] meant?"),
        ({"settings": {"wsl2": {"swapFile": "D:\\Größe"}}}, "wsl.settings.wsl2.swapFile", "beyond ASCII"),
        ({"settings": {"experimental": {"sparseVhd": True}}}, "wsl.settings.experimental.sparseVhd", "can lose data"),
        (
            {"settings": {"wsl2": {"kernelCommandLine": "nvidia-drm.modeset=1"}}},
            "wsl.settings.wsl2.kernelCommandLine",
            "/dev/dxg",
        ),
        ({"settings": {"wsl2": {"memory": "900GB"}}}, "wsl.settings.wsl2.memory", "is more than the PC has"),
        ({"settings": {"wsl2": {"memory": "8GB"}}, "memory": 8}, "wsl.settings.wsl2.memory", "wsl.memory"),
        ({"settings": {"wsl2": {"networkingMode": "nat"}}}, "wsl.settings.wsl2.networkingMode", "wsl.networking"),
        ({"settings": {"wsl2": {"defaultVhdSize": "1tb"}}}, "wsl.settings.wsl2.defaultVhdSize", "in capitals"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_changes(given: dict[str, Any], key: str, words: str) -> None:
    found = plan(installed(), **given)
    assert (kinds(found), [one.key for one in found.refusals]) == ([], [key])
    assert words in found.refusals[0].text


def test_all_mistakes_are_told_at_once() -> None:
    found = plan(installed(build=19045), memory=128, processors=99, networking="mirrored")
    assert [one.key for one in found.refusals] == ["wsl.memory", "wsl.processors", "wsl.networking"]
    assert "Windows 11 22H2 (build 22621)" in found.refusals[2].text


def test_a_value_of_the_wrong_type_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="win_wslconfig_memory: found 'much'"):
        plan(installed(), memory="much")


def test_a_harmful_line_of_the_users_own_is_named() -> None:
    machine = installed(wslconfig="[experimental]\nsparseVhd=true\n")
    [refusal] = plan(machine).refusals
    assert refusal.text.startswith(f"{path(machine)}, line 2: experimental.sparseVhd: true: ")
    assert refusal.text.endswith("Remove this line")


def test_what_is_odd_is_told_and_stays() -> None:
    machine = installed(wslconfig="[wsl2]\n; old\npageReporting=true\n")
    found = plan(machine)
    assert [line.split(": ")[1] for line in found.warnings] == ["; old", "wsl2.pagereporting"]
    converge(machine, "wslconfig", variables())
    assert "; old\npageReporting=true\n" in text(machine)


def test_gradual_reclaim_is_mended_unless_it_is_asked_for() -> None:
    machine = installed(wslconfig="[experimental]\nautoMemoryReclaim=gradual\n")
    converge(machine, "wslconfig", variables())
    assert wslconfig.parse(text(machine))["experimental.autoMemoryReclaim"] == "dropCache"
    found = plan(machine, settings={"experimental": {"autoMemoryReclaim": "gradual"}})
    assert "broken Docker" in found.warnings[0]


def test_a_policy_that_overrides_is_told() -> None:
    machine = installed()
    machine.registry("HKLM:\\SOFTWARE\\Policies\\WSL")["AllowNetworkingModeUserSetting"] = 0
    found = plan(machine, networking="mirrored")
    assert [line for line in found.warnings if "AllowNetworkingModeUserSetting" in line]


def test_mirrored_on_windows_11_is_written_under_whichever_header_the_key_is() -> None:
    machine = installed(wslconfig="[experimental]\nnetworkingMode=nat\n")
    converge(machine, "wslconfig", variables(networking="mirrored"))
    assert text(machine).startswith("[experimental]\nnetworkingMode=mirrored\n")


def test_an_old_wsl_gets_no_key_that_it_does_not_know() -> None:
    machine = installed(wsl={"version": "2.4.13.0", "stub": True, "running": [], "vm_started": None})
    converge(machine, "wslconfig", variables())
    assert "general.instanceIdleTimeout" not in wslconfig.parse(text(machine))


def test_further_settings_are_written() -> None:
    machine = installed()
    given = {"wsl2": {"guiApplications": False, "swapFile": "D:\\swap 1.vhdx", "maxCrashDumpCount": 1}}
    converge(machine, "wslconfig", variables(settings=given))
    assert "swapFile=D:\\\\swap 1.vhdx\r\n" in text(machine)
    assert wslconfig.parse(text(machine))["wsl2.guiApplications"] == "false"


@pytest.mark.parametrize("data", [b"\xff\xfe" + "[wsl2]\r\nkernel=x\r\n".encode("utf-16-le"), b"[wsl2]\r\n# \xe4\r\n"])
def test_an_encoding_survives(data: bytes) -> None:
    machine = installed()
    machine.data["files"][path(machine)] = base64.b64encode(data).decode()
    converge(machine, "wslconfig", variables())
    edited = base64.b64decode(machine.data["files"][path(machine)])
    assert [line for line in data.split(b"\r\n") if line not in edited] == []


def test_a_file_that_changes_in_between_is_not_overwritten() -> None:
    machine = installed()
    found = plan(machine)
    write(machine, "[wsl2]\n")
    failed = talk(machine, found.actions, {}).failed()
    assert failed is not None
    assert failed.problem is not None
    assert "has changed since it was read" in failed.problem["message"]
    assert text(machine) == "[wsl2]\n"


def test_facts_say_who_works() -> None:
    machine = installed(SimulatedLinux(busy=["run a"]))
    assert inside.facts(look(machine, "inside", variables=variables())["inside"]).busy == ("run a",)
