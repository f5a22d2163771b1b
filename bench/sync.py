"""`rig sync` with verification, against plain rsync over the same SSH: one file of 1 GB, and 10,000 small ones."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.stage import stage
from gpurig import records, transfer
from gpurig.remote import Place
from gpurig.stack import open_stack

HOSTS = "{demo: {provider: container}}"

BIG, SMALL_COUNT, SMALL = 10**9, 10_000, 2_000
TRIES = 3


def main() -> None:
    """Print seconds and ratios; each pair is measured in turn, and the best of each counts."""
    with stage(HOSTS) as folder:
        subprocess.run(["rig", "up", "--yes"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack = open_stack()
        place = Place(stack, records.require(stack, "demo"))
        data = Path(folder) / "data"
        for name, make in (("one file of 1 GB", _big), ("10,000 files of 2 kB", _small)):
            shutil.rmtree(data, ignore_errors=True)
            make(data)
            _compare(place, data, name)


def _compare(place: Place, data: Path, name: str) -> None:
    plain: list[float] = []
    ours: list[float] = []
    stream: list[float] = []
    again: list[float] = []
    for _ in range(TRIES):
        plain.append(_timed(lambda: _fresh(place, "plain"), lambda: _rsync(place, data)))
        ours.append(_timed(lambda: _fresh(place, transfer.PROJECTS), lambda: _sync(data)))
        again.append(_timed(lambda: None, lambda: _sync(data)))
        stream.append(_timed(lambda: _fresh(place, "stream"), lambda: _tar(place, data)))
    print(f"{name}: rsync {min(plain):.2f} s; tar through ssh {min(stream):.2f} s")
    print(f"  rig sync, every file verified  {min(ours):6.2f} s  {min(plain) / min(ours):4.2f} × rsync's speed")
    print(f"  rig sync, nothing to do        {min(again):6.2f} s")


def _timed(before: Callable[[], object], work: Callable[[], object]) -> float:
    before()
    os.sync()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _fresh(place: Place, folder: str) -> None:
    """Nothing is there and nothing is known of hashes, as on the first day."""
    place.run("sh", "-c", f"rm -rf {folder} && mkdir -p {folder}")
    shutil.rmtree(place.stack.home / "cache", ignore_errors=True)


def _sync(data: Path) -> None:
    subprocess.run(["rig", "sync", "demo"], cwd=data, check=True, stderr=subprocess.DEVNULL)


def _rsync(place: Place, data: Path) -> None:
    subprocess.run(["rsync", "-a", f"--rsh={place.shell()}", f"{data}/", f"{place.alias}:plain/"], check=True)


def _tar(place: Place, data: Path) -> None:
    with subprocess.Popen(["tar", "-C", str(data), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run([*place.ssh(), "tar -xC stream"], stdin=tar.stdout, check=True)


def _big(data: Path) -> None:
    data.mkdir()
    (data / ".rigignore").touch()
    with (data / "weights").open("wb") as file:
        for _ in range(BIG // 10**7):
            file.write(random.randbytes(10**7))  # noqa: S311 (only incompressible)


def _small(data: Path) -> None:
    data.mkdir()
    (data / ".rigignore").touch()
    for number in range(SMALL_COUNT):
        folder = data / f"{number // 100:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:05}").write_bytes(random.randbytes(SMALL))  # noqa: S311
