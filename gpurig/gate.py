"""The destroy gate: a host is not destroyed while it holds results that were not brought back and verified."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpurig import access, records
from gpurig.errors import ResultsAtRiskError
from gpurig.stack import Stack, write_private

DISCARD = "GPURIG_DISCARD_RESULTS"
"""Environment variable that, set to a host's name (or several, by comma), lets its results be lost."""

LIST_RUNS = 'cd "$HOME/gpurig/runs" 2>/dev/null && ls -1 || true'

SAFE = ("verified", "discarded")
"""What run.json says under `results` once a run cannot be lost any more."""


def check(stack: Stack, host: str, *, running: bool, giving_up: str = "") -> None:
    """Raise ResultsAtRiskError where this host has runs whose results are not safe on this machine.

    A running host is asked for its runs, so that those of another laptop count too; one that is stopped or does
    not answer is judged by what is noted here. Where the user lets them be lost, that is noted. giving_up: the command that
    does; default: to end the host.
    """
    runs = noted(stack, host)
    if host in os.environ.get(DISCARD, "").split(","):
        for run in (run for run, safe in runs.items() if not safe):
            _discard(runs_dir(stack, host) / run / "run.json")
        return
    if running and records.get(stack, host):
        runs |= {run: runs.get(run, False) for run in _on_host(stack, host)}
    at_risk = sorted(run for run, safe in runs.items() if not safe)
    if at_risk:
        how = f"`{giving_up}`" if giving_up else f"`rig down --discard {host}` (with Pulumi itself: {DISCARD}={host})"
        raise ResultsAtRiskError(
            f"{host}: not destroyed, since the results of {', '.join(at_risk)} were not brought back and verified. "
            f"Bring them back with `rig results {host}` once they ended, or give them up with {how}."
        )


@contextmanager
def discarding(hosts: Iterable[str]) -> Iterator[None]:
    """Let the results of these hosts be lost, in this process and in those that it starts."""
    before = os.environ.get(DISCARD)
    os.environ[DISCARD] = ",".join([*filter(None, (before or "").split(",")), *hosts])
    try:
        yield
    finally:
        if before is None:
            del os.environ[DISCARD]
        else:
            os.environ[DISCARD] = before


def noted(stack: Stack, host: str) -> dict[str, bool]:
    """Runs of this host that are noted here, and whether they are safe.

    Those of a machine that had its name before are left out: whatever was on it is gone.
    """
    record = records.get(stack, host)
    files = {path.parent.name: _read(path) for path in sorted(runs_dir(stack, host).glob("*/run.json"))}
    return {
        run: data.get("results") in SAFE
        for run, data in files.items()
        if record is None or data.get("label", record.label) == record.label
    }


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


def _discard(file: Path) -> None:
    write_private(file, json.dumps({**_read(file), "results": "discarded"}, indent=2) + "\n")


def _read(file: Path) -> dict[str, Any]:
    """What a run's note says; a damaged one says nothing, so that its results count as at risk."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
