"""Topic distribution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurig.errors import ResultsAtRiskError
from gpurig.windows import topics
from gpurig.windows.topics.distribution import removal
from tests.windows.model import boot, wsl_exe, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine, PowerLostError
from tests.windows.rounds import converge, look, talk

NAME = "Ubuntu-24.04"

OWN = {
    "win_distribution_name": "Mine",
    "win_distribution_url": "D:\\images\\mine.wsl",
    "win_distribution_sha256": "cd" * 32,
}


@dataclass
class Told:
    """Stands for Linux and notes what is done to it."""

    said: list[str] = field(default_factory=list)

    def create(self) -> None:
        self.said.append("create")

    def start(self) -> None:
        self.said.append("start")

    def stop(self) -> None:
        self.said.append("stop")

    def destroy(self) -> None:
        self.said.append("destroy")

    def run(self, script: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        return 0, b"", b""


def ready(**changes: Any) -> Machine:
    """A PC with WSL and without a distribution."""
    machine = Machine(fresh(**changes))
    machine.data["features"][wsl_vm.VMP] = "enabled"
    machine.data["wsl"]["version"] = "2.6.3.0"
    boot.boot(machine)
    return machine


def decide(machine: Machine, variables: dict[str, Any] | None = None) -> Any:
    return topics.decide("distribution", look(machine, "machine", "wsl"), variables or {})


def test_it_is_fetched_and_installed() -> None:
    machine, linux = ready(), Told()
    machine.linux = {NAME: linux}
    first = converge(machine, "distribution", {})
    assert [action.kind for action in first.actions] == ["file_fetch", "distribution_install"]
    assert linux.said == ["create"]


def test_it_lies_where_it_is_wanted() -> None:
    machine = ready()
    converge(machine, "distribution", {"win_distribution_location": "D:\\WSL\\Ubuntu"})
    assert wsl_vm.same(wsl_vm.entries(machine)[0][1]["BasePath"], "d:\\wsl\\ubuntu\\")


def test_the_owners_own_file_is_installed_from_where_it_is() -> None:
    machine = ready(blobs={"D:\\images\\mine.wsl": {"sha256": "cd" * 32, "size": 5}})
    converge(machine, "distribution", OWN)
    assert wsl_vm.find(machine, "mine") is not None
    assert list(machine.data["blobs"]) == ["D:\\images\\mine.wsl"]


@pytest.mark.parametrize(
    ("variables", "key", "text"),
    [
        ({"win_distribution_name": "Ubunut-24.04"}, "wsl.distribution", "did you mean 'Ubuntu-24.04'"),
        ({"win_distribution_name": "Ubuntu"}, "wsl.distribution", "Ubuntu-22.04"),
        ({"win_distribution_name": "my box"}, "wsl.distribution", "letters"),
        ({**OWN, "win_distribution_sha256": ""}, "wsl.distribution.sha256", "64 hexadecimal digits"),
        ({**OWN, "win_distribution_url": "mine.wsl"}, "wsl.distribution.url", "https://"),
    ],
)
def test_what_is_not_known_or_not_pinned_is_refused(variables: dict[str, str], key: str, text: str) -> None:
    plan = decide(ready(), variables)
    assert [refusal.key for refusal in plan.refusals] == [key]
    assert text in plan.refusals[0].text
    assert plan.actions == ()


def test_a_wrong_checksum_installs_nothing() -> None:
    machine = ready(blobs={"D:\\images\\mine.wsl": {"sha256": "ef" * 32, "size": 5}})
    failed = talk(machine, decide(machine, OWN).actions, {}).failed()
    assert failed is not None
    assert failed.kind == "file_fetch"
    assert wsl_vm.entries(machine) == []


def test_a_folder_that_somebody_else_made_is_not_trusted() -> None:
    """Anybody may make folders in ProgramData, and whoever owns one may change what lies there."""
    machine = ready(acls={"C:\\ProgramData\\gpurig\\downloads": {"owner": "S-1-5-21-1-2-3-1002", "sids": []}})
    failed = talk(machine, decide(machine).actions, {}).failed()
    assert failed is not None
    assert failed.problem is not None
    assert "belongs to S-1-5-21-1-2-3-1002" in failed.problem["message"]
    assert wsl_vm.entries(machine) == []


def test_wsl_1_is_refused_with_the_command() -> None:
    machine = ready()
    wsl_vm.install(machine, NAME, "", wsl=1)
    assert "wsl --set-version Ubuntu-24.04 2" in decide(machine).refusals[0].text


def test_a_half_removed_one_is_left_to_the_owner() -> None:
    machine = ready()
    guid = wsl_vm.install(machine, NAME, "")
    machine.registry(f"{wsl_vm.LXSS}\\{guid}")["State"] = wsl_vm.UNINSTALLING
    plan = decide(machine)
    assert "DESTROYS" in plan.refusals[0].text
    assert plan.actions == ()


def test_an_installation_that_lost_power_is_done_again() -> None:
    machine = ready()
    actions = decide(machine).actions
    machine.power_lost_at = machine.steps + 5
    with pytest.raises(PowerLostError):
        talk(machine, actions, {})
    assert wsl_vm.entries(machine)[0][1]["State"] == wsl_vm.INSTALLING
    first = converge(machine, "distribution", {})
    assert [action.kind for action in first.actions] == [
        "file_fetch",
        "distribution_unregister",
        "distribution_install",
    ]


def test_another_persons_distribution_stays_theirs() -> None:
    machine = ready()
    anna = {"sid": "S-1-5-21-1-2-3-1002", "profile": "C:\\Users\\anna", "registry": {}, "logged_on": True}
    machine.data["users"]["anna"] = anna
    machine.data["login"]["user"] = "anna"
    wsl_vm.install(machine, NAME, "")
    machine.data["login"]["user"] = "me"
    before = machine.snapshot()["users"]["anna"]
    converge(machine, "distribution", {})
    assert machine.data["users"]["anna"] == before
    assert wsl_vm.find(machine, NAME) is not None


def test_system_is_refused() -> None:
    machine = ready()
    machine.data["users"]["SYSTEM"] = {
        "sid": "S-1-5-18",
        "profile": "C:\\Windows\\System32\\config\\systemprofile",
        "registry": {},
    }
    machine.data["login"]["user"] = "SYSTEM"
    assert "WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED" in decide(machine).refusals[0].text
    said = wsl_exe.run(machine, ["--list"])
    assert said[0] == -1
    assert "Wsl/WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED" in said[1].decode("utf-16-le")


@pytest.mark.parametrize("language", ["en-US", "de-DE", "zh-CN"])
def test_before_the_restart_nothing_is_registered_and_that_is_said(language: str) -> None:
    machine = ready(language=language)
    machine.data["hypervisor"] = False
    failed = talk(machine, decide(machine).actions, {}).failed()
    assert failed is not None
    assert failed.problem is not None
    assert "HCS_E_HYPERV_NOT_INSTALLED" in failed.problem["message"]
    assert wsl_vm.entries(machine) == []


def test_a_user_whose_default_is_wsl_1_gets_wsl_2() -> None:
    machine = ready()
    machine.registry(wsl_vm.LXSS)["DefaultVersion"] = 1
    converge(machine, "distribution", {})
    assert wsl_vm.version(wsl_vm.entries(machine)[0][1]) == 2


def test_removal_exports_first() -> None:
    machine = ready()
    converge(machine, "distribution", {})
    kinds = [action.kind for action in removal(look(machine, "wsl"), NAME, "C:\\ubuntu.tar")]
    assert kinds == ["distribution_export", "distribution_unregister"]
    talk(machine, removal(look(machine, "wsl"), NAME, "C:\\ubuntu.tar"), {})
    assert wsl_vm.entries(machine) == []
    assert machine.data["blobs"]["C:\\ubuntu.tar"]["of"] == NAME


def test_removal_without_an_export_is_for_the_owner_to_say() -> None:
    machine = ready()
    converge(machine, "distribution", {})
    with pytest.raises(ResultsAtRiskError, match="would be destroyed"):
        removal(look(machine, "wsl"), NAME, "")
    assert [action.kind for action in removal(look(machine, "wsl"), NAME, "", discard=True)] == [
        "distribution_unregister"
    ]


def test_removal_of_none_is_nothing() -> None:
    assert removal(look(ready(), "wsl"), NAME, "") == ()


def test_an_export_never_writes_over_another() -> None:
    machine = ready(blobs={"C:\\ubuntu.tar": {"sha256": "", "size": 1}})
    converge(machine, "distribution", {})
    answer = talk(machine, removal(look(machine, "wsl"), NAME, "C:\\ubuntu.tar"), {})
    assert answer.failed() is not None
    assert wsl_vm.find(machine, NAME) is not None


@given(
    names=st.lists(
        st.sampled_from(["Debian", "docker-desktop", "UBUNTU-24.04", "Ubuntu", "Ubuntu-22.04"]), unique=True
    ),
    wanted=st.sampled_from(["Ubuntu-24.04", "Ubuntu-22.04"]),
)
@settings(max_examples=100)
def test_one_round_settles_it_and_only_ours_is_new(names: list[str], wanted: str) -> None:
    machine = ready()
    for name in names:
        wsl_vm.install(machine, name, "")
    before = machine.snapshot()["users"]["me"]["registry"]
    converge(machine, "distribution", {"win_distribution_name": wanted})
    after = machine.data["users"]["me"]["registry"]
    assert {key: values for key, values in after.items() if key in before and "{" in key} == {
        key: values for key, values in before.items() if "{" in key
    }
    assert sum(values.get("DistributionName", "").lower() == wanted.lower() for values in after.values()) == 1
