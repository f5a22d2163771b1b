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
from gpurig import records
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
        for name, make in (("one file of 1 GB", _big), ("10,000 files of 2 kB", _small)):
            data = Path(folder) / "data"
            make(data)
            _compare(place, data, name)
            shutil.rmtree(data)


def _compare(place: Place, data: Path, name: str) -> None:
    """Every transfer goes to a folder of its own: deleting many files slows the disk down for a while."""
    plain, ours, again, stream = list[float](), list[float](), list[float](), list[float]()
    for number in range(TRIES):
        at = f"{data.name}-{name.replace(' ', '')}-{number}"
        project = data.with_name(at)  # as if never synced: nothing is there, and no hash is known
        data.rename(project)
        plain.append(_timed(_rsync, place, project, f"rsync-{at}"))
        ours.append(_timed(_sync, project))
        again.append(_timed(_sync, project))
        place.run("mkdir", f"tar-{at}")
        stream.append(_timed(_tar, place, project, f"tar-{at}"))
        project.rename(data)
    print(f"{name}: rsync {min(plain):.2f} s; tar through ssh {min(stream):.2f} s")
    print(f"  rig sync, every file verified  {min(ours):6.2f} s  {min(plain) / min(ours):4.2f} × rsync's speed")
    print(f"  rig sync, nothing to do        {min(again):6.2f} s")


def _timed(work: Callable[..., object], *arguments: object) -> float:
    os.sync()
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def _sync(project: Path) -> None:
    subprocess.run(["rig", "sync", "demo"], cwd=project, check=True, stderr=subprocess.DEVNULL)


def _rsync(place: Place, project: Path, target: str) -> None:
    subprocess.run(["rsync", "-a", f"--rsh={place.shell()}", f"{project}/", f"{place.alias}:{target}/"], check=True)


def _tar(place: Place, project: Path, target: str) -> None:
    with subprocess.Popen(["tar", "-C", str(project), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run([*place.ssh(), f"tar -xC {target}"], stdin=tar.stdout, check=True)


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
        (folder / f"{number:05}").write_bytes(random.randbytes(SMALL))  # noqa: S311 (only incompressible)
