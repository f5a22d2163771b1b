"""What Ansible sees of a stack's records."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpurig import catalogue, records
from gpurig.host import Capabilities, Endpoint, Guest, Host
from gpurig.stack import Stack

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv"
MACHINE = Capabilities(init="systemd", kernel="own", privilege="sudo", can_stop=True)
RENTED = Capabilities(init="none", gpu_driver="provided", kernel="shared", privilege="root", can_stop=False)
WINDOWS = replace(MACHINE, gpu_driver="windows")


def host(name: str, capabilities: Capabilities, **keys: Any) -> Host:
    return Host(
        name=name,
        project="unit",
        stack="test",
        provider="any",
        id=name,
        label=f"gpurig.unit.test.{name}.1",
        generation=1,
        endpoint=Endpoint(address="192.0.2.1", port=2200, user="me", host_key=KEY, shell=keys.pop("shell", "sh")),
        capabilities=capabilities,
        **keys,
    )


HOSTS = [
    host("demo", MACHINE, environments=("starter",), services=("jupyter", "tensorboard")),
    host("rented", RENTED, variables={"base_time_zone": "UTC"}),
    host(
        "home",
        WINDOWS,
        shell="powershell",
        services=("jupyter",),
        guest=Guest(
            name="home-wsl",
            endpoint=Endpoint(address="127.0.0.1", port=2222, user="me", host_key=KEY, jump="home-win"),
            capabilities=replace(WINDOWS, gpu_driver="provided"),
        ),
    ),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    base = tmp_path_factory.mktemp("a folder with spaces")
    (base / "Pulumi.yaml").write_text("name: unit\nruntime: python\n")
    made = Stack(project="unit", name="test", root=base, home=base / "home")
    for each in HOSTS:
        records.save(made, each)
    return made


def ask(stack: Stack, *arguments: str, name: str = "test") -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "GPURIG_HOME": str(stack.home),
        "GPURIG_STACK": name,
        "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
    }
    program = shutil.which("ansible-inventory", path=str(Path(sys.executable).parent)) or "ansible-inventory"
    return subprocess.run(
        [program, *arguments], cwd=stack.root, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def listed(stack: Stack) -> dict[str, Any]:
    done = ask(stack, "--list")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout, object_hook=plain)
    return found


def plain(value: dict[str, Any]) -> Any:
    """ansible-inventory marks text from outside as not to be templated."""
    return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else value


def test_hosts_are_grouped_by_what_they_can_and_shall_do(listed: dict[str, Any]) -> None:
    groups = {name: sorted(group["hosts"]) for name, group in listed.items() if "hosts" in group}
    assert groups == {
        "gpurig": ["demo", "home-win", "home-wsl", "rented"],
        "home": ["home-win", "home-wsl"],
        "shell_sh": ["demo", "home-wsl", "rented"],
        "shell_powershell": ["home-win"],
        "init_systemd": ["demo", "home-win", "home-wsl"],
        "init_none": ["rented"],
        "gpu_driver_none": ["demo"],
        "gpu_driver_provided": ["home-wsl", "rented"],
        "gpu_driver_windows": ["home-win"],
        "kernel_own": ["demo", "home-win", "home-wsl"],
        "kernel_shared": ["rented"],
        "privilege_sudo": ["demo", "home-win", "home-wsl"],
        "privilege_root": ["rented"],
        "reach_direct": ["demo", "home-win", "home-wsl", "rented"],
        "environment_starter": ["demo"],
        "service_jupyter": ["demo", "home-wsl"],
        "service_tensorboard": ["demo"],
    }


def test_connections_use_the_stacks_own_ssh_configuration(stack: Stack, listed: dict[str, Any]) -> None:
    variables = listed["_meta"]["hostvars"]["demo"]
    assert variables["ansible_host"] == "demo"
    assert variables["ansible_ssh_args"] == f"-F '{stack.dir}/ssh_config'"
    assert variables["ansible_become"] is True
    assert listed["_meta"]["hostvars"]["rented"]["ansible_become"] is False


def test_the_pinned_key_reaches_ssh_under_the_label(stack: Stack) -> None:
    command = ["ssh", "-G", "-F", str(stack.dir / "ssh_config"), "home-wsl"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for line in (
        "hostname 127.0.0.1",
        "port 2222",
        "proxyjump home-win",
        "stricthostkeychecking true",
        "hostkeyalias gpurig.unit.test.home.1.home-wsl",
    ):
        assert line in shown
    assert f"gpurig.unit.test.home.1.home-wsl {KEY}" in (stack.dir / "known_hosts").read_text()


def test_the_users_variables_win(listed: dict[str, Any]) -> None:
    assert listed["_meta"]["hostvars"]["rented"]["base_time_zone"] == "UTC"


def test_windows_gets_its_shell_and_no_become(listed: dict[str, Any]) -> None:
    variables = listed["_meta"]["hostvars"]["home-win"]
    assert (variables["ansible_shell_type"], variables["ansible_become"]) == ("powershell", False)
    assert "ansible_shell_type" not in listed["_meta"]["hostvars"]["home-wsl"]


@pytest.mark.parametrize(
    ("connection", "plugin", "option"),
    [
        ("psrp", "ansible.builtin.psrp", "ansible_psrp_cert_validation"),
        ("winrm", "ansible.builtin.winrm", "ansible_winrm_server_cert_validation"),
    ],
)
def test_windows_own_management_takes_its_password_from_outside(
    stack: Stack, connection: str, plugin: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Stack(project="unit", name=connection, root=stack.root, home=stack.home)
    pc = replace(HOSTS[2], name="my-pc", stack=connection, spec={"provider": "workstation", "connection": connection})
    records.save(other, pc)
    monkeypatch.setenv("GPURIG_WINDOWS_PASSWORD", "hunter2")
    listed = ask(other, "--list", name=connection)
    assert listed.stderr == ""  # no warning of the dash in the group's name
    assert "hunter2" not in listed.stdout
    found = json.loads(listed.stdout, object_hook=plain)["_meta"]["hostvars"]["my-pc-win"]
    assert (found["ansible_connection"], found["ansible_port"], found[option]) == (plugin, 5986, "validate")
    assert found["ansible_host"] == "192.0.2.1"
    program = str(Path(sys.executable).with_name("ansible"))
    environment = {
        **os.environ,
        "GPURIG_HOME": str(stack.home),
        "GPURIG_STACK": connection,
        "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
    }
    command = [program, "my-pc-win", "-m", "debug", "-a", "msg={{ ansible_password | length }}"]
    done = subprocess.run(command, cwd=stack.root, env=environment, capture_output=True, text=True, check=False)
    assert "msg: 7" in done.stdout or '"msg": 7' in done.stdout, done.stdout + done.stderr


def test_a_stack_without_hosts_is_an_empty_inventory(stack: Stack) -> None:
    done = ask(stack, "--graph", name="empty")
    assert done.returncode == 0
    assert "|--@gpurig:\n" in done.stdout


def test_a_damaged_record_is_named(stack: Stack) -> None:
    damaged = Stack(project="unit", name="damaged", root=stack.root, home=stack.home)
    (damaged.dir / "hosts").mkdir(parents=True)
    (damaged.dir / "hosts" / "x.json").write_text("{")
    done = ask(damaged, "--graph", name="damaged")
    assert f"{damaged.dir}/hosts/x.json: damaged" in done.stderr.replace("\n", " ").replace("  ", " ")


def test_a_password_that_nobody_gave_is_asked_for_by_name(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPURIG_WINDOWS_PASSWORD", raising=False)
    program = str(Path(sys.executable).with_name("ansible"))
    environment = {
        **os.environ,
        "GPURIG_HOME": str(stack.home),
        "GPURIG_STACK": "test",
        "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
    }
    message = "msg={{ lookup('gpurig_secret', 'GPURIG_WINDOWS_PASSWORD') }}"
    command = [program, "demo", "-m", "debug", "-a", message]
    done = subprocess.run(command, cwd=stack.root, env=environment, capture_output=True, text=True, check=False)
    said = " ".join((done.stdout + done.stderr).split())
    assert "put it in the environment, or under gpurig:secrets.GPURIG_WINDOWS_PASSWORD" in said
