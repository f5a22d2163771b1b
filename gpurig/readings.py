"""What is found on a rented machine: read there once, by one remote command, before the machine is accepted.

`gather` is the one seam: recorded or invented outputs can stand in for a GPU.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from gpurig import access, gpu_probe, records
from gpurig.host import Host
from gpurig.providers import BrokenError
from gpurig.rental import RentalSpec
from gpurig.stack import Stack

SECONDS = gpu_probe.SMI_SECONDS + gpu_probe.CUDA_SECONDS + 60.0
"""How long all readings together may take, before a machine counts as one that does not answer."""

TRIES = 3
"""A broken connection is no fault of the machine's."""

LINK_BYTES, LINK_SECONDS = 32 << 20, 4.0
"""The most that is sent there to measure the connection."""

NO_PYTHON = "gpurig-finds-no-python3"

CUDA_CODES = {
    2: "out of memory",
    3: "not initialised",
    46: "the GPU is taken, exclusively or split",
    100: "no GPU",
    802: "not ready: the fabric manager of its NVLink switches does not run",
    803: "its driver and its CUDA library do not match",
    804: "this GPU cannot do with so old a driver",
    999: "unknown: often a kernel module is missing",
}
"""CUresult → what it means on rented machines."""

FIELDS = 3
"""Of a line of nvidia-smi's answer: name, memory in MiB, driver."""


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
    probe = Path(gpu_probe.__file__).read_bytes()
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
    """The readings of one output of gpu_probe. Raises ValueError for another text."""
    data = json.loads(text.strip().rpartition("\n")[2])  # a shell's own words may stand before it
    smi, cuda, disk, link = data["smi"], data["cuda"], data["disk"], data.get("link") or {}
    lines = [[cell.strip() for cell in line.split(",")] for line in smi["out"].splitlines() if line.strip()]
    good = [line for line in lines if len(line) == FIELDS and line[1].isdigit()]
    listed = tuple(Device(name, int(memory) << 20) for name, memory, _ in good)
    odd = next((" ".join(line) for line in lines if line not in good), "")
    words = " ".join((smi["err"] or smi["out"]).split())[:300]
    seen = tuple(Device(device["name"], device["memory"]) for device in cuda["devices"])
    code = cuda.get("code", 0)
    meaning = f" (code {code}{f', {CUDA_CODES[code]}' if code in CUDA_CODES else ''})" if code else ""
    return Readings(
        devices=listed if cuda["problem"] else seen,
        driver=good[0][2] if good else data["driver"],
        smi=f"nvidia-smi: {odd or words or 'no words'}" if smi["code"] != 0 or odd else "",
        cuda=f"{cuda['problem']}{meaning}" if cuda["problem"] else "",
        disk=disk["size"],
        free=disk["free"],
        link=None if link.get("problem", "-") else link["speed"],
        certain=not link.get("problem", "-"),
    )
