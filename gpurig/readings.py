"""What is found on a rented machine: read there once, by one remote command, before the machine is accepted.

`gather` is the one seam: recorded or invented outputs can stand in for a GPU.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Any, cast

from gpurig import access, records
from gpurig.health import cells, cuda, recording
from gpurig.health.figures import parts
from gpurig.health.finding import Wanted
from gpurig.health.probes import rented, script
from gpurig.host import Host
from gpurig.providers import BrokenError
from gpurig.rental import RentalSpec
from gpurig.stack import Stack

SECONDS = rented.SECONDS + 60.0
"""How long all readings together may take, before a machine counts as one that does not answer."""

TRIES = 3
"""A broken connection is no fault of the machine's."""

LINK_BYTES, LINK_SECONDS = 32 << 20, 4.0
"""The most that is sent there to measure the connection."""

NO_PYTHON = "gpurig-finds-no-python3"


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU as its driver sees it. memory: bytes."""

    name: str
    memory: int


@dataclass(frozen=True, slots=True)
class Readings:
    """What was found on a machine.

    devices: of CUDA, else of nvidia-smi. driver: empty where nothing tells. smi, cuda: why they fail, empty where they work.
    disk, free: bytes of the home folder's file system. link: Mbit/s, None where not measured; certain: False where it
    may be the connection from here that is slow, so that only a high figure proves something.
    """

    devices: tuple[Device, ...]
    driver: str
    smi: str
    cuda: str
    disk: int
    free: int
    link: float | None = None
    certain: bool = False


def gather(stack: Stack, host: Host, spec: RentalSpec) -> Readings:
    """The seam: run the probe on a machine that need not be recorded yet. Raises BrokenError where it gives no readings."""
    address = os.environ.get("GPURIG_LINK_URL", "") if spec.link else ""
    run = f"command -v python3 >/dev/null || {{ echo {NO_PYTHON} >&2; exit 1; }}; exec python3 - {shlex.quote(address)}"
    probe = script("rented").encode()
    ssh, said = _ssh(stack, host), ""
    for _ in range(TRIES):
        try:
            done = subprocess.run([*ssh, run], input=probe, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise BrokenError(f"the checks of its GPU gave no answer within {SECONDS:.0f} s") from None
        said = done.stderr.decode(errors="replace").strip()
        if NO_PYTHON in said:
            raise BrokenError("its image has no Python 3, which configuring it needs too; write another `image`")
        try:
            readings = read(done.stdout.decode())
        except (ValueError, KeyError, TypeError):
            continue
        if spec.link and readings.link is None:
            return replace(readings, link=_sent(ssh))
        return readings
    raise BrokenError(f"the checks of its GPU failed: {said.splitlines()[-1] if said else 'no message'}")


def _ssh(stack: Stack, host: Host) -> list[str]:
    """The beginning of an ssh command line to it, for a connection of its own."""
    others = [other for name, other in records.load(stack).items() if name != host.name]
    config = access.write(stack, [*others, host], stack.dir / "probe" / host.name)
    options = ("BatchMode=yes", "ControlMaster=no", "ControlPath=none")
    return ["ssh", "-F", str(config), *(f"-o{option}" for option in options), host.name]


def _sent(ssh: list[str]) -> float | None:
    """Mbit/s at which this computer can send there, over a few seconds; None where the connection broke."""
    part, size, pipe = os.urandom(1 << 18), 0, subprocess.PIPE
    with subprocess.Popen([*ssh, "echo; cat >/dev/null; echo"], stdin=pipe, stdout=pipe, bufsize=0) as process:
        into, out = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        out.readline()  # logged in
        start = time.monotonic()
        with suppress(BrokenPipeError):
            while size < LINK_BYTES and time.monotonic() < start + LINK_SECONDS:
                size += into.write(part)
        into.close()
        arrived = out.readline()
    return size * 8 / 1e6 / max(time.monotonic() - start, 1e-3) if arrived else None


def read(text: str) -> Readings:
    """The readings of one output of the probe. Raises ValueError, KeyError or TypeError for another text."""
    data = json.loads(text.strip().rpartition("\n")[2])  # a shell's own words may stand before it
    disk, link = data["disk"], data.get("link") or {}
    rows, query = recording.gpus(data), recording.run_of(data["smi"]["query"])
    told = [(cells.text(row, "name"), cells.number(row, "memory.total")) for row in rows]
    listed = tuple(Device(name, round(mib) << 20) for name, mib in told if mib is not None)
    broken = next((bad.value for row in rows if (bad := cells.broken("nvidia-smi", row))), "")
    seen = tuple(Device(device["name"], device["memory"]) for device in parts(data["cuda"]["devices"]))
    answers = query.code == 0 and rows and not broken
    return Readings(
        devices=listed if cuda.problem(data["cuda"]) else seen,
        driver=(rows and cells.text(rows[0], "driver_version")) or data["devices"]["module"],
        smi="" if answers else f"nvidia-smi: {broken or query.words}",
        cuda=_cuda(data, len(seen)),
        disk=disk["size"],
        free=disk["free"],
        link=None if link.get("problem", "-") else link["speed"],
        certain=not link.get("problem", "-"),
    )


def _cuda(data: Mapping[str, Any], count: int) -> str:
    """Why CUDA does not work: it does not start, or a kernel of ours does not run or computes wrong. How many GPUs there are is judged later."""
    wanted = Wanted(platform="native", count=count)
    bad = (one for one in cuda.judge(data, wanted) if one.verdict == "FAIL" and one.name != cuda.COUNT)
    return next((one.value if one.name == cuda.START else f"{one.name}: {one.value}" for one in bad), "")
