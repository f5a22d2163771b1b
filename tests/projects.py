"""A gpurig project of a test's own: its folder, its GPURIG_HOME, its commands."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from gpurig import pulumi_process
from gpurig.catalogue import ROOT
from gpurig.stack import Stack, home

PULUMI = pulumi_process.find()
NO_PULUMI = "Pulumi's CLI is not found on this machine"

Done = subprocess.CompletedProcess[str]


class Project:
    """A project with the engine named; its stack `test` is configured first, its commands run in its folder."""

    def __init__(self, root: Path, engine: str) -> None:
        self.root = root
        self.engine = engine
        self.name = f"t{secrets.token_hex(4)}"
        self.home = Path(tempfile.mkdtemp(prefix="rig"))  # short, for ssh's sockets
        settings = home() / "containers.conf"
        if settings.exists():
            shutil.copy(settings, self.home)
        self.environment = {
            **os.environ,
            "GPURIG_HOME": str(self.home),
            "GPURIG_ENGINE": engine,
            "GPURIG_STACK": "test",
            "PULUMI_HOME": str(root / "pulumi"),
            "PULUMI_BACKEND_URL": (root / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "demo",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        (root / "state").mkdir()
        runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}}
        (root / "Pulumi.yaml").write_text(yaml.safe_dump({"name": self.name, "runtime": runtime}))
        shutil.copy(ROOT / "__main__.py", root)

    def stack(self, name: str = "test") -> Stack:
        """The stack as the package sees it."""
        return Stack(self.name, name, self.root, self.home)

    def configure(self, hosts: Mapping[str, Mapping[str, Any]], stack: str = "test", **others: Any) -> None:
        """Write the stack's file, with the demo's salt, whose passphrase is `demo`. others: further gpurig: keys."""
        config = {"gpurig:hosts": dict(hosts), **{f"gpurig:{key}": value for key, value in others.items()}}
        salt = yaml.safe_load((ROOT / "Pulumi.demo.yaml").read_text())["encryptionsalt"]
        self.stack(stack).file.write_text(yaml.safe_dump({"config": config, "encryptionsalt": salt}))

    def rig(self, *words: str, check: bool = True, **environment: str) -> Done:
        """Run `rig`."""
        return self.run(sys.executable, "-m", "gpurig.cli", *words, check=check, **environment)

    def pulumi(self, *words: str, check: bool = True, **environment: str) -> Done:
        """Run Pulumi as its user does."""
        quiet = ("--non-interactive", "--color=never", f"--stack={environment.get('GPURIG_STACK', 'test')}")
        return self.run(str(PULUMI), *words, *quiet, check=check, **environment)

    def run(self, *command: str, check: bool, **environment: str) -> Done:
        """Run a command in the project."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment | environment,
            capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start `rig` and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "gpurig.cli", *words],
            cwd=self.root,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def containers(self, stack: str = "test") -> dict[str, list[str]]:
        """Host → ids of every container that carries its label."""
        found: dict[str, list[str]] = {}
        for container in self._listed(f"label=gpurig.stack={stack}"):
            found.setdefault(container["Labels"]["gpurig.host"], []).append(container["Id"])
        return found

    def only(self, host: str, stack: str = "test") -> str:
        """The id of the one container that a host has."""
        (container,) = self.containers(stack)[host]
        return container

    def inspect(self, container: str) -> dict[str, Any]:
        """What podman knows of a container."""
        found: dict[str, Any] = json.loads(self.podman("container", "inspect", container))[0]
        return found

    def podman(self, *words: str) -> str:
        """Run podman behind gpurig's back."""
        settings = self.home / "containers.conf"
        ours = {"CONTAINERS_CONF": str(settings)} if settings.exists() and "CONTAINERS_CONF" not in os.environ else {}
        return subprocess.run(
            ["podman", *words], env={**os.environ, **ours}, capture_output=True, text=True, check=True
        ).stdout

    def remove(self, *filters: str) -> None:
        """Remove the project's containers behind gpurig's back."""
        found = [container["Id"] for container in self._listed(*filters)]
        if found:
            self.podman("rm", "--force", "--time=0", *found)

    def clean(self) -> None:
        """Leave nothing behind: processes that outlived what was killed, containers, files."""
        for process in _processes_with(f"GPURIG_HOME={self.home}"):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.remove()
        shutil.rmtree(self.home)

    def _listed(self, *filters: str) -> list[dict[str, Any]]:
        options = [f"--filter={one}" for one in (f"label=gpurig.project={self.name}", *filters)]
        found: list[dict[str, Any]] = json.loads(self.podman("ps", "--all", "--format=json", *options) or "[]")
        return found


def podman_in_front(folder: Path, script: str) -> str:
    """A PATH on which every call of podman runs a line of shell first."""
    program = folder / "front" / "podman"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\n{script}\nexec {shutil.which("podman")} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def _processes_with(variable: str) -> list[int]:
    """Processes of this machine that have this environment variable, where /proc tells."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if variable.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
