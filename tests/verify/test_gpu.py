"""The GPU: that there is one where one was promised, and that its driver answers. All readings come through `nvidia_smi`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpurig.verification import Target

SECONDS = 30
"""nvidia-smi hangs on some broken GPUs."""


@pytest.fixture(scope="module")
def nvidia_smi(host: Any, target: Target) -> Callable[[str], Any]:
    """Runs nvidia-smi with these arguments; in WSL2 it is not on the PATH."""
    if target.capabilities.gpu_driver == "none":
        pytest.skip("this host has no GPU")
    path = "/usr/lib/wsl/lib/nvidia-smi" if target.capabilities.gpu_driver == "windows" else "nvidia-smi"
    return lambda arguments: host.run(f"timeout {SECONDS} {path} {arguments}")


def test_devices(target: Target, nvidia_smi: Callable[[str], Any], check: Any) -> None:
    listed = nvidia_smi("-L")
    found = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    wanted = int(target.host.spec.get("count") or 1)
    said = "no answer" if listed.rc == 124 else (listed.stderr or listed.stdout).strip().splitlines()[-1:]
    check(
        "GPUs",
        listed.rc == 0 and len(found) == wanted,
        value="; ".join(line.split(" (UUID")[0] for line in found) if found else f"none: {said}",
        expected=f"{wanted}",
        reason="A GPU is missing, or its driver does not see it.",
        advice=f"See what it says: `rig connect {target.host.name} -- nvidia-smi`.",
    )
