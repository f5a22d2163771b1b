"""The destroy gate: a host is not destroyed while it holds results that were not brought back and verified."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpurig import access, records
from gpurig.errors import ResultsAtRiskError
from gpurig.stack import Stack

DISCARD = "GPURIG_DISCARD_RESULTS"
"""Environment variable that, set to a host's name (or several, by comma), lets its results be lost."""

LIST_RUNS = 'cd "$HOME/gpurig/runs" 2>/dev/null && ls -1 || true'


def check(stack: Stack, host: str, *, running: bool) -> None:
    """Raise ResultsAtRiskError where this host has runs whose results are not safe on this machine.

    A running host is asked for its runs, so that those of another laptop count too; one that is stopped or does
    not answer is judged by what is noted here.
    """
    if host in os.environ.get(DISCARD, "").split(","):
        return
    runs = noted(stack, host)
    if running and records.get(stack, host):
        runs |= {run: runs.get(run, False) for run in _on_host(stack, host)}
    at_risk = sorted(run for run, safe in runs.items() if not safe)
    if at_risk:
        raise ResultsAtRiskError(
            f"{host}: not destroyed, since the results of {', '.join(at_risk)} were not brought back and verified. "
            f"Bring them back with `rig results {host}`, or give them up with `rig down --discard {host}` "
            f"(with Pulumi itself: {DISCARD}={host})."
        )


@contextmanager
def discarding(hosts: Iterable[str]) -> Iterator[None]:
    """Let the results of these hosts be lost, in this process and in those that it starts."""
    before = os.environ.get(DISCARD, "")
    os.environ[DISCARD] = ",".join([*filter(None, before.split(",")), *hosts])
    try:
        yield
    finally:
        os.environ[DISCARD] = before


def noted(stack: Stack, host: str) -> dict[str, bool]:
    """Runs of this host that are noted here, and whether their results are here, verified."""
    return {path.parent.name: is_safe(path.parent) for path in sorted(runs_dir(stack, host).glob("*/run.json"))}


def is_safe(run: Path) -> bool:
    """Whether a run's local folder says that its results are here and were verified, or that it was given up."""
    return json.loads((run / "run.json").read_text(encoding="utf-8")).get("results") in ("verified", "discarded")


def runs_dir(stack: Stack, host: str) -> Path:
    """Where runs of a host are noted and their results are brought to."""
    return stack.dir / "runs" / host


def _on_host(stack: Stack, host: str) -> list[str]:
    name = records.require(stack, host).work()[0]
    command = access.ssh(stack, name, "-o", "ConnectTimeout=5")
    try:
        answer = subprocess.run([*command, LIST_RUNS], capture_output=True, text=True, check=True, timeout=30)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.split()
