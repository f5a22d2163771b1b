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
    """Stands for libcuda.so.1. fails: function → the CUresult that it returns."""

    def __init__(self, name: str, memory: int, count: int, fails: Mapping[str, int] | None = None) -> None:
        self._gpu = name, memory, count
        self._fails = dict(fails or {})
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

    def do_cuDriverGetVersion(self, version: Any) -> None:  # noqa: N802
        version._obj.value = 13000

    def do_cuDeviceGetPCIBusId(self, place: Any, size: int, device: Any) -> None:  # noqa: N802
        place.value = f"0000:{device.value + 1:02X}:00.0".encode()[: size - 1]

    def do_cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> None:  # noqa: N802
        value._obj.value = {75: 8, 76: 9}[attribute]

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
        self._places[place.value][: size.value] = bytes(sent)[: size.value]

    def do_cuModuleLoadDataEx(self, module: Any, text: bytes, *rest: Any) -> None:  # noqa: N802
        assert b".entry mix(" in text  # the one kernel that it can run
        module._obj.value = 0x2000

    def do_cuModuleGetFunction(self, function: Any, module: Any, name: bytes) -> None:  # noqa: N802
        assert (module.value, name) == (0x2000, b"mix")
        function._obj.value = 0x3000

    def do_cuLaunchKernel(self, function: Any, blocks: int, *rest: Any) -> None:  # noqa: N802
        """What the kernel of gpurig/health/probes/cuda.py does: rounds of a generator, each block reversed, mixed with the number."""
        assert function.value == 0x3000
        size, parameters = rest[2], rest[7]
        place = ctypes.c_uint64.from_address(parameters[0]).value
        factor, summand = 1, 0
        for _ in range(ctypes.c_uint32.from_address(parameters[1]).value):
            factor, summand = factor * 1664525, summand * 1664525 + 1013904223
            factor, summand = factor % 2**32, summand % 2**32
        numbers = memoryview(self._places[place]).cast("I")
        for first in range(0, blocks * size, size):
            block = [(x * factor + summand) % 2**32 for x in numbers[first : first + size]]
            for thread in range(size):
                numbers[first + thread] = block[size - 1 - thread] ^ (first + thread)

    def do_cuModuleUnload(self, module: Any) -> None:  # noqa: N802
        assert module.value == 0x2000

    def do_cuDevicePrimaryCtxRelease_v2(self, device: Any) -> None:  # noqa: N802
        self._context = False

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


SMI = """\
#!/bin/sh
# Simulated. Like the real one it refuses a whole query for one unknown field, and as root it makes the device nodes.
mark=/usr/lib/python3/dist-packages/{module}.py
[ -e $mark ] && [ "$(id -u)" = 0 ] && for node in {nodes} nvidiactl nvidia-uvm; do [ -e /dev/$node ] || : > /dev/$node; done
case $1 in
-L) for number in {numbers}; do echo "GPU $number: {name} (UUID: GPU-simulated-$number)"; done ;;
--help-query-gpu) for field in {fields}; do printf '"%s"\\nSimulated.\\n\\n' "$field"; done ;;
--query-gpu=*)
    for number in {numbers}; do
        line=
        for field in $(echo "${{1#--query-gpu=}}" | tr , ' '); do
            case $field in
            index) value=$number ;;
            pci.bus_id) value=00000000:0$((number + 1)):00.0 ;;
{cases}
            *) echo "Field \\"$field\\" is not a valid field to query."; exit 2 ;;
            esac
            line="$line${{line:+, }}$value"
        done
        echo "$line"
    done ;;
nvlink) for number in {numbers}; do echo "GPU $number: {name} (UUID: GPU-simulated-$number)"; echo "Device does not have or support Nvlink"; done ;;
*) echo simulated ;;
esac
"""

VALUES = {
    "vbios_version": "95.02.18.80.87",
    "compute_cap": "8.9",
    "memory.used": "1",
    "temperature.gpu": "34",
    "pstate": "P8",
    "power.draw": "21.40",
    "power.limit": "450.00",
    "enforced.power.limit": "450.00",
    "power.default_limit": "450.00",
    "clocks.sm": "210",
    "clocks.max.sm": "3105",
    "clocks_event_reasons.active": "0x0000000000000001",
    "pcie.link.gen.gpucurrent": "1",
    "pcie.link.gen.max": "4",
    "pcie.link.width.current": "16",
    "pcie.link.width.max": "16",
    "ecc.mode.current": "[N/A]",
    "gpu_recovery_action": "None",
    "persistence_mode": "Disabled",
    "compute_mode": "Default",
    "mig.mode.current": "[N/A]",
}
"""What the simulated nvidia-smi says of each GPU at rest, besides its name, memory and driver."""


def files(name: str, mib: int, count: int, driver: str) -> dict[str, tuple[str, int]]:
    """What makes a Debian container seem to have these GPUs: path → content and mode. mib: memory of each, as nvidia-smi tells it."""
    values = {"name": name, "memory.total": str(mib), "driver_version": driver, **VALUES}
    smi = SMI.format(
        module=MODULE,
        name=name,
        nodes=" ".join(f"nvidia{number}" for number in range(count)),
        numbers=" ".join(map(str, range(count))),
        fields=" ".join(["index", "pci.bus_id", *values]),
        cases="\n".join(f"            {field}) value='{value}' ;;" for field, value in values.items()),
    )
    loaded = f"import {MODULE}; {MODULE}.install({name!r}, {mib << 20}, {count})\n"
    packages = "/usr/lib/python3/dist-packages"
    return {
        "/usr/bin/nvidia-smi": (smi, 0o755),
        "/usr/local/nvidia/lib64/libcuda.so.1": ("simulated\n", 0o644),
        f"{packages}/{MODULE}.py": (Path(__file__).read_text(encoding="utf-8"), 0o644),
        f"{packages}/{MODULE}.pth": (loaded, 0o644),
    }
