"""How fast a GPU is: products of matrices, copies in its memory, pinned copies over its link; and what it says of itself meanwhile."""

from __future__ import annotations

import mmap
import time
from typing import Any, Callable, Sequence  # noqa: UP035 (Python 3.8)

from gpurig.health.probes import apart, programs, torch_numbers

GB = 10**9
RUNS = 5
WARM = {"cuda": 2.0, "cpu": 0.1}
"""Seconds: clocks rise, and the libraries choose their kernels. Copies, which follow, need a quarter of it."""

SMALL_BELOW = 16 * GB
"""Bytes of memory below which the matrices are smaller."""

COPY = {"cuda": 1 << 30, "cpu": 32 << 20}
"""Bytes. Less would fit into the cache of a large GPU, and look faster than its memory is."""

PINNED = {"cuda": 512 << 20, "cpu": 16 << 20}
FREE = 4 << 30
"""Bytes of a GPU's memory that this needs at most."""

SAMPLES = 3
BEGIN, PAUSE = {"cuda": 2.0, "cpu": 0.1}, {"cuda": 4.0, "cpu": 0.1}
"""Seconds before the first sample, and between samples. A GPU that changes its power state may show a slowdown for a moment."""

SMI_SECONDS = 30.0


def look(tell: apart.Tell, torch: Any, device: dict[str, Any], kind: str) -> None:
    """Take all figures of one device."""
    place = torch_numbers.place_of(torch, kind, device["index"])
    torch_numbers.reduced(torch, allowed=False)
    tell(step="products of matrices")
    tell(matmul=matmul(torch, place, device))
    tell(step="copies in its memory")
    tell(copy=copy(torch, place))
    for key in ("to_device", "from_device"):
        tell(step="pinned copies")
        tell(**{key: pinned(torch, place, to=key == "to_device")})


def factors(torch: Any, place: Any, device: dict[str, Any]) -> tuple[str, Any, Any]:
    """The type's name, and two matrices. Random ones: a product of zeros takes less power, and so is faster."""
    size = 256 if place.type == "cpu" else 4096 if device["memory"] < SMALL_BELOW else 8192
    name, kept = ("fp16", torch.float16) if torch_numbers.lacks_bf16(device) else ("bf16", torch.bfloat16)
    random = torch.Generator(device=place).manual_seed(4)
    left, right = (torch.randn((size, size), generator=random, device=place, dtype=kept) for _ in range(2))
    return name, left, right


def matmul(torch: Any, place: Any, device: dict[str, Any]) -> dict[str, Any]:
    """TFLOPS of a product of square matrices."""
    name, left, right = factors(torch, place, device)
    out = torch.empty_like(left)
    size = left.shape[0]
    times = timed(torch, place, lambda: torch.matmul(left, right, out=out), calls=10, warm=1)
    return {"type": name, "size": size, **rates(times, 2 * size**3 / 1e12)}


def copy(torch: Any, place: Any) -> dict[str, Any]:
    """GB/s of a copy within the device's memory. Every byte counts twice: it is read and written."""
    size = COPY[place.type]
    here, there = (torch.ones(size, dtype=torch.uint8, device=place) for _ in range(2))
    return {"bytes": size, **rates(timed(torch, place, lambda: there.copy_(here), calls=10), 2 * size / GB)}


def pinned(torch: Any, place: Any, *, to: bool) -> dict[str, Any]:
    """GB/s of a copy between pinned memory of the host and the device."""
    size = PINNED[place.type]
    host = torch.ones(size, dtype=torch.uint8, pin_memory=place.type == "cuda")
    there = torch.ones(size, dtype=torch.uint8, device=place)
    target, source = (there, host) if to else (host, there)
    return {
        "bytes": size,
        **rates(timed(torch, place, lambda: target.copy_(source, non_blocking=True), calls=2), size / GB),
    }


def rates(times: Sequence[float], amount: float) -> dict[str, Any]:
    """Runs, best first, of an amount in these seconds."""
    runs = sorted((round(amount / seconds, 3) for seconds in times), reverse=True)
    return {"best": runs[0], "runs": runs}


def timed(torch: Any, place: Any, work: Callable[[], Any], *, calls: int, warm: float = 0.25) -> list[float]:
    """Seconds of one call, of several runs after a warm-up (part of WARM); by the GPU's own clock where it is one."""
    until = time.monotonic() + warm * WARM[place.type]
    while time.monotonic() < until:
        work()
        wait(torch, place)
    return [(_on_gpu if place.type == "cuda" else _on_cpu)(torch, work, calls) / calls for _ in range(RUNS)]


def wait(torch: Any, place: Any) -> None:
    """Until the device has done what it was told."""
    if place.type == "cuda":
        torch.cuda.synchronize(place)


def _on_gpu(torch: Any, work: Callable[[], Any], calls: int) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(calls):
        work()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000


def _on_cpu(_torch: Any, work: Callable[[], Any], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        work()
    return time.perf_counter() - begin


class Flag:
    """Lets one process tell others that it is done. Make it before they start."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._shared[0] = 1

    def __bool__(self) -> bool:
        return self._shared[0] == 1


def busy(
    tell: apart.Tell, torch: Any, devices: Sequence[dict[str, Any]], kind: str, done: Flag, seconds: float
) -> None:
    """Keep all devices and their links busy until the flag is set, or for so long."""
    tell(step="keeping the devices busy")
    until = time.monotonic() + seconds
    loads = []
    for device in devices:
        place = torch_numbers.place_of(torch, kind, device["index"])
        _, left, right = factors(torch, place, device)
        host = torch.ones(1 << 20, dtype=torch.uint8, pin_memory=kind == "cuda")
        loads.append((place, left, right, torch.empty_like(left), host, torch.empty_like(host, device=place)))
    while not done and time.monotonic() < until:
        for _, left, right, out, host, there in loads:
            there.copy_(host, non_blocking=True)
            for _ in range(10):
                torch.matmul(left, right, out=out)
        for place, *_ in loads:
            wait(torch, place)


def sample(tell: apart.Tell, smi: str, fields: str, done: Flag, begin: float, pause: float, count: int) -> None:
    """nvidia-smi's answers while the devices are busy. begin, pause: seconds before the first one, and between them."""
    samples: list[dict[str, Any]] = []
    time.sleep(begin)
    for number in range(count):
        tell(step="nvidia-smi")
        time.sleep(pause if number else 0)
        samples.append(programs.run([smi, f"--query-gpu={fields}", "--format=csv,noheader,nounits"], SMI_SECONDS))
        tell(samples=samples)
    done.set()
