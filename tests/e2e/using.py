"""Two containers of one's own, and `rig` as a user has it on his machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from gpurig import config as configuration
from gpurig import engine, records, runs
from gpurig.errors import RigError
from gpurig.providers.container.client import Podman
from gpurig.stack import Stack

CONFIG = """\
config:
  gpurig:hosts:
    box: {provider: container, environments: [starter], services: [jupyter]}
    bare: {provider: container, init: none}
"""

JOB = """
import argparse, os, pathlib, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--env", default="")
parser.add_argument("--code", type=int, default=0)
arguments = parser.parse_args()
for epoch in range(arguments.epochs):
    print("epoch", epoch, arguments.env)
    time.sleep(0.2)
pathlib.Path(os.environ["GPURIG_RESULTS"], "metrics.json").write_text('{"accuracy": 1}')
pathlib.Path("written.txt").write_text("beside the script")
pathlib.Path("scratch.tmp").write_text("ignored")
if arguments.code:
    print("the reason", file=sys.stderr)
sys.exit(arguments.code)
"""

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid)
time.sleep(600)
"""


@dataclass(frozen=True)
class Use:
    """A stack with two hosts, and `rig` in its project."""

    stack: Stack
    podman: Podman

    def rig(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run rig to its end and check its exit code."""
        done = subprocess.run(
            self.command(*words), cwd=self.stack.root, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start rig in a process group of its own, where Ctrl-C works even if the tests themselves run in the background."""
        pipe = subprocess.PIPE
        command = ["env", "--default-signal=INT", *self.command(*words)]
        return subprocess.Popen(
            command, cwd=self.stack.root, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def command(self, *words: str) -> list[str]:
        """Rig's words in full. Its engine is the one that made the hosts, also where Pulumi is found."""
        return ["env", "GPURIG_ENGINE=embedded", sys.executable, "-m", "gpurig.cli", "--stack", self.stack.name, *words]

    def on(self, host: str, line: str) -> str:
        """What a line of shell on the host prints."""
        return self.rig("connect", host, "--", line).stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.stack.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def container(self, host: str) -> str:
        return records.require(self.stack, host).id

    def latest(self, host: str = "box") -> runs.Run:
        return runs.of_host(self.stack, host)[-1]

    def state(self, host: str = "box") -> str:
        """State of the host's latest run, as the host tells."""
        return str(json.loads(self.rig("runs", host, "--check", "--json").stdout)[-1]["state"])


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def use(e2e_stack: Stack, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Use]:
    """Two hosts in a folder and a stack that no other test file has."""
    root = tmp_path_factory.mktemp("use")
    stack = replace(e2e_stack, name=request.module.__name__.rpartition("_")[2], root=root)
    stack.file.write_text(CONFIG)
    texts = {"Pulumi.yaml": f"name: {stack.project}\nruntime: python\n"}
    texts |= {".rigignore": "*.tmp\n/private/\n", "job.py": JOB, "stubborn.py": STUBBORN}
    for name, text in texts.items():
        (root / name).write_text(text)
    engine.up(stack, configuration.load(stack), report=lambda _: None)
    box = records.get(stack, "box")
    assert box is not None
    records.save(stack, replace(box, environments=()))  # nothing is installed there: jobs run with the system's Python
    yield Use(stack, Podman(stack.home / "containers.conf"))
    with suppress(RigError):  # whatever is left over goes with the project
        engine.down(stack, None, report=lambda _: None)
