"""A rented machine's side of its acceptance: sent there as text and run with its own Python (3.8 or later, nothing else).

Prints one line of JSON: what nvidia-smi says, the driver's version, a call of CUDA's driver interface on every GPU, the room
on the file system of the home folder and, where an address is given, how fast it comes from there. It judges nothing.
Whatever may hang on a broken GPU runs in a process of its own under a time limit, and is left behind if it cannot be killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any, Callable  # noqa: UP035 (Python 3.8)

SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
"""Only fields that every driver knows: one unknown field makes nvidia-smi fail as a whole."""

SMI_SECONDS = 60
CUDA_SECONDS = 90
"""Eight large GPUs without persistence mode take half a minute to wake up, each time."""

LINK_SECONDS = 4
VERSIONS = ("/proc/driver/nvidia/version", "/sys/module/nvidia/version")
BYTES = 1 << 20
"""What is copied to each GPU and back."""


def main(link: str) -> None:
    """Take all readings."""
    found = {"smi": smi(), "driver": driver(), "cuda": apart(cuda, CUDA_SECONDS), "disk": disk()}
    if link:
        found["link"] = download(link)
    print(json.dumps(found))  # noqa: T201 (this is the answer)


def smi() -> dict[str, Any]:
    """nvidia-smi's answer as it is. code: of its exit; None where there is none, or no answer in time."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(SMI, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, universal_newlines=True)
    except OSError as error:
        return {"code": None, "out": "", "err": f"nvidia-smi cannot be run: {error.strerror}"}
    try:
        out, err = process.communicate(timeout=SMI_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        return {"code": None, "out": "", "err": f"nvidia-smi gave no answer within {SMI_SECONDS} s"}
    return {"code": process.returncode, "out": out, "err": err}


def driver() -> str:
    """The version of the kernel's driver; empty where the kernel does not say."""
    for path in VERSIONS:
        with suppress(OSError):
            found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", Path(path).read_text())
            if found:
                return found.group()
    return ""


def cuda() -> dict[str, Any]:
    """Start CUDA, and use every GPU. problem: what failed, with CUDA's code; empty where all is well."""
    devices: list[dict[str, Any]] = []
    try:
        library = ctypes.CDLL("libcuda.so.1")
        _call(library, "cuInit", 0)
        count = ctypes.c_int()
        _call(library, "cuDeviceGetCount", ctypes.byref(count))
        for index in range(count.value):
            devices.append(_device(library, index))
            _use(library, index)
    except _CudaError as error:
        return {"problem": str(error), "code": error.code, "devices": devices}
    except (OSError, AttributeError) as error:  # no library, or one that lacks a function
        return {"problem": str(error), "code": 0, "devices": devices}
    return {"problem": "", "code": 0, "devices": devices}


class _CudaError(Exception):
    """What of CUDA failed. code: CUresult."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def _call(library: Any, function: str, *arguments: Any) -> None:
    code = getattr(library, function)(*arguments)
    if code:
        raise _CudaError(f"{function} failed", code)


def _device(library: Any, index: int) -> dict[str, Any]:
    """What CUDA says of a GPU."""
    device, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(256)
    _call(library, "cuDeviceGet", ctypes.byref(device), index)
    _call(library, "cuDeviceGetName", name, len(name), device)
    _call(library, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    return {"name": name.value.decode(), "memory": memory.value}


def _use(library: Any, index: int) -> None:
    """Copy bytes to a GPU, let it set half of them anew, and compare what comes back."""
    device, context, place = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    sent, back = ctypes.create_string_buffer(os.urandom(BYTES), BYTES), ctypes.create_string_buffer(BYTES)
    size, half = ctypes.c_size_t(BYTES), BYTES // 2
    _call(library, "cuDeviceGet", ctypes.byref(device), index)
    _call(library, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    _call(library, "cuCtxSetCurrent", context)
    _call(library, "cuMemAlloc_v2", ctypes.byref(place), size)
    _call(library, "cuMemcpyHtoD_v2", place, sent, size)
    _call(library, "cuMemsetD8_v2", ctypes.c_uint64(place.value + half), ctypes.c_ubyte(0xA5), ctypes.c_size_t(half))
    _call(library, "cuCtxSynchronize")
    _call(library, "cuMemcpyDtoH_v2", back, place, size)
    if back.raw != sent.raw[:half] + b"\xa5" * half:
        raise _CudaError(f"what was copied to GPU {index} came back changed")
    _call(library, "cuMemFree_v2", place)


def disk() -> dict[str, int]:
    """Bytes of the file system on which our files will lie: of ~/gpurig where there is one, as on a volume, else of the home folder."""
    ours = Path.home() / "gpurig"
    about = os.statvfs(ours if ours.exists() else Path.home())
    return {"size": about.f_blocks * about.f_frsize, "free": about.f_bavail * about.f_frsize}


def download(address: str) -> dict[str, Any]:
    """Mbit/s at which an address sends, over a few seconds."""
    try:
        with urllib.request.urlopen(address, timeout=LINK_SECONDS * 2) as answer:  # noqa: S310 (the user's own address)
            start, size = time.monotonic(), 0
            while time.monotonic() < start + LINK_SECONDS:
                part = answer.read(1 << 18)
                if not part:
                    break
                size += len(part)
            return {"speed": size * 8 / 1e6 / max(time.monotonic() - start, 1e-3), "problem": ""}
    except OSError as error:
        return {"speed": 0.0, "problem": str(error)}


def apart(work: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """What `work` returns, done in a process of its own; a problem where it crashes, or takes longer than that."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in range(3):  # left behind, it must not hold the connection
                os.dup2(nothing, number)
            os.write(writer, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        if not select.select([answer], [], [], seconds)[0]:
            os.kill(process, SIGKILL)
            return {"problem": f"no answer within {seconds:g} s", "code": 0, "devices": []}
        text = answer.read()  # it comes in one piece
    os.waitpid(process, 0)
    found: dict[str, Any] = json.loads(text) if text else {"problem": "it crashed", "code": 0, "devices": []}
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
