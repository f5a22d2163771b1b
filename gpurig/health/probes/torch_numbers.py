"""Whether PyTorch computes right on one device: exact products of integers, the same bits every time, and agreement with the CPU."""

from __future__ import annotations

import math
from typing import Any

from gpurig.health.probes import apart

FREE = 1 << 30
"""Bytes of a GPU's memory that this needs at most."""

TIMES = 20
"""Like Imbue's gpu_stress_test: a product that differs from run to run is silent data corruption."""

SIZES = {
    "cuda": {"fp32": 2048, "tf32": 2048, "fp16": 2048, "bf16": 2048, "repeats": 4096},
    "cpu": {"fp32": 512, "fp16": 128, "bf16": 512, "repeats": 512},
}
"""Rows of the square matrices. On a CPU, fp16 takes a minute at 2048."""

LARGEST = {"fp32": 4, "fp16": 4, "bf16": 1}
"""Factors are integers from -n to n, so that sums stay exact: below 2048 in fp16, below 256 in bf16 (at 2048 rows)."""

BF16_FROM = (8, 0)
"""Compute capability from which bf16 is computed by the GPU, and not imitated."""


def look(tell: apart.Tell, torch: Any, device: dict[str, Any], kind: str, *, flip: bool) -> None:
    """Take all readings of one device."""
    place = place_of(torch, kind, device["index"])
    tell(step="a kernel")
    tell(kernel=(torch.ones(8, device=place) * 2).sum().item())
    reduced(torch, allowed=False)
    exact: dict[str, Any] = {}
    against: dict[str, Any] = {}
    repeats: dict[str, Any] = {}
    types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    lacking = lacks_bf16(device)
    for name, kept in types.items():
        tell(step=f"exact products in {name}", exact=exact)
        exact[name] = lacking if name == "bf16" and lacking else products(torch, place, name, kept, flip)
    for name in ("fp32", "bf16"):
        tell(step=f"repeated products in {name}", exact=exact, repeats=repeats)
        if not (name == "bf16" and lacking):
            repeats[name] = repeated(torch, place, types[name], flip)
    for name in ("fp32", "tf32", "fp16", "bf16"):
        tell(step=f"products in {name} against the CPU's", repeats=repeats, against=against)
        if name == "bf16" and lacking:
            against[name] = lacking
        elif name == "tf32" and (kind == "cpu" or lacking):
            against[name] = {"skipped": "this device has no TF32"}
        else:
            against[name] = compared(torch, place, name, types.get(name, torch.float32), flip)
    tell(against=against)


def place_of(torch: Any, kind: str, index: int) -> Any:
    """The device of this number, which is the process's own from now on: without that, each would also start GPU 0."""
    if kind == "cpu":
        return torch.device("cpu")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def reduced(torch: Any, *, allowed: bool) -> None:
    """Whether fp32 may be computed as TF32; sums in less than fp32 never may, since then sums of integers are not exact."""
    matmul = torch.backends.cuda.matmul
    matmul.allow_tf32 = allowed
    matmul.allow_fp16_reduced_precision_reduction = False
    matmul.allow_bf16_reduced_precision_reduction = False


def lacks_bf16(device: dict[str, Any]) -> dict[str, str]:
    """The reason for skipping bf16 on old GPUs; empty for others."""
    capability = tuple(int(part) for part in device["capability"].split(".")) if device["capability"] else BF16_FROM
    return {"skipped": f"compute capability {device['capability']} has no bf16"} if capability < BF16_FROM else {}


def products(torch: Any, place: Any, name: str, kept: Any, flip: bool) -> dict[str, Any]:
    """How many elements of a product of integers are wrong. The true ones come from the CPU in fp64, where they are exact."""
    size, most = SIZES[place.type][name], LARGEST[name]
    random = torch.Generator().manual_seed(1)
    left, right = (torch.randint(-most, most + 1, (size, size), generator=random).double() for _ in range(2))
    true = left @ right
    result = left.to(place, kept) @ right.to(place, kept)
    if flip:
        spoil(result, 1)
    return {"elements": true.numel(), "wrong": int((result.cpu().double() != true).sum())}


def repeated(torch: Any, place: Any, kept: Any, flip: bool) -> dict[str, int]:
    """How many of several runs of one product differ in any bit from the first."""
    size = SIZES[place.type]["repeats"]
    random = torch.Generator().manual_seed(2)
    left, right = (torch.randn((size, size), generator=random).to(place, kept) for _ in range(2))
    first, different = bits(torch, left @ right), 0
    for number in range(TIMES):
        again = bits(torch, left @ right)
        if flip and number == TIMES // 2:
            again.view(-1)[again.numel() // 3] ^= 1
        different += not torch.equal(first, again)
    return {"times": TIMES, "different": different}


def compared(torch: Any, place: Any, name: str, kept: Any, flip: bool) -> dict[str, Any]:
    """How far a product of random numbers is from the CPU's in fp64, of the same rounded factors."""
    size = SIZES[place.type][name]
    random = torch.Generator().manual_seed(3)
    left, right = (torch.randn((size, size), generator=random).to(kept) for _ in range(2))
    true = left.double() @ right.double()
    reduced(torch, allowed=name == "tf32")
    result = (left.to(place) @ right.to(place)).cpu().double()
    reduced(torch, allowed=False)
    if flip:
        spoil(result, float(true.abs().max()))
    difference = result - true
    frobenius, largest = float(difference.norm() / true.norm()), float(difference.abs().max() / true.abs().max())
    finite = math.isfinite(frobenius) and math.isfinite(largest)
    return {
        "frobenius": frobenius if finite else None,
        "largest": largest if finite else None,
        "finite": finite,
    }


def bits(torch: Any, tensor: Any) -> Any:
    """A tensor's bits, as integers."""
    return tensor.view({2: torch.int16, 4: torch.int32}[tensor.element_size()])


def spoil(tensor: Any, by: float) -> None:
    """Change one element, as a GPU that computes wrong does."""
    tensor.view(-1)[tensor.numel() // 3] += by
