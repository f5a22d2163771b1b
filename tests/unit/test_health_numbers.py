"""What is made of PyTorch's results. The probe itself runs in the environments' end-to-end test, where there is a PyTorch."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest

from gpurig.health import numbers, probes
from gpurig.health.finding import Finding, Wanted
from gpurig.verdict import overall

OUTCOME = {"elements": 4194304, "wrong": 0}
DEVICE: dict[str, Any] = {
    "index": 0,
    "name": "NVIDIA GeForce RTX 4090",
    "capability": "8.9",
    "memory": 25386352640,
    "free": 24900000000,
    "problem": "",
    "kernel": 16.0,
    "exact": {"fp32": OUTCOME, "fp16": OUTCOME, "bf16": OUTCOME},
    "repeats": {"fp32": {"times": 20, "different": 0}, "bf16": {"times": 20, "different": 0}},
    "against": {
        "fp32": {"frobenius": 2.5e-7, "largest": 4e-7, "finite": True},
        "tf32": {"frobenius": 3e-4, "largest": 4e-4, "finite": True},
        "fp16": {"frobenius": 2.1e-4, "largest": 3e-4, "finite": True},
        "bf16": {"frobenius": 1.7e-3, "largest": 2.9e-3, "finite": True},
    },
}
HEALTHY: dict[str, Any] = {
    "python": "3.11.14",
    "torch": "2.14.1+cu130",
    "cuda": "13.0",
    "device": "cuda",
    "problem": "",
    "arch_list": ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"],
    "devices": [DEVICE],
}


def findings(
    section: dict[str, Any], count: int | None = 1, policy: dict[str, Any] | None = None
) -> dict[str, Finding]:
    recording = {"numbers": section, "cuda": {"count": count}}
    found = list(numbers.judge(recording, Wanted(platform="native", policy=policy or {})))
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def changed(path: str, value: Any) -> dict[str, Any]:
    """A healthy section, but for one value of its device: `exact.fp32.wrong`."""
    section = copy.deepcopy(HEALTHY)
    place: Any = section["devices"][0]
    *way, last = path.split(".")
    for key in way:
        place = place[key]
    place[last] = value
    return section


def failing(section: dict[str, Any], **keys: Any) -> list[str]:
    return [name for name, one in findings(section, **keys).items() if one.verdict == "FAIL"]


def test_healthy() -> None:
    found = findings(HEALTHY)
    assert {one.verdict for one in found.values()} == {"PASS"}
    assert found["GPU 0: fp32 against the CPU"].figure == 4e-7


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("kernel", 15.0, "GPU 0: a kernel of PyTorch's"),
        ("kernel", None, "GPU 0: a kernel of PyTorch's"),
        ("exact.fp32", {"elements": 4194304, "wrong": 1}, "GPU 0: products of integers"),
        ("exact.bf16", {"elements": 4194304, "wrong": 1}, "GPU 0: products of integers"),
        ("exact.fp16", {}, "GPU 0: products of integers"),
        ("exact.fp16", {"elements": 0, "wrong": 0}, "GPU 0: products of integers"),
        ("exact", {}, "GPU 0: products of integers"),
        ("repeats.bf16.different", 1, "GPU 0: repeated products"),
        ("repeats.fp32.times", 0, "GPU 0: repeated products"),
        ("repeats", {}, "GPU 0: repeated products"),
        ("against.fp32.frobenius", 2e-5, "GPU 0: fp32 against the CPU"),
        ("against.fp32.largest", 2e-5, "GPU 0: fp32 against the CPU"),
        ("against.tf32.frobenius", 3e-3, "GPU 0: tf32 against the CPU"),
        ("against.fp16.frobenius", 3e-3, "GPU 0: fp16 against the CPU"),
        ("against.bf16.frobenius", 2e-2, "GPU 0: bf16 against the CPU"),
        ("against.bf16", {"frobenius": None, "largest": None, "finite": False}, "GPU 0: bf16 against the CPU"),
        ("against.bf16.finite", False, "GPU 0: bf16 against the CPU"),
        ("against.fp16", {}, "GPU 0: fp16 against the CPU"),
        ("problem", "CUDA error: no kernel image is available for execution on the device", "GPU 0: PyTorch"),
    ],
)
def test_each_wrong_result_fails_under_its_name(path: str, value: Any, name: str) -> None:
    section = changed(path, value)
    assert failing(section) == [name]
    found = findings(section)[name]
    assert found.reason
    assert found.advice
    assert found.expected
    assert found.source


def test_what_an_old_gpu_cannot_do_is_skipped() -> None:
    reason = {"skipped": "compute capability 7.5 has no bf16"}
    section = changed("exact.bf16", reason)
    section["devices"][0].update(capability="7.5")
    section["devices"][0]["against"]["bf16"] = reason
    del section["devices"][0]["repeats"]["bf16"]
    found = findings(section)
    assert overall(one.verdict for one in found.values()) == "PASS"
    assert found["GPU 0: bf16 against the CPU"].verdict == "SKIP"


def test_skipping_everything_proves_nothing() -> None:
    section = changed("exact", {key: {"skipped": "no time"} for key in ("fp32", "fp16", "bf16")})
    assert failing(section) == ["GPU 0: products of integers"]


def test_a_user_may_set_another_tolerance() -> None:
    section = changed("against.fp32.frobenius", 2e-5)
    assert failing(section, policy={"max_error_fp32": 1e-4}) == []


def test_a_build_for_the_cpu_fails_where_a_gpu_is_expected() -> None:
    section = {
        **HEALTHY,
        "torch": "2.14.1+cpu",
        "cuda": None,
        "problem": "Torch not compiled with CUDA enabled",
        "devices": [],
    }
    (found,) = findings(section).values()
    assert (found.verdict, found.value) == ("FAIL", "PyTorch 2.14.1+cpu")
    assert "rig env lock" in found.advice


@pytest.mark.parametrize(
    "section",
    [
        {**HEALTHY, "torch": None, "cuda": None, "problem": "PyTorch cannot be imported: no", "devices": []},
        {**HEALTHY, "problem": "no answer within 90 s, at PyTorch's start", "devices": []},
        {**HEALTHY, "devices": []},
        {**HEALTHY, "devices": "x"},
    ],
)
def test_a_pytorch_that_does_not_start_fails(section: dict[str, Any]) -> None:
    assert failing(section) == ["PyTorch: build"]


def test_fewer_gpus_than_cuda_sees_fail() -> None:
    assert findings(HEALTHY, count=2)["PyTorch: build"].value == "PyTorch 2.14.1+cu130: it sees 1 GPUs, CUDA sees 2"


def test_one_gpu_that_others_fill_is_skipped_with_the_reason() -> None:
    section = changed("skipped", "400 MB of its memory are free, and 1074 MB are needed")
    assert findings(section)["GPU 0: PyTorch"].verdict == "SKIP"


def test_what_was_not_taken_is_skipped() -> None:
    (found,) = findings({"skipped": "no environment has PyTorch"}).values()
    assert (found.verdict, found.reason) == ("SKIP", "no environment has PyTorch")


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ("8.9", ["sm_80", "sm_86", "sm_90"], True),  # a healthy RTX 4090: the naive test says no
        ("8.0", ["sm_86"], False),
        ("8.6", ["sm_80"], True),
        ("12.0", ["sm_80", "sm_90"], False),  # an RTX 5090 with a build for CUDA 12.4
        ("12.0", ["sm_90", "compute_90"], True),
        ("7.0", ["sm_75", "sm_80"], False),  # a V100 with a build for CUDA 13
        ("7.0", ["compute_75"], False),
        ("10.3", ["sm_100"], True),
        ("10.0", ["sm_90", "sm_120"], False),
        ("9.0", ["sm_90a"], True),
        ("10.0", ["compute_90a"], False),
        ("12.1", ["sm_120a"], False),
        ("8.9", [], False),
        ("8.9", ["gfx90a", "sm_", ""], False),
        ("", ["sm_80"], False),
    ],
)
def test_which_builds_run_on_which_gpus(capability: str, architectures: list[str], runs: bool) -> None:
    assert numbers.runs_on(capability, architectures) is runs


def test_a_gpu_without_kernels_fails_with_what_to_do() -> None:
    section = {**changed("capability", "12.0"), "arch_list": ["sm_80", "sm_90"]}
    found = findings(section)["GPU 0: PyTorch's kernels"]
    assert found.verdict == "FAIL"
    assert "CUDA 12.8" in found.advice


def test_the_probe_says_so_where_there_is_no_pytorch() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-", "--device", "cpu"],
        input=probes.script("torch_check"),
        capture_output=True,
        text=True,
        check=True,
    )
    taken = json.loads(done.stdout)
    assert set(taken) == {"numbers", "speed", "links"}
    assert taken["numbers"]["problem"].startswith("PyTorch cannot be imported")
    assert failing(taken["numbers"]) == ["PyTorch: build"]
