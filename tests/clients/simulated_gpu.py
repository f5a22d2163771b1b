"""A simulated GPU: what CUDA's driver library and nvidia-smi answer, without a GPU. Put into containers that stand for rented machines.

Sent there as text and imported by the containers' own Python, so it imports nothing of ours.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODULE = "gpurig_simulated_gpu"


class Library:
    """Stands for libcuda.so.1. fails: function → the CUresult that it returns. forgets: memory comes back as zeros."""

    def __init__(
        self, name: str, memory: int, count: int, fails: Mapping[str, int] | None = None, forgets: bool = False
    ) -> None:
        self._gpu = name, memory, count
        self._fails = dict(fails or {})
        self._forgets = forgets
        self._places: dict[int, bytearray] = {}
        self._context = False

    def __getattr__(self, function: str) -> Any:
        done = getattr(type(self), f"do_{function}", None)
        if done is None:
            raise AttributeError(f"undefined symbol: {function}")

        def call(*arguments: Any) -> int:
            if function in self._fails:
                return self._fails[function]
            done(self, *arguments)
            return 0

        return call

    def do_cuInit(self, flags: int) -> None:  # noqa: N802 (CUDA's name, as all below)
        assert flags == 0

    def do_cuDeviceGetCount(self, count: Any) -> None:  # noqa: N802
        count._obj.value = self._gpu[2]

    def do_cuDeviceGet(self, device: Any, index: int) -> None:  # noqa: N802
        device._obj.value = index

    def do_cuDeviceGetName(self, name: Any, size: int, device: Any) -> None:  # noqa: N802
        name.value = self._gpu[0].encode()[: size - 1]

    def do_cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> None:  # noqa: N802
        memory._obj.value = self._gpu[1]

    def do_cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> None:  # noqa: N802
        context._obj.value = 0x1000 + device.value

    def do_cuCtxSetCurrent(self, context: Any) -> None:  # noqa: N802
        self._context = bool(context.value)

    def do_cuMemAlloc_v2(self, place: Any, size: Any) -> None:  # noqa: N802
        assert self._context
        place._obj.value = 0x7F0000000000 + (len(self._places) << 24)
        self._places[place._obj.value] = bytearray(size.value)

    def do_cuMemcpyHtoD_v2(self, place: Any, sent: Any, size: Any) -> None:  # noqa: N802
        if not self._forgets:
            self._places[place.value][: size.value] = sent.raw[: size.value]

    def do_cuMemsetD8_v2(self, place: Any, value: Any, count: Any) -> None:  # noqa: N802
        start = max(known for known in self._places if known <= place.value)
        offset = place.value - start
        self._places[start][offset : offset + count.value] = bytes([value.value]) * count.value

    def do_cuCtxSynchronize(self) -> None:  # noqa: N802
        assert self._context

    def do_cuMemcpyDtoH_v2(self, back: Any, place: Any, size: Any) -> None:  # noqa: N802
        ctypes.memmove(back, bytes(self._places[place.value]), size.value)

    def do_cuMemFree_v2(self, place: Any) -> None:  # noqa: N802
        del self._places[place.value]


def install(name: str, memory: int, count: int) -> None:
    """Let `ctypes.CDLL("libcuda.so.1")` of this process find it."""
    real = ctypes.CDLL

    def load(library: Any, *rest: Any, **options: Any) -> Any:
        return Library(name, memory, count) if library == "libcuda.so.1" else real(library, *rest, **options)

    ctypes.CDLL = load  # type: ignore[assignment,misc]  # that is what this is for


def files(name: str, mib: int, count: int, driver: str) -> dict[str, tuple[str, int]]:
    """What makes a Debian container seem to have these GPUs: path → content and mode. mib: memory of each, as nvidia-smi tells it."""
    lines = "\n".join(f"{name}, {mib}, {driver}" for _ in range(count))
    listed = "\n".join(f"GPU {number}: {name} (UUID: GPU-simulated-{number})" for number in range(count))
    smi = f"#!/bin/sh\n# Simulated.\ncase $1 in\n-L) cat <<'END'\n{listed}\nEND\n;;\n*) cat <<'END'\n{lines}\nEND\n;;\nesac\n"
    loaded = f"import {MODULE}; {MODULE}.install({name!r}, {mib << 20}, {count})\n"
    packages = "/usr/lib/python3/dist-packages"
    return {
        "/usr/bin/nvidia-smi": (smi, 0o755),
        f"{packages}/{MODULE}.py": (Path(__file__).read_text(encoding="utf-8"), 0o644),
        f"{packages}/{MODULE}.pth": (loaded, 0o644),
    }
