"""A stack with a simulated PC as its owner has it: Windows behind a real sshd, the Linux within a real container."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig import access, catalogue, keys
from gpurig.windows import inside
from tests.clients.containers import Containers
from tests.projects import Done, Project
from tests.windows.model import server
from tests.windows.model.fresh import fresh
from tests.windows.model.healthy import GpuLinux, configured, sizes
from tests.windows.model.linux import ContainerLinux
from tests.windows.model.pc import Machine

NAME = "Ubuntu-24.04"

MINUTES = 30 * 60
"""Seconds that a playbook may take."""


class SizedLinux(ContainerLinux):
    """A container that says it is as large as WSL would make its VM; Podman gives it the whole machine."""

    machine: Machine

    def start(self) -> None:
        super().start()
        self.sizes = sizes(self.machine, configured(self.machine))

    def run(self, script: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        code, out, err = super().run(script, arguments, stdin)
        if script == inside.script("facts"):
            for key, value in self.sizes.items():
                out = re.sub(rb"(?m)^%s=.*$" % key.encode(), b"%s=%d" % (key.encode(), value), out)
        return code, out, err


@dataclass(slots=True)
class Home:
    """A project whose stack has the PC as `home`."""

    project: Project
    pc: server.Pc
    inner: SizedLinux | GpuLinux

    @property
    def machine(self) -> Machine:
        return self.pc.machine

    @property
    def linux(self) -> SizedLinux:
        """The container within."""
        assert isinstance(self.inner, SizedLinux)
        return self.inner

    def configure(self, **changes: Any) -> None:
        """Write the stack's file. changes: keys of the entry."""
        entry = {
            "provider": "workstation",
            "os": "windows-wsl2",
            "address": self.pc.address,
            "port": self.pc.port,
            "user": self.pc.user,
            "gpu_driver": "none",
            "ca_bundle": "auto",
            "listeners": ["*:22"],  # the PC's own sshd: its container and WSL's share their network
        }
        self.project.configure({"home": {**entry, **changes}})

    def register(self) -> Done:
        """What the user does with the last line that the bootstrap printed."""
        return self.project.rig("register", "home", "--fingerprint", keys.fingerprint(self.pc.host_key))

    def rig(self, *words: str, check: bool = True) -> Done:
        return self.project.rig(*words, check=check)

    def playbook(self, name: str, *options: str, check: bool = True, limit: str = "home") -> Done:
        """Run one of our playbooks on both sides of the PC."""
        program = [f"{sys.prefix}/bin/ansible-playbook", str(catalogue.ROOT / "playbooks" / name), f"--limit={limit}"]
        environment = {
            **self.project.environment,
            "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        }
        done = subprocess.run(
            [*program, *options], cwd=self.project.root, env=environment, capture_output=True, text=True, check=False,
            timeout=MINUTES,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def reinstall(self) -> None:
        """Windows is set up anew, and the bootstrap ran once more: nothing of before is there, and the host key is another."""
        self.linux.destroy()
        port = self.machine.data["ssh_port"]
        self.machine.data.clear()
        self.machine.data.update(fresh())
        self.pc.new_host_key()
        server.listen(self.machine, port)

    def inside(self, command: str) -> str:
        """What a command says on the Linux side, over SSH as its user."""
        stack = self.project.stack()
        return subprocess.run(
            [*access.ssh(stack, "home-wsl"), command], capture_output=True, text=True, check=True
        ).stdout.strip()


@contextmanager
def home(
    folder: Path, made: Containers, data: dict[str, Any], *, linux: GpuLinux | None = None, **changes: Any
) -> Iterator[Home]:
    """Put a PC with this data on loopback, write a stack that has it, and register it as its owner would.

    linux: a simulated one in place of a container, which nobody can log in to. changes: keys of the entry.
    """
    project = Project(folder, "embedded")
    try:
        stack = project.stack()
        host_key = keys.host_key(stack, "simulated-pc", 1)
        public = host_key.with_name(host_key.name + ".pub").read_text(encoding="utf-8")
        login = keys.login_key(stack.home).with_suffix(".pub").read_text(encoding="utf-8").strip()
        machine = Machine(data)
        pair = (host_key.read_text(encoding="utf-8"), public)
        with server.serving(made, machine, public_key=login, host_key=pair) as pc:
            inner = linux or SizedLinux(made, pc.container)
            inner.machine = machine
            machine.linux = {NAME: inner}
            at_home = Home(project, pc, inner)
            at_home.configure(**changes)
            at_home.register()
            try:
                yield at_home
            finally:
                inner.destroy()  # before the container whose network it shares
    finally:
        project.clean()
