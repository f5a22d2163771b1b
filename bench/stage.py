"""A place of its own for measurements: project, GPURIG_HOME and containers that are removed afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gpurig.catalogue import ROOT
from gpurig.providers.container.client import Podman
from gpurig.stack import home


@contextmanager
def stage(hosts: str) -> Iterator[Path]:
    """A project whose stack `bench` has these hosts (YAML); the environment and the working folder point to it."""
    settings = home() / "containers.conf"
    project = f"bench-{secrets.token_hex(3)}"
    folder = Path(tempfile.mkdtemp(prefix="rig"))
    if settings.exists():
        shutil.copy(settings, folder)
    (folder / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n")
    (folder / "Pulumi.bench.yaml").write_text(f"config:\n  gpurig:hosts: {hosts}\n")
    ours = {"GPURIG_HOME": str(folder), "GPURIG_STACK": "bench", "GPURIG_ENGINE": "embedded"}
    ours |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    before, here = dict(os.environ), Path.cwd()
    os.environ.update(ours)
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(here)
        podman = Podman(folder / "containers.conf")
        for container in podman.containers({"gpurig.project": project}):
            podman.run("rm", "--force", "--time=0", container["Id"])
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder)


def seconds(*command: str, **environment: str) -> float:
    """Wall time of a command in seconds. Ends the measurement with the command's own output where it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return took


def best(runs: int, *command: str, environment: Mapping[str, str] | None = None) -> float:
    """The shortest of some runs: what the machine's other work disturbed least."""
    return min(seconds(*command, **(environment or {})) for _ in range(runs))


def site() -> tuple[str, ...]:
    """The command that configures every host of the stage."""
    return ("ansible-playbook", str(ROOT / "playbooks" / "site.yml"))
