"""What the machine lets programs have: shared memory, open files, locked memory, and GPUs in containers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.health import recording, thresholds
from gpurig.health.finding import Finding, Wanted
from gpurig.verdict import Verdict

GB = 10**9

GROW = {
    "native": "Run `mount -o remount,size=50% /dev/shm` on the host.",
    "container": "Start the container with `--shm-size=8g` or `--ipc=host`; where the vendor does not let you, use "
    "`num_workers=0` and NCCL_SHM_DISABLE=1.",
    "wsl2": "Give WSL more memory in %UserProfile%/.wslconfig; /dev/shm gets half of it.",
}


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Findings about the machine's limits, with a GPU or without."""
    if reason := recording.skipped(found, "limits"):
        yield Finding(name="limits", verdict="SKIP", reason=reason)
        return
    limits = recording.section(found, "limits")
    yield _shm(limits.get("shm"), wanted)
    yield _files(limits.get("nofile"), wanted)
    yield _locked(limits.get("memlock"), wanted)
    if "container_toolkit" in limits:
        yield _toolkit(limits["container_toolkit"])


def _shm(size: Any, wanted: Wanted) -> Finding:
    if not _is_size(size):
        return Finding(name="shared memory", verdict="SKIP", reason="its size cannot be told")
    gb = size / GB
    least, broken = thresholds.of("min_shm_gb", wanted), thresholds.of("broken_shm_gb", wanted)
    fails = gb <= broken.value and wanted.count != 0
    verdict: Verdict = "FAIL" if fails else "PASS" if gb >= least.value else "WARN"
    return Finding(
        name="shared memory",
        verdict=verdict,
        value=f"{gb:.3g} GB in /dev/shm",
        expected=f"{least.value:g} GB or more; {broken.value:g} GB and less fail on a host with a GPU",
        source=least.source,
        reason="" if verdict == "PASS" else "Workers of a DataLoader, and NCCL, end with a bus error when it is full.",
        advice="" if verdict == "PASS" else GROW[wanted.platform],
        figure=gb,
        unit="GB",
    )


def _files(limit: Any, wanted: Wanted) -> Finding:
    soft, hard = _pair(limit)
    if hard is None:
        return Finding(name="open files", verdict="SKIP", reason="its limit cannot be told")
    least = thresholds.of("min_open_files", wanted)
    fine = hard >= least.value
    return Finding(
        name="open files",
        verdict="PASS" if fine else "WARN",
        value=f"{_count(soft)}, raised to {_count(hard)} by a program that asks",
        expected=f"{least.value:g} or more",
        source=least.source,
        reason="" if fine else "Workers of a DataLoader end with `Too many open files`.",
        advice="" if fine else "Raise nofile in /etc/security/limits.d on the host.",
    )


def _locked(limit: Any, wanted: Wanted) -> Finding:
    _, hard = _pair(limit)
    if hard is None:
        return Finding(name="locked memory", verdict="SKIP", reason="its limit cannot be told")
    least = thresholds.of("min_memlock_gb", wanted)
    fine = hard >= least.value * GB
    return Finding(
        name="locked memory",
        verdict="PASS" if fine else "WARN",
        value=_count(hard) + " bytes" * (hard != float("inf")),
        expected=f"{least.value * GB:g} bytes or more; unlimited for RDMA",
        source=least.source,
        reason="" if fine else "Libraries that lock memory, as for RDMA, fail.",
        advice="" if fine else "Raise memlock in /etc/security/limits.d on the host.",
    )


def _toolkit(outcome: Any) -> Finding:
    name = "GPUs in containers"
    if outcome is None:
        return Finding(name=name, verdict="SKIP", reason="NVIDIA's container toolkit is not installed")
    run = recording.run_of(outcome)
    devices = re.findall(r"nvidia\.com/gpu=\S+", run.out)
    fine = run.code == 0 and bool(devices)
    return Finding(
        name=name,
        verdict="PASS" if fine else "WARN",
        value=", ".join(devices[:10]) if devices else run.words,
        expected="nvidia.com/gpu=all and so on, by `nvidia-ctk cdi list`",
        source="NVIDIA, container toolkit: CDI",
        reason="" if fine else "Podman and Docker find no GPU by CDI.",
        advice="" if fine else "Run `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` on the host.",
    )


def _pair(limit: Any) -> tuple[float | None, float | None]:
    """Soft and hard limit; infinity for `unlimited`, None where it is not told."""
    if not isinstance(limit, Mapping):
        return None, None
    soft, hard = (float("inf") if limit.get(key) == "unlimited" else limit.get(key) for key in ("soft", "hard"))
    return soft if _is_size(soft) else None, hard if _is_size(hard) else None


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _count(value: float | None) -> str:
    return "?" if value is None else "unlimited" if value == float("inf") else f"{value:.0f}"
