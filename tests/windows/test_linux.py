"""Topic linux: a user, systemd and sshd in the distribution."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gpurig import keys
from gpurig.windows import inside, questions, topics, wire
from gpurig.windows.inside import Facts
from gpurig.windows.plan import Plan
from tests.windows.model import wsl_exe
from tests.windows.model.fresh import fresh
from tests.windows.model.installed import NAME, installed
from tests.windows.model.linux import SimulatedLinux
from tests.windows.model.pc import Machine, PowerLostError
from tests.windows.rounds import converge, look, talk

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpurig gpurig"


@pytest.fixture(scope="module")
def host_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "ssh_host_ed25519_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "home", "-f", file], check=True)
    return file


@pytest.fixture
def given(host_key: Path) -> dict[str, Any]:
    found = {"distribution": NAME, "user": "me", "public_key": PUBLIC, "host_key": str(host_key)}
    return {"win_distribution_name": NAME} | {f"win_linux_{name}": value for name, value in found.items()}


def plan(machine: Machine, given: dict[str, Any]) -> Plan:
    return topics.decide("linux", look(machine, "inside", variables=given), given)


def facts(machine: Machine, given: dict[str, Any]) -> Facts:
    return inside.facts(look(machine, "inside", variables=given)["inside"])


def steps(found: Plan) -> list[str]:
    return [str(action.parameters.get("script", action.kind)) for action in found.actions]


def test_a_new_ubuntu_becomes_a_host(given: dict[str, Any], host_key: Path) -> None:
    machine = installed()
    assert steps(converge(machine, "linux", given)) == ["account", "wsl_conf", "wsl_terminate", "sshd"]
    found = facts(machine, given)
    assert (found.default_uid, found.users) == (1000, {"me": 1000})
    assert found.sshd_ports == ("0.0.0.0:2222",)
    assert found.host_keys == (keys.public_half(host_key),)
    assert found.authorized_keys == (PUBLIC,)


def test_a_debian_without_systemd_gets_it_first(given: dict[str, Any]) -> None:
    machine = installed(SimulatedLinux("debian-12"))
    converge(machine, "linux", given)
    assert facts(machine, given).systemd == "running"


def test_a_second_run_says_nothing(given: dict[str, Any]) -> None:
    machine = installed()
    converge(machine, "linux", given)
    done = len(machine.data["done"])
    assert plan(machine, given) == Plan()
    converge(machine, "linux", given)
    assert len(machine.data["done"]) == done


def test_nothing_is_restarted_where_only_sshd_is_missing(given: dict[str, Any]) -> None:
    linux = SimulatedLinux()
    machine = installed(linux)
    converge(machine, "linux", given)
    assert linux.data is not None
    linux.data["units"]["ssh.service"]["active"] = False
    assert steps(plan(machine, given)) == ["sshd"]


@pytest.mark.parametrize(
    "broken",
    [
        {
            "units": {
                "ssh.service": {"enabled": False, "active": True},
                "ssh.socket": {"enabled": False, "active": False},
            }
        },
        {"units": {"ssh.service": {"enabled": True, "active": True}, "ssh.socket": {"enabled": True, "active": True}}},
        {"packages": ["sudo", "openssh-server"]},
        {"users": {}},
        {"users": {"me": {"uid": 1000, "keys": [], "sudo": True}}},
        {"users": {"me": {"uid": 1000, "keys": [PUBLIC], "sudo": False}}},
    ],
)
def test_what_went_missing_is_put_back(given: dict[str, Any], broken: dict[str, Any]) -> None:
    linux = SimulatedLinux()
    machine = installed(linux)
    converge(machine, "linux", given)
    assert linux.data is not None
    linux.data |= broken
    assert len(converge(machine, "linux", given).actions) == 1


def test_another_port_is_opened_besides(given: dict[str, Any]) -> None:
    """The role sshd closes the old one, once the new one is known to work."""
    machine = installed()
    converge(machine, "linux", given)
    moved = given | {"win_linux_port": 2200}
    assert steps(converge(machine, "linux", moved)) == ["sshd"]
    assert facts(machine, moved).sshd_ports == ("0.0.0.0:2200", "0.0.0.0:2222")


def test_another_host_key_is_replaced(given: dict[str, Any], host_key: Path) -> None:
    linux = SimulatedLinux()
    machine = installed(linux)
    converge(machine, "linux", given | {"win_linux_host_key": ""})
    assert facts(machine, given).host_keys != (keys.public_half(host_key),)
    converge(machine, "linux", given)
    assert facts(machine, given).host_keys == (keys.public_half(host_key),)


def test_nobody_who_works_loses_anything(given: dict[str, Any]) -> None:
    linux = SimulatedLinux("debian-12", busy=["run a"])
    machine = installed(linux)
    found = plan(machine, given)
    assert steps(found) == ["account", "wsl_conf"]
    assert "run a" in found.warnings[0]
    assert talk(machine, found.actions, {}).failed() is None
    again = plan(machine, given)
    assert steps(again) == []
    assert "wsl --terminate" in again.warnings[0]
    assert linux.data is not None
    linux.data["busy"] = []
    assert steps(converge(machine, "linux", given)) == ["wsl_terminate", "sshd"]


def test_what_the_owner_wrote_into_wsl_conf_stays(given: dict[str, Any]) -> None:
    own = "[network]\nhostname = pc # mine\n; old\n[boot]\nsystemd = false\n"
    linux = SimulatedLinux(files={"/etc/wsl.conf": own})
    converge(installed(linux), "linux", given)
    assert linux.data is not None
    expected = "[network]\nhostname = pc # mine\n# ; old\n[boot]\nsystemd = true\n\n[user]\ndefault=me\n"
    assert linux.data["files"]["/etc/wsl.conf"] == expected


def test_what_stood_behind_a_malformed_line_is_set_right_in_the_same_round(given: dict[str, Any]) -> None:
    linux = SimulatedLinux(files={"/etc/wsl.conf": "; old\n[automount]\nenabled=0\n"})
    machine = installed(linux)
    assert talk(machine, plan(machine, given).actions, {}).failed() is None
    assert plan(machine, given) == Plan()
    assert linux.data is not None
    assert linux.data["files"]["/etc/wsl.conf"].startswith("# ; old\n[automount]\nenabled=true\n")


def test_windows_drives_can_be_kept_out(given: dict[str, Any]) -> None:
    linux = SimulatedLinux()
    converge(installed(linux), "linux", given | {"win_linux_automount": False})
    assert linux.data is not None
    assert "[automount]\nenabled=false\n" in linux.data["files"]["/etc/wsl.conf"]


def test_the_private_key_is_in_no_words(given: dict[str, Any], host_key: Path) -> None:
    machine = installed()
    found = plan(machine, given)
    secret = host_key.read_text().splitlines()[1]
    for action in found.actions:
        words = (
            (action.says, action.before, action.after, *action.parameters["arguments"])
            if action.kind == "inside_run"
            else ()
        )
        assert not [one for one in words if secret in one]
        assert secret not in action.parameters.get("text", "")
    answer = talk(machine, found.actions, {"inside": questions.sections(given)["inside"]})
    assert secret not in json.dumps([answer.state, [outcome.data for outcome in answer.outcomes]])


def test_before_the_distribution_is_there_all_of_it_is_to_be_done(given: dict[str, Any]) -> None:
    assert steps(plan(Machine(fresh()), given)) == ["account", "wsl_conf", "wsl_terminate", "sshd"]


def test_a_distribution_that_does_not_start_is_told(given: dict[str, Any]) -> None:
    machine = installed()
    machine.data["wsl"]["fails"] = "0x80070569"
    [refusal] = plan(machine, given).refusals
    assert refusal.text.startswith(f"{NAME} does not answer: ")
    assert "0x80070569" in refusal.text


def test_a_section_that_could_not_be_read_is_told(given: dict[str, Any]) -> None:
    problem: Any = {"error": {"message": "Access is denied.", "id": "x", "hresult": "0x80070005"}}
    found = topics.decide("linux", {"inside": problem}, given)
    assert "Access is denied." in found.refusals[0].text


def test_without_a_network_the_packages_own_words_are_told(given: dict[str, Any]) -> None:
    machine = installed(SimulatedLinux(online=False))
    failed = talk(machine, plan(machine, given).actions, {}).failed()
    assert failed is not None
    assert failed.problem is not None
    assert "Temporary failure resolving" in failed.problem["message"]


def test_power_may_be_lost_at_every_step(given: dict[str, Any]) -> None:
    count = 1
    while True:
        machine = installed()
        found = plan(machine, given)
        machine.power_lost_at = machine.steps + count
        try:
            talk(machine, found.actions, {})
        except PowerLostError:
            count += 1
        else:
            break
        converge(machine, "linux", given)
    assert count > 8


@pytest.mark.parametrize(
    ("name", "value", "key", "words"),
    [
        ("distribution", "", "wsl.distribution", "such as Ubuntu-24.04"),
        ("user", "root", "wsl.user", "is root"),
        ("user", "Me Myself", "wsl.user", "lower-case"),
        ("port", 0, "wsl.port", "write a port"),
        ("public_key", "-----BEGIN", "", "one line as in authorized_keys"),
        ("host_key", "nowhere", "", "nowhere is not there"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], name: str, value: object, key: str, words: str) -> None:
    found = plan(installed(), given | {f"win_linux_{name}": value})
    assert ([one.key for one in found.refusals], found.actions) == ([key], ())
    assert words in found.refusals[0].text


def test_the_simulated_linux_knows_only_our_scripts() -> None:
    machine = installed()
    code, _, err = wsl_exe.run(machine, ["-d", NAME, "-u", "root", "--exec", "/bin/sh", "-s"], b"rm -rf /")
    assert (code, b"does not know this script" in err) == (127, True)


@pytest.mark.parametrize("path", sorted(inside.FOLDER.glob("*.sh")), ids=lambda path: path.stem)
def test_a_script_says_what_it_is_and_is_sound(path: Path) -> None:
    assert path.read_text(encoding="ascii").startswith(f"# gpurig: inside/{path.stem}. ")
    subprocess.run(["shellcheck", "--shell=sh", path], check=True)


def test_what_powershell_sends_is_what_the_model_takes() -> None:
    script = wire.script("apply/inside_run")
    assert '$body = "`n$Text`nmain `"`$@`" <<\'GPURIG\'`n$Stdin`nGPURIG`n"' in script
