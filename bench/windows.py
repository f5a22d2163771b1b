"""A home PC (Windows simulated, the Linux within a real container): fresh to verified, nothing to do, and the doctor.

A person with a guide needs half an hour and at least two restarts. Windows' own time (features, MSI, restart, PowerShell's
start) costs nothing on the model, so these seconds are what gpurig itself takes.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpurig.catalogue import ROOT
from tests.clients.containers import containers
from tests.windows.home import home
from tests.windows.model.fresh import fresh

NOTHING_TO_DO, DOCTOR = 15.0, 10.0
"""Goals in seconds."""

RUNS = 3

ENTRY: dict[str, Any] = {"allow_reboot": True, "environments": ["starter"], "services": ["jupyter", "tensorboard"]}


def main() -> None:
    """Print seconds, rounds of PowerShell, and restarts."""
    script = ROOT / "scripts" / "host-image.sh"
    image = subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip()
    with (
        tempfile.TemporaryDirectory() as folder,
        containers(image) as made,
        home(Path(folder), made, fresh(), **ENTRY) as pc,
    ):
        parts = {
            "rig up": _seconds(lambda: pc.rig("up", "--yes")),
            "site.yml": _seconds(lambda: pc.playbook("site.yml")),
            "rig verify": _seconds(lambda: pc.rig("verify", "home")),
        }
        rounds, boots, starts = pc.pc.rounds, pc.machine.data["boots"] - 1, pc.linux.starts
        again = min(_seconds(lambda: pc.playbook("site.yml")) for _ in range(RUNS))
        before = pc.pc.rounds
        doctor = min(_seconds(lambda: pc.rig("doctor", "home")) for _ in range(RUNS))
        asked = (pc.pc.rounds - before) // RUNS
    for name, took in parts.items():
        print(f"{name:36} {took:6.1f} s")
    print(f"{'fresh to verified':36} {sum(parts.values()):6.1f} s  (Windows simulated)")
    print(f"{rounds} rounds of PowerShell, {boots} restarts of Windows, {starts - 1} further starts of WSL")
    print(f"{'site.yml with nothing to do':36} {again:6.1f} s  {again / NOTHING_TO_DO:5.2f} × of the goal of 15 s")
    print(f"{'rig doctor home':36} {doctor:6.1f} s  {doctor / DOCTOR:5.2f} × of the goal of 10 s; {asked} rounds")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
