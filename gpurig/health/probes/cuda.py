"""CUDA without PyTorch: what the driver interface says, and whether a kernel computes right on every GPU.

Prints the section `cuda` of a recording (int, str and float as JSON has them):

    {"visible": "0,1" | null,             CUDA_VISIBLE_DEVICES, where it is set
     "version": 13000, "count": 8,        null where CUDA did not get as far
     "problem": "", "code": 0,            what failed, in words (also "no answer within 90 s, at cuInit"), and CUDA's code for it
     "step": "",                          the function that failed or hung
     "devices": [{"index": 0, "bus": "0000:01:00.0", "name": "NVIDIA GeForce RTX 4090", "memory": 25386352640, "capability": "8.9",
                  "elements": 262144, "right": 262144,     of the kernel's result; right is null where none came back
                  "problem": "", "code": 0, "step": "", "seconds": 0.41}, …]}

The kernel is text for compute capability 5.2, which every driver compiles for its own GPU. Its result is of integers, so
that it is right or wrong: rounds of a congruential generator, passed through shared memory.
"""

from __future__ import annotations

import array
import ctypes
import functools
import json
import os
import random
import sys
import time
from typing import Any

from gpurig.health.probes import apart

LIBRARIES = ("libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1")
"""The second is Windows' driver, which a fresh login inside WSL2 does not always find."""

SECONDS = 90.0
"""Eight large GPUs without persistence mode take half a minute to wake up, each time."""

MAJOR, MINOR = 75, 76
"""CUdevice_attribute: of the compute capability."""

THREADS, BLOCKS, ROUNDS = 256, 1024, 1000
FACTOR, SUMMAND = 1664525, 1013904223
"""Of the generator x → x · FACTOR + SUMMAND (mod 2³²); Numerical Recipes' "quick and dirty" one."""

KERNEL = f"""\
.version 4.3
.target sm_52
.address_size 64

.visible .entry mix(.param .u64 values, .param .u32 rounds)
{{
    .shared .align 4 .b8 block[{4 * THREADS}];
    .reg .pred %more;
    .reg .b32 %x, %left, %thread, %size, %number, %other, %base, %place;
    .reg .b64 %values, %offset, %mine;

    ld.param.u64 %values, [values];
    cvta.to.global.u64 %values, %values;
    mov.u32 %thread, %tid.x;
    mov.u32 %size, %ntid.x;
    mov.u32 %number, %ctaid.x;
    mad.lo.u32 %number, %number, %size, %thread;
    mul.wide.u32 %offset, %number, 4;
    add.u64 %mine, %values, %offset;
    ld.global.u32 %x, [%mine];
    ld.param.u32 %left, [rounds];
again:
    mad.lo.u32 %x, %x, {FACTOR}, {SUMMAND};
    sub.u32 %left, %left, 1;
    setp.ne.u32 %more, %left, 0;
    @%more bra again;

    mov.u32 %base, block;
    shl.b32 %place, %thread, 2;
    add.u32 %place, %base, %place;
    st.shared.u32 [%place], %x;
    bar.sync 0;
    sub.u32 %other, %size, %thread;
    sub.u32 %other, %other, 1;
    shl.b32 %other, %other, 2;
    add.u32 %other, %base, %other;
    ld.shared.u32 %x, [%other];
    xor.b32 %x, %x, %number;
    st.global.u32 [%mine], %x;
    ret;
}}
"""


