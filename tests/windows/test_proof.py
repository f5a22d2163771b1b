"""The Windows half of verification, on simulated PCs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpurig.health.finding import Finding
from gpurig.windows import proof, questions, topics
from gpurig.windows.state import State
from tests.windows.model import boot, clock, faults, fresh_network, keeper, netsh, wsl_vm
from tests.windows.model.healthy import NAME, healthy, variables
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge, look

DIRECT: dict[str, Any] = {"reach": "direct"}

MIRRORED: dict[str, Any] = {"reach": "direct", "wsl": {"networking": "mirrored"}}


def judged(machine: Machine, *, gpu: bool = True, toolkit: str = "", **entry: Any) -> dict[str, Finding]:
    given = variables(**entry)
    state: State = look(machine, *questions.sections(given), variables=given)
    return {one.name: one for one in proof.judge(state, given, gpu=gpu, toolkit=toolkit)}


def verdicts(machine: Machine, **more: Any) -> dict[str, str]:
    return {name: one.verdict for name, one in judged(machine, **more).items()}


def test_a_healthy_pc_that_was_restarted_passes() -> None:
    machine = healthy()
    boot.boot(machine)
    clock.advance(machine, 5)
    assert verdicts(machine, toolkit="12.8") == dict.fromkeys(
        (
            "WSL2 with systemd",
            "sshd in WSL",
            "survives a restart",
            "portproxy is current",
            "firewall as declared",
            "nvidia-smi in WSL",
            "CUDA toolkit against driver",
        ),
        "PASS",
    )


def test_before_the_first_restart_nothing_is_said_about_one() -> None:
    found = judged(healthy())["survives a restart"]
    assert found.verdict == "SKIP"
    assert "Restart it once" in found.reason


def test_a_pc_without_a_gpu_or_a_toolkit_skips_what_is_about_them() -> None:
    found = verdicts(healthy(), gpu=False)
    assert (found["nvidia-smi in WSL"], found["CUDA toolkit against driver"]) == ("SKIP", "SKIP")


def _moved(machine: Machine) -> None:
    machine.move_address()


def _wide(machine: Machine) -> None:
    machine.data["firewall"]["rules"]["gpurig-ssh"]["remote"] = ["any"]


def _no_keeper(machine: Machine) -> None:
    machine.data["tasks"].clear()


def _passwords(machine: Machine) -> None:
    machine.linux[NAME].data["facts"]["password_login"] = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (_moved, "portproxy is current"),
        (_wide, "firewall as declared"),
        (_no_keeper, "survives a restart"),
        (_passwords, "sshd in WSL"),
    ],
)
def test_what_is_wrong_fails_and_nothing_else(wrong: Callable[[Machine], None], name: str) -> None:
    machine = healthy(**DIRECT)
    wrong(machine)
    assert [one for one, verdict in verdicts(machine, **DIRECT).items() if verdict == "FAIL"] == [name]


def _everybody(machine: Machine) -> None:
    machine.data["firewall"]["rules"]["OpenSSH-Server-In-TCP"]["enabled"] = True


def _vendor(machine: Machine) -> None:
    machine.data["firewall"]["rules"]["Vendor"] = fresh_network.rule("2000-3000", "any", display="Vendor")


def _all_by_number(machine: Machine) -> None:
    machine.data["firewall"]["rules"]["Vendor"] = fresh_network.rule("2222", "0.0.0.0/0.0.0.0", display="Vendor")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (_everybody, "Disable-NetFirewallRule -Name 'OpenSSH-Server-In-TCP'"),
        (_vendor, "the firewall rule 'Vendor' lets every address reach port 2222"),
        (_all_by_number, "the firewall rule 'Vendor' lets every address reach port 2222"),
    ],
)
def test_a_port_that_somebody_elses_rule_opens_to_all_is_not_as_declared(
    wrong: Callable[[Machine], None], said: str
) -> None:
    machine = healthy(**DIRECT)
    wrong(machine)
    found = judged(machine, **DIRECT)["firewall as declared"]
    assert (found.verdict, said in found.value) == ("FAIL", True)
    assert "elevated PowerShell" in found.advice
    assert "site.yml" not in found.advice  # which leaves it alone


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inbound": "Allow"}, "DefaultInboundAction Block"),
        ({"rules": {"x": fresh_network.rule("2222", "any", display="x")}}, "Disable-NetFirewallHyperVRule -Name 'x'"),
    ],
)
def test_mirrored_wsl_that_hyper_v_opens_to_all_is_not_as_declared(change: dict[str, Any], said: str) -> None:
    machine = healthy(**MIRRORED)
    assert judged(machine, **MIRRORED)["firewall as declared"].verdict == "PASS"
    held = machine.data["hyperv"]
    held |= {name: {**held[name], **new} if name == "rules" else new for name, new in change.items()}
    found = judged(machine, **MIRRORED)["firewall as declared"]
    assert (found.verdict, said in found.value) == ("FAIL", True)


def test_remote_desktop_is_judged_where_it_is_ours() -> None:
    entry: dict[str, Any] = {"rdp": "192.168.1.0/24"}
    machine = healthy()
    machine.data["edition"] = "Professional"
    converge(machine, "rdp", variables(**entry))
    held = machine.data["firewall"]["rules"]
    assert judged(machine, **entry)["firewall as declared"].verdict == "PASS"
    held["gpurig-rdp"]["remote"] = ["any"]
    found = judged(machine, **entry)["firewall as declared"]
    assert (found.verdict, "win_rdp" in found.advice) == ("FAIL", True)
    converge(machine, "rdp", variables(**entry))
    held["RemoteDesktop-UserMode-In-TCP"]["enabled"] = True
    assert "port 3389" in judged(machine, **entry)["firewall as declared"].value
    converge(machine, "rdp", variables())
    assert judged(machine)["firewall as declared"].verdict == "PASS"  # then it is the owner's own


@pytest.mark.parametrize(
    ("profile", "rule", "said"),
    [({"local_rules": False}, {}, "policy"), ({}, {"action": "Block"}, "blocks port 22 ")],
)
def test_what_may_shut_out_is_a_warning(profile: dict[str, Any], rule: dict[str, Any], said: str) -> None:
    machine = healthy()
    machine.data["firewall"]["profiles"]["public"] |= profile
    if rule:
        machine.data["firewall"]["rules"]["Vendor"] = fresh_network.rule("22", "10.1.2.3", display="Vendor", **rule)
    found = judged(machine)["firewall as declared"]
    assert (found.verdict, said in found.value) == ("WARN", True)


def _fell_back(machine: Machine) -> None:
    machine.linux[NAME].data["facts"]["networking_mode"] = "virtioproxy"  # type: ignore[attr-defined]
    netsh.portproxy_delete(machine, "0.0.0.0/2222")


def _no_address(machine: Machine) -> None:
    machine.linux[NAME].changes["address"] = ""  # type: ignore[attr-defined]
    machine.linux[NAME].data["facts"]["address"] = ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(("wrong", "said"), [(_fell_back, "virtioproxy"), (_no_address, "address is not known")])
def test_a_proxy_that_cannot_be_made_is_not_current(wrong: Callable[[Machine], None], said: str) -> None:
    machine = healthy(**DIRECT)
    wrong(machine)
    found = judged(machine, **DIRECT)["portproxy is current"]
    assert (found.verdict, said in str(found.value)) == ("FAIL", True)
    assert "rig doctor" in found.advice


def test_a_distributions_name_is_the_same_in_other_letters() -> None:
    found = judged(
        healthy(), wsl={"distribution": {"name": NAME.lower(), "url": "https://example.com/u.wsl", "sha256": "cd" * 32}}
    )
    assert found["WSL2 with systemd"].verdict == "PASS"


def test_a_toolkit_newer_than_the_driver_knows_fails() -> None:
    assert verdicts(healthy(), toolkit="14.0")["CUDA toolkit against driver"] == "FAIL"


def test_a_state_that_could_not_be_read_is_one_failure_in_its_own_words() -> None:
    machine, given = healthy(), variables()
    state = dict(look(machine, *questions.sections(given), variables=given))
    state["network"] = {"error": {"message": "no such class", "id": "x", "hresult": "0x80041002"}}
    (found,) = proof.judge(state, given, gpu=True, toolkit="")  # type: ignore[arg-type]
    assert (found.verdict, found.reason) == ("FAIL", "network: no such class")
    assert topics.decide("network", state, given).refusals  # type: ignore[arg-type]


@pytest.mark.parametrize("long", [False, True])
def test_a_restart_counts_however_much_the_keeper_wrote_since(*, long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if long:
        monkeypatch.setattr(keeper, "LONGEST_LOG", 1500)
    machine = healthy()
    boot.boot(machine)
    clock.advance(machine, 5)
    for _ in range(12):  # of each remain two lines, and more are read than the last twenty
        wsl_vm.shutdown(machine)
        clock.advance(machine, 5)
    assert (f"{keeper.LOG}.1" in machine.data["files"]) == long
    found = judged(machine)["survives a restart"]
    assert (found.verdict, "s after Windows started" in found.value) == ("PASS", True)


def test_a_wsl_that_did_not_come_up_since_windows_started_fails() -> None:
    machine = healthy()
    boot.boot(machine)
    assert judged(machine)["survives a restart"].verdict == "FAIL"


def test_an_sshd_for_the_linux_alone_serves_nobody_through_the_portproxy() -> None:
    for entry, verdict in (({}, "PASS"), (DIRECT, "FAIL")):
        machine = healthy(**entry)
        faults.told(machine, sshd_port=["127.0.0.1:2222"])
        assert judged(machine, **entry)["sshd in WSL"].verdict == verdict


def test_without_a_keeper_that_nobody_wants_nothing_is_said_of_a_restart() -> None:
    machine = healthy()
    given = {**variables(), "win_keeper_enabled": False}
    converge(machine, "keeper", given)
    state = look(machine, *questions.sections(given), variables=given)
    found = {one.name: one for one in proof.judge(state, given, gpu=True, toolkit="")}["survives a restart"]
    assert found.verdict == "SKIP"
    assert "win_keeper_enabled is false" in found.reason
