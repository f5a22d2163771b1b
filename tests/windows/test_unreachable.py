"""A PC that cannot be reached: every command says so with the stack's file, the key and the doctor, whichever side it meant."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from gpurig import access, catalogue, reach, records
from gpurig.doctor import way
from gpurig.host import Host
from gpurig.reach import UnreachableError
from gpurig.remote import Place
from tests.windows.patient import Patient

KEY = "Pulumi.test.yaml: gpurig:hosts.home"

REFUSED = "ssh: connect to host 192.168.1.50 port 22: Connection refused\nConnection closed by UNKNOWN port 65535\n"
STOPPED = "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\nConnection closed by UNKNOWN port 65535\n"
SHARED = "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n"


@pytest.fixture
def gone(patient: Patient) -> Host:
    """A recorded PC at a port of this machine where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = records.require(patient.stack, "home")
    host = replace(host, endpoint=replace(host.endpoint, address="127.0.0.1", port=port))
    records.save(patient.stack, host)
    return host


@pytest.mark.parametrize(
    ("name", "stderr", "said"),
    [
        ("home-win", REFUSED, f"{KEY}.address: home-win cannot be reached, since Windows does not answer"),
        (
            "home-win",
            "ssh: connect to host pc port 22: No route to host",
            "(connect to host pc port 22: No route to host)",
        ),
        (
            "home-wsl",
            REFUSED,
            "Windows in front of it does not answer (connect to host 192.168.1.50 port 22: Connection",
        ),
        ("home-wsl", STOPPED, "home-wsl: Windows of home lets us in, but the Linux inside does not answer"),
        ("home-wsl", SHARED, f"{KEY}: home-wsl cannot be reached, since the way through Windows ends before"),
        ("home-wsl", "Host key verification failed.\n", "home-wsl: the Linux inside home does not have gpurig's keys"),
    ],
)
def test_it_is_told_at_which_machine_the_way_ends(patient: Patient, name: str, stderr: str, said: str) -> None:
    told = str(reach.told(records.require(patient.stack, "home"), name, stderr))
    assert said in told
    assert "`rig doctor home`" in told
    assert "UNKNOWN port" not in told
    assert "127.0.0.1:2222" not in told


def test_a_command_for_the_linux_inside_blames_the_windows_that_is_gone(patient: Patient, gone: Host) -> None:
    with pytest.raises(UnreachableError) as told:
        Place(patient.stack, gone).reach()
    assert str(told.value).startswith(f"{KEY}.address: home-wsl cannot be reached, since Windows in front of it")
    assert f"port {gone.endpoint.port}: Connection refused" in str(told.value)


def test_a_port_that_leads_to_the_linux_inside_is_named_by_its_own_key(patient: Patient, gone: Host) -> None:
    assert gone.guest
    endpoint = replace(gone.endpoint, shell="sh")
    direct = replace(gone, guest=replace(gone.guest, endpoint=endpoint))
    with pytest.raises(UnreachableError, match=r"gpurig:hosts\.home\.wsl\.port: nothing listens"):
        reach.check(patient.stack, direct, "home-wsl", access.config_file(patient.stack))


@pytest.mark.parametrize("name", ["home", "home-win", "home-wsl"])
def test_the_doctor_takes_the_names_of_both_sides(
    patient: Patient, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [one.what for one in way.examine(patient.stack, name)][:2] == ["record", "reachable"]
    assert patient.rig("doctor", name, "--fix", "--yes") == 0
    assert "There is nothing that can safely be mended" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("home", f"{KEY}.address: home-win cannot be reached, since Windows does not answer"),
        ("home-wsl", f"{KEY}: home-wsl cannot be reached, since the way through Windows ends"),
    ],
)
def test_the_playbook_names_file_and_key(patient: Patient, gone: Host, limit: str, said: str) -> None:
    """Real Ansible; at the other end there is nothing."""
    environment = {
        **os.environ,
        "GPURIG_HOME": str(patient.stack.home),
        "GPURIG_STACK": "test",
        "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    program = [f"{sys.prefix}/bin/ansible-playbook", str(catalogue.ROOT / "playbooks" / "site.yml"), f"--limit={limit}"]
    done = subprocess.run(program, env=environment, cwd=patient.stack.root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    last = done.stdout.partition("PLAY RECAP")[0].rpartition("fatal: ")[2]
    assert said in last
    assert "`rig doctor home`" in last
    assert "UNKNOWN" not in last
