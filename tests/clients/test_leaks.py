"""A short run of the proof in bench/leaks: the program is killed and vendors (simulated) misbehave; nothing may be left over."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpurig.catalogue import ROOT
from tests.clients.vendors import VENDORS

MINUTES = 0.3


@pytest.mark.parametrize("vendor", [vendor.name for vendor in VENDORS])
def test_killed_under_faults_no_machine_is_left_over(vendor: str) -> None:
    command = [
        sys.executable,
        "-m",
        "bench.leaks",
        "--client=gpurig",
        "--client=provider",
        f"--provider={vendor}",
        f"--minutes={MINUTES}",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_proof_sees_what_a_naive_client_leaves_over() -> None:
    command = [sys.executable, "-m", "bench.leaks", "--client=naive", "--provider=vastai", "--minutes=3", "--kills=250"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    row = next(line.split() for line in done.stdout.splitlines() if " naive " in line)
    assert int(row[4]) > 0, done.stdout