class CudaError(Exception):
    """What of CUDA failed. code: CUresult."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def main() -> None:
    """Take all readings."""
    print(json.dumps(readings()))  # noqa: T201 (this is the answer)


def readings() -> dict[str, Any]:
    """The section: CUDA is started once, and then on each GPU, all of them at once."""
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the numbers that nvidia-smi gives them
    found = apart.alone(start, SECONDS)
    devices = found.pop("devices", [])
    works = [functools.partial(compute, index=device["index"]) for device in devices]
    for device, outcome in zip(devices, apart.together(works, SECONDS)):  # noqa: B905 (Python 3.8)
        device.update(outcome)
    return {"version": None, "count": None, **found, "devices": devices}


def start(tell: apart.Tell) -> None:
    """Start CUDA, and ask it about the GPUs."""
    tell(visible=os.environ.get("CUDA_VISIBLE_DEVICES"))
    cuda = Cuda(tell)
    number = ctypes.c_int()
    cuda("cuDriverGetVersion", ctypes.byref(number))
    tell(version=number.value)
    number.value = 0
    cuda("cuDeviceGetCount", ctypes.byref(number))
    tell(count=number.value, devices=[device(cuda, index) for index in range(number.value)])


def device(cuda: Cuda, index: int) -> dict[str, Any]:
    """What CUDA says of a GPU."""
    handle, memory = ctypes.c_int(), ctypes.c_size_t()
    name, bus = ctypes.create_string_buffer(256), ctypes.create_string_buffer(32)
    capability = [ctypes.c_int(), ctypes.c_int()]
    cuda("cuDeviceGet", ctypes.byref(handle), index)
    cuda("cuDeviceGetName", name, len(name), handle)
    cuda("cuDeviceGetPCIBusId", bus, len(bus), handle)
    cuda("cuDeviceTotalMem_v2", ctypes.byref(memory), handle)
    for attribute, place in zip((MAJOR, MINOR), capability):  # noqa: B905 (Python 3.8)
        cuda("cuDeviceGetAttribute", ctypes.byref(place), attribute, handle)
    return {
        "index": index,
        "bus": bus.value.decode(errors="replace").lower(),
        "name": name.value.decode(errors="replace"),
        "memory": memory.value,
        "capability": ".".join(str(place.value) for place in capability),
    }


def compute(tell: apart.Tell, index: int) -> None:
    """Copy numbers to a GPU, let the kernel change them, copy them back, and count those that are right."""
    begin = time.monotonic()
    count = THREADS * BLOCKS
    tell(elements=count, right=None)
    sent = array.array("I", random.Random(index).getrandbits(32 * count).to_bytes(4 * count, "little"))  # noqa: S311 (numbers to compute with, no secret)
    right = expected(sent)
    cuda = Cuda(tell)
    handle, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    module, function, rounds = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint32(ROUNDS)
    size = ctypes.c_size_t(4 * count)
    numbers = (ctypes.c_uint32 * count).from_buffer(sent)
    cuda("cuDeviceGet", ctypes.byref(handle), index)
    cuda("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
    cuda("cuCtxSetCurrent", context)
    cuda("cuModuleLoadDataEx", ctypes.byref(module), KERNEL.encode(), 0, None, None)
    cuda("cuModuleGetFunction", ctypes.byref(function), module, b"mix")
    cuda("cuMemAlloc_v2", ctypes.byref(memory), size)
    cuda("cuMemcpyHtoD_v2", memory, numbers, size)
    parameters = (ctypes.c_void_p * 2)(ctypes.addressof(memory), ctypes.addressof(rounds))
    cuda("cuLaunchKernel", function, BLOCKS, 1, 1, THREADS, 1, 1, 0, None, parameters, None)
    cuda("cuCtxSynchronize")
    ctypes.memset(numbers, 0, 4 * count)
    cuda("cuMemcpyDtoH_v2", numbers, memory, size)
    tell(right=sum(a == b for a, b in zip(numbers, right)), seconds=round(time.monotonic() - begin, 3))  # noqa: B905 (Python 3.8)
    cuda("cuMemFree_v2", memory)
    cuda("cuModuleUnload", module)
    cuda("cuDevicePrimaryCtxRelease_v2", handle)


def expected(sent: array.array[int]) -> list[int]:
    """What the kernel must make of these numbers."""
    factor, summand = 1, 0
    for _ in range(ROUNDS):
        factor, summand = factor * FACTOR & 0xFFFFFFFF, (summand * FACTOR + SUMMAND) & 0xFFFFFFFF
    mixed = [(x * factor + summand) & 0xFFFFFFFF for x in sent]
    blocks = (mixed[first : first + THREADS][::-1] for first in range(0, len(mixed), THREADS))
    return [x ^ number for number, x in enumerate(x for block in blocks for x in block)]


class Cuda:
    """The driver interface, started: call it with a function's name and its arguments. Raises CudaError, and OSError without a driver."""

    def __init__(self, tell: apart.Tell) -> None:
        self._tell = tell
        tell(step="libcuda.so.1")
        self._library = _library()
        self("cuInit", 0)

    def __call__(self, function: str, *arguments: Any) -> None:
        self._tell(step=function)
        call = getattr(self._library, function, None)
        if call is None:
            raise CudaError(f"{function} is missing in this libcuda.so.1", 0)
        code = call(*arguments)
        if code:
            raise CudaError(f"{function} failed{self._in_words(code)}", code)

    def _in_words(self, code: int) -> str:
        """The driver's own name for a code, where it has one."""
        name = ctypes.c_char_p()
        ask = getattr(self._library, "cuGetErrorName", None)
        return f" with {name.value.decode()}" if ask and ask(code, ctypes.byref(name)) == 0 and name.value else ""


def _library() -> ctypes.CDLL:
    first: OSError | None = None
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            first = first or error
    raise first or OSError("no library")


if __name__ == "__main__":
    main(*sys.argv[1:])
