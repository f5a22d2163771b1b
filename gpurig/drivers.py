"""Which NVIDIA driver an environment needs: its locks say for which CUDA they are built, `drivers.toml` the rest.

Which of an environment's builds a host gets is for gpurig.torch_build; it takes the same figures from here.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from gpurig import lockfile
from gpurig.catalogue import ROOT
from gpurig.errors import ConfigError

FILE = Path(__file__).with_name("drivers.toml")


def needed(environments: Iterable[str]) -> tuple[str, str]:
    """The least driver that all these environments work with, empty where none uses CUDA; and the one that needs it."""
    found = ((_least_of(name), name) for name in environments)
    return max(found, key=lambda pair: parts(pair[0]), default=("", ""))


def _least_of(environment: str) -> str:
    """The least driver of the build that is content with the oldest one."""
    return min((least(cuda) for cuda in cudas(environment)), key=parts, default="")


def least(cuda: int | None) -> str:
    """The least driver for a major version of CUDA; empty for None, and for a version that is older than the table."""
    known = [driver for major, driver in _table().items() if cuda is not None and int(major) <= cuda]
    return known[-1] if known else ""


def enough(driver: str, wanted: str) -> bool:
    """Whether a driver's version is this one or newer."""
    return parts(driver) >= parts(wanted)


def cudas(environment: str) -> tuple[int, ...]:
    """The major versions of CUDA that one of our environments is built for; none where it uses none, or cannot be read."""
    from gpurig import environments

    try:
        locks = environments.read(ROOT / "environments" / environment).locks
    except ConfigError:
        return ()
    return tuple(cuda[0] for lock in locks if (cuda := of_build(lock.build)))


def cuda_of(lock: str) -> int | None:
    """The newest major version of CUDA that a lock file's packages are built for; None where they use none."""
    found = lockfile.cuda_of(lock)
    return found[0] if found else None


def of_build(build: str) -> tuple[int, int] | None:
    """CUDA's version in a build's name: (12, 6) for `cu126`; None for one without CUDA."""
    found = re.fullmatch(r"cu(\d+)(\d)", build)
    return (int(found[1]), int(found[2])) if found else None


def parts(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare: `580.95.05` is (580, 95, 5)."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


@functools.cache
def _table() -> dict[str, str]:
    """Oldest first."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return dict(sorted(rows.items(), key=lambda row: int(row[0])))
