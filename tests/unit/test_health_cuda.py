"""CUDA without PyTorch: the probe with no libcuda and with a simulated one that fails in every way, and what is made of its words."""

from __future__ import annotations

import array
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpurig.health import cuda, probes
from gpurig.health.finding import Finding, Wanted
from gpurig.health.probes import cuda as probe
from gpurig.verdict import overall
from tests.unit.simulated_ptx import Gpu

HERE = Path(__file__).parent
ARCHITECTURES = ("sm_75", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")

Run = Callable[..., dict[str, Any]]


def findings(section: dict[str, Any], *, count: int | None = None, smi: str = "") -> dict[str, Finding]:
    recording = {"cuda": section, "smi": {"list": {"code": 0, "out": smi, "err": "", "seconds": 0.1}}}
    return {one.name: one for one in cuda.judge(recording, Wanted(platform="native", count=count))}


def verdict(section: dict[str, Any], **keys: Any) -> str:
    return overall(one.verdict for one in findings(section, **keys).values())


def healthy(count: int = 1) -> dict[str, Any]:
    device = {"name": "NVIDIA GeForce RTX 4090", "memory": 25386352640, "capability": "8.9", "problem": "", "code": 0}
    devices = [{"index": index, **device, "elements": 262144, "right": 262144} for index in range(count)]
    return {"visible": None, "version": 13000, "count": count, "problem": "", "code": 0, "step": "", "devices": devices}


class TestJudgement:
    def test_healthy(self) -> None:
        found = findings(healthy(2), count=2)
        assert {one.verdict for one in found.values()} == {"PASS"}
        assert found["CUDA: start"].value == "driver for CUDA 13.0"
        assert found["CUDA: GPUs"].figure == 2

    def test_one_wrong_integer_fails(self) -> None:
        section = healthy()
        section["devices"][0]["right"] -= 1
        kernel = findings(section)["GPU 0: a CUDA kernel"]
        assert kernel.verdict == "FAIL"
        assert kernel.value.startswith("262143 of 262144 integers right")
        assert "replaced" in kernel.advice

    @pytest.mark.parametrize(
        "lacking",
        [
            {"right": None},
            {"elements": 0, "right": 0},
            {"elements": None},
            {"problem": "cuMemAlloc_v2 failed", "code": 2},
        ],
    )
    def test_a_kernel_without_a_result_fails(self, lacking: dict[str, Any]) -> None:
        section = healthy()
        section["devices"][0].update(lacking)
        assert findings(section)["GPU 0: a CUDA kernel"].verdict == "FAIL"

    def test_so_does_a_gpu_of_which_nothing_is_said(self) -> None:
        assert findings({**healthy(2), "devices": healthy()["devices"]})["GPU 1: a CUDA kernel"].verdict == "FAIL"

    @pytest.mark.parametrize("count", [0, None])
    def test_no_gpu_fails_even_where_starting_worked(self, count: int | None) -> None:
        assert verdict({**healthy(), "count": count, "devices": []}) == "FAIL"

    @pytest.mark.parametrize(
        ("code", "meaning", "advice"),
        [
            (802, "the fabric manager of its NVLink switches does not run", "Fabric Manager"),
            (803, "its driver and its CUDA library do not match", "Reboot"),
            (999, "often a kernel module is missing", "modprobe nvidia_uvm"),
            (100, "no GPU", "ls /dev/nvidia*"),
            (12345, "(code 12345)", "kernel's log"),
        ],
    )
    def test_codes_are_explained(self, code: int, meaning: str, advice: str) -> None:
        start = findings({"problem": "cuInit failed", "code": code, "count": None, "devices": []})["CUDA: start"]
        assert start.verdict == "FAIL"
        assert meaning in start.value
        assert advice in start.advice

    def test_a_hang_is_told_from_an_error(self) -> None:
        start = findings({"problem": "no answer within 90 s, at cuInit", "code": 0, "devices": []})["CUDA: start"]
        assert (start.verdict, start.reason) == ("FAIL", "The driver hangs.")

    def test_fewer_gpus_than_wanted(self) -> None:
        assert findings(healthy(7), count=8)["CUDA: GPUs"].verdict == "FAIL"
        assert findings(healthy(7), count=8)["CUDA: GPUs"].reason.startswith("CUDA does not see")
        more = findings({**healthy(2), "visible": "0,1"}, count=1)["CUDA: GPUs"]
        assert (more.verdict, more.reason) == ("FAIL", "CUDA sees more GPUs than there should be.")
        assert "`count` of the host's entry" in more.advice

    def test_fewer_than_nvidia_smi_lists(self) -> None:
        listed = "GPU 0: NVIDIA A (UUID: GPU-1)\n  MIG 1g.10gb Device 0: (UUID: MIG-1)\nGPU 1: NVIDIA A (UUID: GPU-2)\n"
        assert findings(healthy(2), smi=listed)["CUDA: GPUs"].verdict == "PASS"
        assert findings(healthy(1), smi=listed)["CUDA: GPUs"].verdict == "FAIL"

    def test_hidden_gpus_are_explained(self) -> None:
        assert "CUDA_VISIBLE_DEVICES=0 is set" in findings({**healthy(), "visible": "0"}, count=2)["CUDA: GPUs"].advice

    def test_what_was_not_taken_is_skipped(self) -> None:
        (start,) = cuda.judge({"cuda": {"skipped": "there is no Python"}}, Wanted(platform="native"))
        assert (start.verdict, start.reason) == ("SKIP", "there is no Python")

    @pytest.mark.parametrize(
        "damaged", [{"count": "two"}, {"count": 1, "devices": "x"}, {"count": 1, "devices": [None, 3]}]
    )
    def test_what_is_damaged_fails(self, damaged: dict[str, Any]) -> None:
        assert verdict(damaged) == "FAIL"


class TestKernel:
    def test_its_text_computes_what_is_expected(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probe, "ROUNDS", 7)
        sent = array.array("I", os.urandom(12 * probe.THREADS))
        start = 0x7F00000000
        gpu = Gpu(probe.KERNEL, {start + 4 * place: x for place, x in enumerate(sent)})
        gpu.launch(3, probe.THREADS, {"values": start, "rounds": 7})
        assert list(gpu.memory.values()) == probe.expected(sent)

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_ptxas_accepts_it(self, architecture: str, tmp_path: Path) -> None:
        ptxas = shutil.which("ptxas", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
        if ptxas is None:
            pytest.skip("no ptxas here; it comes with CUDA's toolkit")
        (tmp_path / "mix.ptx").write_text(probe.KERNEL)
        command = [ptxas, f"-arch={architecture}", "mix.ptx", "-o", "mix.cubin"]
        subprocess.run(command, cwd=tmp_path, check=True)


@pytest.fixture(scope="module")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a simulated libcuda.so.1."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc here, and the simulated libcuda is written in C")
    folder = tmp_path_factory.mktemp("libcuda")
    source = HERE / "simulated_libcuda.c"
    command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([*command, str(source), "-o", str(folder / "libcuda.so.1")], check=True)
    return folder


@pytest.fixture
def run(libcuda: Path) -> Run:
    """The probe as it is sent to a host, beside the simulated libcuda."""

    def take(fault: str = "", count: int = 2, seconds: float = 60.0) -> dict[str, Any]:
        text = probes.script("cuda")
        assert "SECONDS = 90.0" in text
        done = subprocess.run(
            [sys.executable, "-"],
            input=text.replace("SECONDS = 90.0", f"SECONDS = {seconds}"),
            env={"LD_LIBRARY_PATH": str(libcuda), "SIMULATED_FAULT": fault, "SIMULATED_COUNT": str(count)},
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(json.loads(done.stdout))

    return take


class TestProbe:
    def test_without_a_driver(self) -> None:
        done = subprocess.run(
            [sys.executable, "-"], input=probes.script("cuda"), capture_output=True, text=True, check=True
        )
        section = json.loads(done.stdout)
        if not section["problem"]:
            pytest.skip("this machine has a GPU")
        assert "libcuda.so.1" in section["problem"]
        assert verdict(section) == "FAIL"

    def test_healthy(self, run: Run) -> None:
        section = run()
        assert verdict(section, count=2) == "PASS"
        assert [(one["name"], one["capability"], one["bus"]) for one in section["devices"]] == [
            ("Simulated GPU 0", "8.9", "0000:01:00.0"),
            ("Simulated GPU 1", "8.9", "0000:02:00.0"),
        ]

    @pytest.mark.parametrize(
        ("fault", "name", "said"),
        [
            ("wrong", "GPU 1: a CUDA kernel", "262143 of 262144 integers right"),
            ("untouched", "GPU 0: a CUDA kernel", "0 of 262144 integers right"),
            ("code:cuInit:802", "CUDA: start", "cuInit failed with CUDA_ERROR_802 (code 802, not ready"),
            ("code:cuInit:803", "CUDA: start", "cuInit failed with CUDA_ERROR_803 (code 803, its driver"),
            ("code:cuInit:999", "CUDA: start", "cuInit failed with CUDA_ERROR_999 (code 999, unknown"),
            (
                "code:cuCtxSynchronize:719",
                "GPU 0: a CUDA kernel",
                "cuCtxSynchronize failed with CUDA_ERROR_719 (code 719)",
            ),
            (
                "code:cuMemAlloc_v2:2",
                "GPU 1: a CUDA kernel",
                "cuMemAlloc_v2 failed with CUDA_ERROR_2 (code 2, out of memory)",
            ),
            ("crash:cuLaunchKernel", "GPU 0: a CUDA kernel", "it crashed at cuLaunchKernel (signal 11)"),
            ("lupine", "CUDA: start", "cuDeviceGetCount failed with CUDA_ERROR_46"),
        ],
    )
    def test_faults_are_found(self, run: Run, fault: str, name: str, said: str) -> None:
        found = findings(run(fault))
        assert found[name].verdict == "FAIL"
        assert found[name].value.startswith(said)

    def test_a_driver_that_starts_without_a_gpu_fails(self, run: Run) -> None:
        section = run(count=0)
        assert (section["problem"], section["count"]) == ("", 0)
        assert findings(section)["CUDA: GPUs"].verdict == "FAIL"

    @pytest.mark.parametrize(
        ("function", "name"), [("cuInit", "CUDA: start"), ("cuCtxSynchronize", "GPU 0: a CUDA kernel")]
    )
    def test_a_driver_that_hangs_is_left_behind(self, run: Run, function: str, name: str) -> None:
        start = time.monotonic()
        found = findings(run(f"hang:{function}", seconds=3.0))[name]
        assert time.monotonic() - start < 20
        assert (found.verdict, found.value) == ("FAIL", f"no answer within 3 s, at {function}")
