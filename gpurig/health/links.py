"""Several GPUs together: an all-reduce over all of them adds up right, and is as fast as such GPUs are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.health import models, recording, thresholds
from gpurig.health.cuda import BAD
from gpurig.health.figures import Peak, Words, graded, number, part, parts
from gpurig.health.finding import Finding, Wanted

VALUES, BANDWIDTH = "GPUs: all-reduce values", "GPUs: all-reduce bandwidth"

SHM = 1 << 30
"""Bytes of /dev/shm that NCCL may need. Source: NVIDIA, NCCL troubleshooting, --shm-size=1g."""


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Every finding about several GPUs working together."""
    if reason := recording.skipped(found, "links"):
        yield Finding(name=VALUES, verdict="SKIP", reason=reason)
        return
    links = recording.section(found, "links")
    wrong, elements = number(links, "wrong"), number(links, "elements")
    backend = str(links.get("backend") or "").upper() or "an unknown backend"
    count = int(number(links, "count") or 0)
    if links.get("problem") or wrong is None or not elements or count < 2:  # noqa: PLR2004 (several)
        yield _failed(links, backend)
        return
    if (present := _present(found)) and count != present:
        yield Finding(
            name=VALUES,
            verdict="FAIL",
            value=f"{count} of {present} GPUs took part",
            expected="all GPUs",
            source=f"{backend}, all_reduce",
            reason="GPUs were left out, so nothing is known of their links.",
            advice="See CUDA_VISIBLE_DEVICES on the host, and what else uses the GPUs; then verify again.",
        )
        return
    yield Finding(
        name=VALUES,
        verdict="FAIL" if wrong else "PASS",
        value=f"{wrong:.0f} wrong elements of {elements:.0f} on {count} GPUs, {backend}",
        expected="every element is the sum of all GPUs' elements",
        source="sums of integers, which are exact in fp32",
        reason="What GPUs send each other arrives changed; training in parallel would go wrong unseen."
        if wrong
        else "",
        advice=f"Run it again with NCCL_P2P_DISABLE=1: if it is right then, it is the link between them. {BAD}"
        if wrong
        else "",
    )
    if (best := number(links, "best")) is None:
        yield _failed(links, backend)
        return
    direct = len(_pairs(links))
    paths = f"{direct} of {count * (count - 1) // 2} pairs reach each other's memory directly"
    words = Words(
        unknown=f"nothing is known of {count} such GPUs to compare with; {paths}",
        low=f"GPUs exchange data slower than such GPUs do; {paths}.",
        advice="See `nvidia-smi topo -m` and `nvidia-smi nvlink -s` on the host; all pairs should show NV and a number.",
    )
    yield graded(BANDWIDTH, best, "GB/s", wanted, peak=_peak(found, count, wanted), words=words)


def _present(found: Mapping[str, Any]) -> int:
    """How many GPUs there are, as nvidia-smi, CUDA or PyTorch count them; 0 where none tells."""
    by_cuda = int(number(recording.section(found, "cuda"), "count") or 0)
    return len(recording.gpus(found)) or by_cuda or len(parts(recording.section(found, "numbers").get("devices")))


def _peak(found: Mapping[str, Any], count: int, wanted: Wanted) -> Peak | None:
    """Known where all GPUs are of one model, and so many of them were measured."""
    devices = parts(recording.section(found, "numbers").get("devices")) or parts(
        recording.section(found, "cuda").get("devices")
    )
    known = [models.find(str(one.get("name") or ""), number(one, "memory") or 0.0) for one in devices]
    model = known[0] if known and all(one == known[0] for one in known) else None
    if model is None or count not in model.bus:
        return None
    part_of = thresholds.of("fail_bus_part", wanted)
    what = f"the {model.bus[count]:g} GB/s of {count} × {model.name}"
    return Peak(value=model.bus[count], what=what, source=model.source, fail=part_of, warn=part_of)


def _failed(links: Mapping[str, Any], backend: str) -> Finding:
    said = str(links.get("problem") or "no result")
    shm, settings = number(links, "shm"), part(links.get("environment"))
    if shm is not None and shm < SHM:
        advice = f"Its shared memory (/dev/shm) has {shm / 10**6:.0f} MB: start the container with --shm-size=1g or more, or set NCCL_SHM_DISABLE=1."
    elif "NCCL_P2P_DISABLE" in settings:
        advice = "Run it with NCCL_DEBUG=INFO on the host, and see which connection fails."
    else:
        advice = "Set NCCL_P2P_DISABLE=1, which pairs of GeForce GPUs need; with NCCL_DEBUG=INFO it says which connection fails."
    return Finding(
        name=VALUES,
        verdict="FAIL",
        value=said,
        expected="all GPUs add up a tensor together",
        source=f"{backend}, all_reduce",
        reason="Training on several GPUs does not work on this machine.",
        advice=advice,
    )


def _pairs(links: Mapping[str, Any]) -> list[Any]:
    """Pairs of GPUs that reach each other's memory."""
    pairs = links.get("peers")
    return pairs if isinstance(pairs, list) else []
