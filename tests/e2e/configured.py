"""A host that is stood up and configured, and the ways in which a test uses it: as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gpurig import access, catalogue
from gpurig.host import Host
from gpurig.reach import PRIVILEGE
from gpurig.stack import Stack
from gpurig.verdict import Result
from gpurig.verification import CHECKS


@dataclass(frozen=True, slots=True)
class Configured:
    """A host after site.yml, and the stack that it is in."""

    stack: Stack
    host: Host

    def rig(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `rig`, from the project's folder."""
        return self._run([sys.executable, "-m", "gpurig.cli", *words])

    def playbook(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run one of our playbooks on it."""
        program = Path(sys.executable).with_name("ansible-playbook")
        return self._run(
            [str(program), str(catalogue.ROOT / "playbooks" / name), f"--limit={self.host.name}", *options]
        )

    def check(self, topic: str) -> list[Result]:
        """Run one file of tests/verify on it, by hand."""
        with tempfile.TemporaryDirectory() as folder:
            verdicts = Path(folder) / "verdicts"
            command = [sys.executable, "-m", "pytest", str(CHECKS / f"test_{topic}.py"), f"--verdicts={verdicts}"]
            self._run([*command, f"--config-file={CHECKS / 'pytest.ini'}", f"--hosts={self.host.name}"])
            return [Result.from_dict(json.loads(line)) for line in verdicts.read_text(encoding="utf-8").splitlines()]

    def root(self, script: str) -> str:
        """Run a shell script on it as root, and return what it says."""
        shell = PRIVILEGE[self.host.capabilities.privilege].replace("true", "sh -eu")
        command = [*access.ssh(self.stack, self.host.name), shell]
        return subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        ours = {
            "ANSIBLE_CONFIG": str(catalogue.ROOT / "ansible.cfg"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",  # a message on one line, in which tests look for words
            "GPURIG_HOME": str(self.stack.home),
            "GPURIG_STACK": self.stack.name,
            "GPURIG_ENGINE": "embedded",
        }
        environment = {**os.environ, **ours}
        return subprocess.run(
            command, cwd=self.stack.root, env=environment, capture_output=True, text=True, check=False
        )
