"""Roles win_preflight, win_wsl, win_distribution and win_disk with Ansible itself. The program PowerShell is the simulated one, on this computer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpurig import catalogue
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine

STUB = """\
#!{python}
import base64, json, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.windows.model import shell
from tests.windows.model.pc import Machine, PowerLostError
file = Path({file!r})
machine = Machine(json.loads(file.read_text()))
script = base64.b64decode(sys.argv[-1]).decode("utf-16-le")
stdin = sys.stdin.buffer.read() if "ConvertFrom-Json" in script else b""
try:
    code, out, err = shell.run(machine, sys.argv[1:], stdin)
except PowerLostError:  # a restart: over SSH the connection would end
    code, out, err = 0, b"", b""
file.write_text(json.dumps(machine.data))
sys.stdout.buffer.write(out)
sys.stderr.buffer.write(err)
sys.exit(code & 255)
"""

PLAY = {
    "hosts": "all",
    "gather_facts": False,
    "strategy": "ansible.builtin.linear",
    "roles": ["win_preflight", "win_wsl", "win_distribution", "win_disk"],
}

VARIABLES = {
    "ansible_connection": "local",
    "ansible_shell_type": "powershell",
    "gpurig_host": {"name": "home", "stack": "dev"},
    "win_preflight_user": "me",
    "win_linux_distribution": "Ubuntu-24.04",
    "win_linux_user": "me",
    "win_linux_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@laptop",
}


@dataclass(frozen=True, slots=True)
class Pc:
    """A simulated PC in a file."""

    folder: Path

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "pc.json").read_text())
        return found

    def play(self, *arguments: str, **variables: Any) -> str:
        """What ansible-playbook says."""
        inventory = {"all": {"hosts": {"home-win": VARIABLES | variables}}}
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
        program = [f"{sys.prefix}/bin/ansible-playbook", "-i", "inventory.yml", "play.yml", *arguments]
        environment = os.environ | {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(catalogue.ROOT),
            "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }
        done = subprocess.run(
            program, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        return done.stdout + done.stderr


@pytest.fixture
def pc(tmp_path: Path) -> Pc:
    file = tmp_path / "pc.json"
    file.write_text(json.dumps(Machine(fresh()).data))
    stub = tmp_path / "PowerShell"
    stub.write_text(STUB.format(python=sys.executable, root=str(catalogue.ROOT), file=str(file)))
    stub.chmod(0o755)
    (tmp_path / "play.yml").write_text(yaml.safe_dump([PLAY]))
    return Pc(tmp_path)


def counted(said: str) -> dict[str, int]:
    """The numbers of the play's last line."""
    recap = re.search(r"^home-win\s+: (.*)$", said, re.MULTILINE)
    assert recap, said
    return {name: int(count) for name, count in (part.split("=") for part in recap[1].split())}


def test_it_restarts_goes_on_by_itself_and_then_changes_nothing(pc: Pc) -> None:
    said = pc.play(win_wsl_allow_reboot=True)
    assert counted(said)["failed"] == 0, said
    assert pc.data["boots"] == 2
    assert pc.data["wsl"]["version"] == "2.6.3.0"
    again = counted(pc.play(win_wsl_allow_reboot=True))
    assert (again["changed"], again["failed"]) == (0, 0)
    assert pc.data["boots"] == 2


def test_without_leave_it_does_not_restart_and_says_what_to_write(pc: Pc) -> None:
    said = " ".join(pc.play().split())
    assert "Pulumi.dev.yaml, gpurig:hosts.home, write `allow_reboot: true`" in said
    assert pc.data["boots"] == 1
    assert pc.data["pending"] == ["VirtualMachinePlatform"]


def test_check_mode_tells_and_changes_nothing(pc: Pc) -> None:
    before = pc.data
    said = pc.play("--check", "--diff", win_wsl_allow_reboot=True)
    assert counted(said)["changed"] == 3
    for line in (
        "-VirtualMachinePlatform: off",
        "+WSL: 2.6.3.0",
        "+Ubuntu-24.04: installed",
        "+Windows: restarts, since",
    ):
        assert line in said
    assert "+fetch https://" in said
    assert re.search(r"TASK \[win_wsl : Restart Windows and wait for it\] \*+\nchanged", said)
    assert pc.data == before


def test_check_mode_tells_that_a_run_would_end_for_want_of_leave_to_restart(pc: Pc) -> None:
    told = pc.play("--check", "--diff")
    assert counted(told) | {"changed": 2, "failed": 0, "ignored": 1} == counted(told), told
    assert "write `allow_reboot: true`" in " ".join(told.split())
    assert "+Ubuntu-24.04: installed" in told


def test_a_distribution_with_a_wrong_checksum_changes_nothing_and_is_told_with_file_and_key(pc: Pc) -> None:
    own = {"url": "D:\\mine.wsl", "sha256": "cd" * 32}
    data = pc.data | {"blobs": {own["url"]: {"sha256": "ef" * 32, "size": 5}}}
    (pc.folder / "pc.json").write_text(json.dumps(data))
    given = {f"win_{topic}_{key}": value for topic in ("wsl", "distribution") for key, value in own.items()}
    given |= {f"win_wsl_distribution_{key}": value for key, value in own.items()}
    del given["win_wsl_url"], given["win_wsl_sha256"]
    said = pc.play(win_wsl_allow_reboot=True, win_distribution_name="Mine", win_wsl_distribution="Mine", **given)
    assert (
        "Pulumi.dev.yaml: gpurig:hosts.home.wsl.distribution.sha256: D:\\mine.wsl: its SHA-256 is ef"
        in said.replace("\\\\", "\\")
    )
    assert set(pc.data["done"]) == {"file_fetch"}
    assert pc.data["boots"] == 1
    assert "gpurig_windows" not in said.replace("plugins/action/gpurig_windows", ""), "the whole state is printed"


def test_a_later_step_that_refuses_does_not_say_that_nothing_was_changed(pc: Pc) -> None:
    wrong = {"win_preflight_topics": ["preflight"], "win_distribution_name": "Ubunt-24.04"}
    said = " ".join(pc.play(win_wsl_allow_reboot=True, **wrong).split())
    assert "home: this step changed nothing on the PC." in said
    assert "nothing was changed" not in said
    assert pc.data["wsl"]["version"] == "2.6.3.0"


def test_all_that_is_wrong_is_told_at_once_with_file_and_key(pc: Pc) -> None:
    wrong = {"win_distribution_name": "Ubunt-24.04", "win_preflight_location": "WSL", "win_wslconfig_memory": 400}
    said = " ".join(pc.play(win_wsl_msi_version="2.9.9", **wrong).split())
    for key in ("wsl.distribution", "wsl.location", "wsl.memory", "wsl.msi.sha256"):
        assert f"Pulumi.dev.yaml: gpurig:hosts.home.{key}: " in said
    assert pc.data == Machine(fresh()).data
