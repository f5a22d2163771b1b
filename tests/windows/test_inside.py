"""The scripts of gpurig/windows/inside, run for real: a Debian with systemd in a container stands for the distribution."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpurig import keys
from gpurig.windows import inside, topics
from gpurig.windows.inside import Facts
from tests.clients.containers import Containers
from tests.windows.model import linux_scripts
from tests.windows.model.installed import NAME, installed
from tests.windows.model.linux import ContainerLinux, SimulatedLinux
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge, look

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpurig gpurig"


@pytest.fixture(scope="module")
def host_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "ssh_host_ed25519_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "home", "-f", file], check=True)
    return file


@pytest.fixture(scope="module")
def given(host_key: Path) -> dict[str, Any]:
    found = {"distribution": NAME, "user": "me", "public_key": PUBLIC, "host_key": str(host_key)}
    return {"win_distribution_name": NAME} | {f"win_linux_{name}": value for name, value in found.items()}


@pytest.fixture(scope="module")
def made(at_hand: Containers, given: dict[str, Any]) -> Iterator[tuple[Machine, Facts]]:
    """The machine, and what it told of itself before any test changed it."""
    linux = ContainerLinux(at_hand)
    machine = installed(linux)
    yield machine, facts(machine, given)
    linux.destroy()


@pytest.fixture
def machine(made: tuple[Machine, Facts]) -> Machine:
    return made[0]


def facts(machine: Machine, given: dict[str, Any]) -> Facts:
    return inside.facts(look(machine, "inside", variables=given)["inside"])


def shell(machine: Machine, script: str) -> str:
    linux = machine.linux[NAME]
    assert isinstance(linux, ContainerLinux)
    return linux.containers.run(linux.container, script)


def test_a_real_debian_tells_of_itself(made: tuple[Machine, Facts]) -> None:
    found = made[1]
    assert (found.problem, found.os_id, found.os_version) == (None, "debian", "12")
    assert found.systemd in ("running", "degraded")
    assert (found.networking_mode, found.wsl_conf, found.dxg) == (None, None, False)
    assert (found.user_exists, found.sudo_ok, found.docker, found.busy) == (False, None, "", ())
    assert found.nproc
    assert found.memory_bytes
    assert found.memory_bytes > 10**8
    assert found.disk_size_bytes
    assert found.disk_free_bytes
    assert 0 < found.disk_free_bytes < found.disk_size_bytes
    assert found.clock
    assert found.address
    assert found.address.count(".") == 3


def test_a_real_debian_becomes_a_host(machine: Machine, given: dict[str, Any], host_key: Path) -> None:
    converge(machine, "linux", given)
    found = facts(machine, given)
    assert found.sshd_ports is not None
    assert "0.0.0.0:2222" in found.sshd_ports
    assert not [address for address in found.sshd_ports if address.endswith(":22")]
    assert (found.sshd_active, found.sshd_enabled, found.sshd_config_ok, found.password_login) == (
        True,
        True,
        True,
        False,
    )
    assert keys.public_half(host_key) in (found.host_keys or ())
    assert (found.user_exists, found.sudo_ok, found.authorized_keys) == (True, True, (PUBLIC,))
    assert found.users
    assert found.default_uid == found.users["me"]
    files = "/etc/ssh/ssh_host_ed25519_key /home/me/.ssh /home/me/.ssh/authorized_keys /etc/sudoers.d/gpurig"
    assert shell(machine, f"stat -c %U:%a {files}").split() == ["root:600", "me:700", "me:600", "root:440"]


def test_a_port_that_systemd_holds_is_taken_from_it(machine: Machine, given: dict[str, Any]) -> None:
    converge(machine, "linux", given)
    shell(machine, "systemctl stop ssh.service && systemctl enable --now --quiet ssh.socket")
    assert facts(machine, given).ssh_socket_active
    converge(machine, "linux", given)
    assert shell(machine, "systemctl is-enabled ssh.socket || true").strip() == "disabled"


def test_a_restart_keeps_it(machine: Machine, given: dict[str, Any]) -> None:
    from tests.windows.model import wsl_exe

    converge(machine, "linux", given)
    wsl_exe.run(machine, ["--shutdown"])
    assert topics.decide("linux", look(machine, "inside", variables=given), given).actions == ()


def test_scripts_that_run_again_change_nothing(machine: Machine, given: dict[str, Any], host_key: Path) -> None:
    converge(machine, "linux", given)
    linux = machine.linux[NAME]
    for name, words, data in (
        ("account", [], f"me\n{PUBLIC}\n".encode()),
        ("sshd", ["2222"], host_key.read_bytes()),
        ("wsl_conf", ["none"], shell(machine, "cat /etc/wsl.conf").encode()),
    ):
        body = f"{inside.script(name)}\nmain \"$@\" <<'GPURIG'\n{base64.b64encode(data).decode()}\nGPURIG\n"
        assert linux.run(body, list(words), b"")[:2] == (0, b"")


def test_a_wsl_conf_that_changed_in_between_is_kept(machine: Machine) -> None:
    body = f"{inside.script('wsl_conf')}\nmain \"$@\" <<'GPURIG'\n{base64.b64encode(b'x').decode()}\nGPURIG\n"
    shell(machine, "echo '# mine' >> /etc/wsl.conf")
    code, _, err = machine.linux[NAME].run(body, ["0" * 64], b"")
    assert (code, b"has changed since it was read" in err) == (1, True)
    assert "# mine" in shell(machine, "cat /etc/wsl.conf; ls /etc/wsl.conf*")


def test_who_works_is_seen(machine: Machine, given: dict[str, Any]) -> None:
    assert facts(machine, given).busy == ()
    shell(machine, "setsid env -i A=1 GPURIG_RUN=20261122-093015-train sleep 60 >/dev/null 2>&1 &")
    shell(machine, "touch /dev/dxg && setsid sleep 60 3</dev/dxg >/dev/null 2>&1 &")
    shell(
        machine,
        "setsid script -qc 'sh -c \"while :; do tail -f /dev/null; done\"' /dev/null >/dev/null 2>&1 </dev/null & sleep 0.5",
    )
    busy = facts(machine, given).busy
    assert busy is not None
    assert "run 20261122-093015-train" in busy
    assert [one for one in busy if one.startswith("tail (")]
    assert [one for one in busy if re.fullmatch(r"sleep \(\d+\) uses the GPU", one)]


def test_the_question_itself_is_no_work(machine: Machine) -> None:
    """Not even at a terminal, which wsl.exe may give it."""
    packed = base64.b64encode(inside.script("facts").encode()).decode()
    shell(machine, f"echo {packed} | base64 -d >/run/facts.sh")
    said = shell(machine, "script -qec '/bin/sh /run/facts.sh 2222 -' /dev/null </dev/null; rm /run/facts.sh")
    assert "end=1" in said
    assert not [line for line in said.splitlines() if re.match(r"busy=(awk|cat|script) ", line)]


def test_what_the_simulated_linux_says_has_the_real_ones_form(given: dict[str, Any]) -> None:
    """Every line that it says is one that facts.sh can say, and is understood."""
    linux = SimulatedLinux()
    converge(installed(linux), "linux", given)
    assert linux.data is not None
    said = {line.partition("=")[0] for line in linux_scripts.facts(linux.data, "2222", "me").splitlines()}
    script = inside.script("facts")
    assert [key for key in said if key not in script] == []
    known = {*inside.LISTS, *inside.TEXTS, *inside.NUMBERS, *inside.TRUTHS, *inside.WORDS, "user", "end"}
    assert said <= known
