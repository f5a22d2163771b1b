"""Registering a machine that already exists; a container host of another project stands for it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpurig import access, config, engine, keys, lifecycle, providers, records
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.providers.workstation.provider import write_pin
from gpurig.stack import Stack
from tests.projects import Project

Up = Callable[..., list[str]]


@pytest.fixture(scope="module")
def machine(e2e_stack: Stack) -> Iterator[Host]:
    """A Linux machine with sshd, user `dev` with sudo and user `plain` without; it accepts gpurig's key for both."""
    spec = providers.spec_class("container")(provider="container")
    host = lifecycle.ensure(e2e_stack, "machine", spec, report=print)
    on(e2e_stack, "sudo useradd -m plain && sudo cp -r ~/.ssh ~plain/ && sudo chown -R plain: ~plain/.ssh")
    yield host
    lifecycle.end(e2e_stack, "machine", ["container"], report=print)


@pytest.fixture
def stack(e2e_stack: Stack, tmp_path: Path) -> Stack:
    """A stack that knows nothing yet, with the same login key."""
    (tmp_path / "Pulumi.yaml").write_text("name: registered\nruntime: python\n")
    name = tmp_path.name.translate({ord("_"): "-"})[:40].rstrip("-")
    return Stack(project="registered", name=name, root=tmp_path, home=e2e_stack.home)


@pytest.fixture
def up(stack: Stack, machine: Host) -> Up:
    """Register the machine, with the given keys changed or, where None, left out; returns the lines of progress."""

    def call(**changes: Any) -> list[str]:
        entry = {
            "provider": "workstation",
            "address": machine.endpoint.address,
            "port": machine.endpoint.port,
            "user": "dev",
            "host_key": keys.fingerprint(machine.endpoint.host_key),
            **changes,
        }
        hosts = {"box": {key: value for key, value in entry.items() if value is not None}}
        lines: list[str] = []
        engine.up(stack, config.parse({"hosts": hosts}, stack.file.name), report=lines.append)
        return lines

    return call


def on(stack: Stack, command: str, alias: str = "machine") -> str:
    return subprocess.run(
        [*access.ssh(stack, alias), command], capture_output=True, text=True, check=True
    ).stdout.strip()


def as_root(stack: Stack, script: str) -> None:
    on(stack, f"sudo sh -ec {shlex.quote(script)}")


def test_a_registered_machine_is_reached_under_its_pinned_key(stack: Stack, up: Up, machine: Host) -> None:
    up()
    box = records.require(stack, "box")
    assert box.endpoint.host_key == machine.endpoint.host_key
    assert (box.capabilities.kernel, box.capabilities.can_stop) == ("own", False)
    assert on(stack, "hostname", "box") == "machine"


def test_down_forgets_the_machine_and_does_not_touch_it(e2e_stack: Stack, stack: Stack, up: Up) -> None:
    up()
    started = on(e2e_stack, "cat /proc/1/stat | cut -d' ' -f22")
    assert engine.down(stack, None, report=print) == ["box"]
    assert records.load(stack) == {}
    assert on(e2e_stack, "cat /proc/1/stat | cut -d' ' -f22") == started


def test_an_unknown_host_key_is_shown_and_not_trusted(stack: Stack, up: Up, machine: Host) -> None:
    with pytest.raises(RigError) as caught:
        up(host_key=None)
    assert keys.fingerprint(machine.endpoint.host_key) in str(caught.value)
    assert "rig register box --fingerprint" in str(caught.value)
    assert records.load(stack) == {}


def test_a_key_confirmed_once_is_kept(stack: Stack, up: Up, machine: Host) -> None:
    write_pin(stack, "box", machine.endpoint.host_key)
    up(host_key=None)
    assert records.require(stack, "box").endpoint.host_key == machine.endpoint.host_key


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"host_key": "SHA256:" + "A" * 43}, "box.host_key: refused"),
        ({"address": "no-such-name.invalid"}, "box.address: the name 'no-such-name.invalid' cannot be resolved"),
        ({"port": 1}, "box.port: nothing listens at 127.0.0.1:1"),
        ({"user": "nobody-here"}, "box.user: nobody-here@127.0.0.1 does not accept our key"),
        ({"user": "plain"}, "box.user: plain@127.0.0.1 may not use sudo without a password"),
        ({"identity": "/nowhere/key"}, "box.identity: /nowhere/key is not there"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_recorded(
    stack: Stack, up: Up, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(RigError) as caught:
        up(**changes)
    assert expected in str(caught.value)
    assert records.load(stack) == {}


def test_a_host_key_that_changes_later_is_refused_with_the_way_to_accept_it(
    e2e_stack: Stack, stack: Stack, up: Up
) -> None:
    up()
    as_root(
        e2e_stack,
        "cd /etc/ssh; mkdir /root/old; cp -p ssh_host_* /root/old; rm ssh_host_*; ssh-keygen -A; systemctl reload ssh",
    )
    try:
        refused = subprocess.run(
            [*access.ssh(stack, "box", "-o", "ConnectionAttempts=5"), "true"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 255
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr
        with pytest.raises(RigError, match=r"refused.*rig register box --fingerprint"):
            up(environments=["starter"])
    finally:
        as_root(e2e_stack, "rm /etc/ssh/ssh_host_*; mv /root/old/* /etc/ssh/; rmdir /root/old; systemctl reload ssh")


@pytest.mark.parametrize("which", ["embedded", "pulumi"])
def test_a_windows_pc_is_registered_with_its_linux_side_still_to_come(
    new_project: Callable[[str], Project], host_image: str, which: str
) -> None:
    """Only that Windows' sshd lets us in is asked then, which any sshd can answer; simulated in so far."""
    project = new_project(which)
    box = {"provider": "container", "init": "none", "image": host_image}
    project.configure({"box": box})
    project.rig("up", "--yes")
    there = records.require(project.stack(), "box").endpoint
    home = {
        "provider": "workstation",
        "os": "windows-wsl2",
        "address": there.address,
        "port": there.port,
        "user": there.user,
        "host_key": keys.fingerprint(there.host_key),
        "ports": {"8000": "192.168.1.0/24"},
    }
    project.configure({"box": box, "home": home})
    up = project.rig("up", "--yes")
    assert "home  created" in up.stdout
    assert "home-wsl: comes with `ansible-playbook playbooks/site.yml --limit home`" in up.stdout + up.stderr
    first = records.require(project.stack(), "home")
    assert [name for name, _, _ in first.machines()] == ["home-win", "home-wsl"]
    assert on(project.stack(), "hostname", "home-win") == "box"
    assert "home  unchanged" in project.rig("up", "--yes").stdout
    project.configure({"box": box, "home": {**home, "allow_from": "192.168.1.0/24"}})
    assert "home  updated    allow_from" in project.rig("up", "--yes").stdout
    again = records.require(project.stack(), "home")
    assert again.variables["win_network_allow_from"] == ["192.168.1.0/24"]
    assert again.guest == first.guest
    project.rig("down", "home", "--yes")
    assert list(records.load(project.stack())) == ["box"]
