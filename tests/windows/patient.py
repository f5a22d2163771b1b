"""A simulated PC in a stack's records, as `rig doctor` meets it: without a network, by the wire's own texts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gpurig import keys, records
from gpurig.cli import main
from gpurig.doctor import windows
from gpurig.host import Endpoint, Host
from gpurig.providers.workstation.windows import LINUX, WindowsSpec
from gpurig.reach import UnreachableError
from gpurig.stack import Stack
from gpurig.windows import wire
from gpurig.windows.actions import Action
from gpurig.windows.failures import Link
from gpurig.windows.session import Session
from tests.windows import rounds
from tests.windows.model.faults import WELL
from tests.windows.model.fresh_sshd import ADMIN_KEYS
from tests.windows.model.healthy import healthy
from tests.windows.model.pc import Machine

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyH0gB1Z0Kk0m5cYd2W0sT2r9cZ3o5t5n9mM5l3b2Qx"


@dataclass
class Patient:
    """A recorded PC. link: what the laptop sees; rounds: the sections of each round so far; silent: why nobody answers."""

    machine: Machine
    stack: Stack
    link: Link = WELL
    silent: str = ""
    rounds: list[list[str]] = field(default_factory=list)

    def rig(self, *words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["--stack", "test", *words])
        code = ended.value.code
        return code if isinstance(code, int) else 1

    def round(self, sections: Mapping[str, Any], actions: Sequence[Action] = (), *, seconds: float = 0) -> wire.Answer:
        if self.silent:
            raise UnreachableError(self.silent, lasting=False)
        self.rounds.append(list(sections))
        return rounds.talk(self.machine, actions, sections)


def recorded(stack: Stack) -> None:
    spec = WindowsSpec.model_validate(
        {"provider": "workstation", "os": "windows-wsl2", "address": "192.168.1.50", "user": "me"}
    )
    records.save(
        stack,
        Host(
            name="home",
            project="windows",
            stack="test",
            provider="workstation",
            id="home",
            label="gpurig.windows.test.home.1",
            generation=1,
            endpoint=Endpoint(address="192.168.1.50", port=22, user="me", host_key=HOST_KEY, shell="powershell"),
            capabilities=LINUX,
            variables=spec.host_variables(),
            spec=spec.model_dump(mode="json"),
            guest=spec.guest("home", HOST_KEY),
        ),
    )


def at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """The PC in a stack of its own; sessions and log-ins are answered by the model."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: windows\nruntime: python\n")
    (root / "Pulumi.test.yaml").write_text("config: {}\n")
    monkeypatch.setenv("GPURIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(root)
    stack = Stack(project="windows", name="test", root=root, home=tmp_path / "home")
    recorded(stack)
    made = Patient(healthy(), stack)
    own = keys.login_key(stack.home).with_suffix(".pub").read_bytes()  # as the bootstrap put it there
    made.machine.data["files"][ADMIN_KEYS] = base64.b64encode(own).decode()
    monkeypatch.setattr(Session, "round", lambda _, *words, **options: made.round(*words, **options))
    monkeypatch.setattr("gpurig.doctor.ports.seen", lambda *_: replace(made.link, guest=None, ssh=None))
    monkeypatch.setattr(
        windows.Patient,
        "_guest",
        lambda _, link: replace(link, guest=made.link.guest, smi=made.link.smi, cuda=made.link.cuda),
    )
    monkeypatch.setattr("gpurig.doctor.way._work", lambda _: iter(()))
    return made
