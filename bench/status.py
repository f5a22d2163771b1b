"""`rig status` for 1 and 50 recorded hosts: time and memory (goals ≤ 0.5 s and ≤ 2 s, ≤ 100 MB)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gpurig import records, runs
from gpurig.host import Capabilities, Endpoint, Host
from gpurig.keys import public_half
from gpurig.runs import Run
from gpurig.stack import Stack

TRIES = 7
RUNS_EACH = 20
LIMITS = {1: 0.5, 50: 2.0}
MEMORY_MB = 100


def main() -> None:
    """Print seconds, megabytes, and ratios to an empty Python and to the limits."""
    with tempfile.TemporaryDirectory(prefix="rig") as folder:
        root = Path(folder) / "project"
        root.mkdir()
        (root / "Pulumi.yaml").write_text("name: bench\nruntime: python\n", encoding="utf-8")
        environment = {**os.environ, "GPURIG_HOME": f"{folder}/home"}
        bare, bare_mb = _best([sys.executable, "-c", "pass"], root, environment)
        print(f"python -c pass             {bare:6.3f} s  {bare_mb:5.0f} MB")
        for count, limit in LIMITS.items():
            stack = Stack("bench", f"hosts{count}", root, Path(folder) / "home")
            _record(stack, count)
            took, used = _best([sys.executable, "-m", "gpurig.cli", "status", "--stack", stack.name], root, environment)
            part = f"{took / limit:4.2f} × limit, {used / MEMORY_MB:4.2f} × {MEMORY_MB} MB"
            print(
                f"rig status, {count:2} hosts       {took:6.3f} s  {used:5.0f} MB  {part}  ({took / bare:.0f} × python)"
            )


def _best(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Least seconds, and most megabytes, of several runs."""
    code = (
        "import json, os, subprocess, sys, time, resource\n"
        "started = time.perf_counter()\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "took = time.perf_counter() - started\n"
        "print(json.dumps([took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))"
    )
    found = []
    for _ in range(TRIES):
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout))
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss is in bytes on macOS, in KiB on Linux
    return min(took for took, _ in found), max(used for _, used in found) / unit


def _record(stack: Stack, count: int) -> None:
    """Hosts that nobody made, with environments, services and some runs each."""
    key = stack.home / "key"
    stack.home.mkdir(mode=0o700, exist_ok=True)
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for number in range(count):
        name = f"host{number:02}"
        label = f"gpurig.bench.{stack.name}.{name}.1"
        host = Host(
            name=name,
            project="bench",
            stack=stack.name,
            provider="container",
            id=name,
            label=label,
            generation=1,
            endpoint=Endpoint(address="192.0.2.1", port=22000 + number, user="dev", host_key=public_half(key)),
            capabilities=Capabilities(init="systemd", kernel="shared", privilege="sudo", can_stop=True),
            environments=("starter",),
            services=("jupyter", "tensorboard"),
        )
        records.save(stack, host)
        for run in range(RUNS_EACH):
            runs.save(stack, _run(host, run))


def _run(host: Host, number: int) -> Run:
    return Run(
        id=f"20261122-0930{number:02}-train",
        host=host.name,
        label=host.label,
        stack=host.stack,
        project="/home/me/project",
        directory=".",
        environment="starter",
        command=("train.py",),
        created="2026-11-22T09:30:00+00:00",
        state="running" if number == RUNS_EACH - 1 else "done",
        results=None if number == RUNS_EACH - 1 else "verified",
    )
