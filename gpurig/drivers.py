"""Which NVIDIA driver an environment needs: its locked packages say for which CUDA they are built, `drivers.toml` the rest."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from gpurig.catalogue import ROOT

FILE = Path(__file__).with_name("drivers.toml")

_PINS = re.compile(
    r"^(?:cuda-toolkit(?:\[[^]]*\])?|nvidia-cuda-runtime(?:-cu\d+)?)==(\d+)\.|^torch==[^ ]*\+cu(\d+)\d", re.MULTILINE
)
"""CUDA's major version as locked packages tell it: `cuda-toolkit==13.0.2`, `nvidia-cuda-runtime-cu12==12.8.90`, `torch==2.9.1+cu128`."""


def needed(environments: Iterable[str]) -> tuple[str, str]:
    """The least driver that all these environments work with, empty where none uses CUDA; and the one that needs it."""
    found = ((least(cuda_of(lock_of(name))), name) for name in environments)
    return max(found, key=lambda pair: parts(pair[0]), default=("", ""))


def least(cuda: int | None) -> str:
    """The least driver for a major version of CUDA; empty for None, and for a version that is older than the table."""
    known = [driver for major, driver in _table().items() if cuda is not None and int(major) <= cuda]
    return known[-1] if known else ""


def enough(driver: str, wanted: str) -> bool:
    """Whether a driver's version is this one or newer."""
    return parts(driver) >= parts(wanted)


def cuda_of(lock: str) -> int | None:
    """The newest major version of CUDA that a lock file's packages are built for; None where they use none."""
    return max((int(plain or local) for plain, local in _PINS.findall(lock)), default=None)


def lock_of(environment: str) -> str:
    """The lock file of one of our environments; empty where there is none."""
    file = ROOT / "environments" / environment / "requirements.lock"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def parts(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare: `580.95.05` is (580, 95, 5)."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


@functools.cache
def _table() -> dict[str, str]:
    """Oldest first."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return dict(sorted(rows.items(), key=lambda row: int(row[0])))
