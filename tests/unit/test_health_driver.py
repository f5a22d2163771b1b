"""Device nodes, driver and limits: what verification makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpurig.health import devices, driver, layers, limits
from gpurig.health.finding import Finding, Platform, Wanted
from gpurig.health.probes import machine
from tests.unit.recordings import GEFORCE, SERVER, by_name, run, smi, wanted


class TestDevices:
    ALL = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm")

    def judge(self, *nodes: str, platform: Platform = "native", **more: Any) -> dict[str, str]:
        found = {"devices": {"nodes": list(nodes), "libcuda": "/usr/lib/libcuda.so.1", "module": "580.95.05", **more}}
        return {finding.name: finding.verdict for finding in devices.judge(found, wanted(platform))}

    def test_all_there(self) -> None:
        assert set(self.judge(*self.ALL).values()) == {"PASS"}

    def test_the_node_of_cudas_memory_is_made_when_needed_except_in_a_container(self) -> None:
        assert self.judge(*self.ALL[:2])["node of CUDA's memory"] == "SKIP"
        assert self.judge(*self.ALL[:2], platform="container")["node of CUDA's memory"] == "FAIL"

    def test_wsl2_has_other_nodes_and_no_module(self) -> None:
        library = "/usr/lib/wsl/lib/libcuda.so.1"
        assert set(self.judge("/dev/dxg", platform="wsl2", libcuda=library, module="").values()) == {"PASS"}
        assert self.judge(*self.ALL, platform="wsl2")["device nodes"] == "FAIL"

    def test_a_package_may_hide_windows_library(self) -> None:
        assert self.judge("/dev/dxg", platform="wsl2")["CUDA's library"] == "WARN"

    @pytest.mark.parametrize(
        ("platform", "devices_", "verdict"),
        [
            ("native", {}, "SKIP"),
            ("native", {"pci": ["nouveau"]}, "WARN"),
            ("native", {"pci": ["vfio-pci"]}, "SKIP"),  # a virtual machine's
            ("native", {"nodes": ["/dev/nvidia0", "/dev/nvidiactl"]}, "WARN"),
            ("container", {"nodes": ["/dev/nvidia0"]}, "WARN"),
            ("container", {"pci": ["nvidia"]}, "SKIP"),  # the machine's, and not given to it
            ("wsl2", {"nodes": ["/dev/dxg"]}, "SKIP"),  # of any maker
            ("wsl2", {"nodes": ["/dev/dxg"], "libcuda": "/usr/lib/wsl/lib/libcuda.so.1"}, "WARN"),
        ],
    )
    def test_a_gpu_that_nobody_asked_for_is_told(
        self, platform: Platform, devices_: dict[str, Any], verdict: str
    ) -> None:
        readings = {"devices": {"nodes": [], "libcuda": None, "module": "", "pci": [], **devices_}}
        [said] = layers.judge(readings, wanted(platform, count=0))["devices"]
        assert said.verdict == verdict
        assert "`gpu_driver` is none" in said.reason
        assert ("gpu_driver: " in said.advice) == (verdict == "WARN")

    def test_nvidias_gpus_on_the_pci_bus_are_counted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not their sound, not another maker's, not a virtual part of one."""
        bus = tmp_path / "bus"
        for place, kind, vendor, bound in (
            ("0000:01:00.0", "0x030000", "0x10de", "nvidia"),
            ("0000:01:00.1", "0x040300", "0x10de", "snd_hda_intel"),
            ("0000:02:00.0", "0x030200", "0x10de", ""),
            ("0000:02:00.4", "0x030200", "0x10de", "virtual"),
            ("0000:00:02.0", "0x030000", "0x8086", "i915"),
        ):
            (bus / place).mkdir(parents=True)
            (bus / place / "class").write_text(f"{kind}\n")
            (bus / place / "vendor").write_text(f"{vendor}\n")
            if bound:
                (bus / place / "driver").symlink_to(f"../../drivers/{bound}")
        (bus / "0000:02:00.4" / "physfn").mkdir()
        monkeypatch.setattr(machine, "PCI", str(bus))
        assert machine.devices()["pci"] == ["nvidia", ""]

    def test_without_library_nothing_works(self) -> None:
        assert self.judge(*self.ALL, libcuda=None)["CUDA's library"] == "FAIL"


class TestDriver:
    def judge(self, found: dict[str, Any], of: Wanted | None = None) -> dict[str, Finding]:
        return by_name(driver.judge(found, of or wanted()))

    @pytest.mark.parametrize(
        ("code", "said", "meaning"),
        [
            (18, "Failed to initialize NVML: Driver/library version mismatch", "old one is still loaded"),
            (255, "Failed to initialize NVML: Driver/library version mismatch", "old one is still loaded"),
            (6, "No devices were found", "sees no GPU"),
            (0, "", None),
            (15, "Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.", "fell off the bus"),
            (16, "", "must be reset"),
            (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "not loaded"),
            (12, "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", "library is missing"),
            (4, "Insufficient Permissions", "closed to this user"),
            (77, "what nobody knows", "It failed"),
        ],
    )
    def test_what_nvidia_smi_says_is_explained(self, code: int, said: str, meaning: str | None) -> None:
        answer = self.judge(smi(GEFORCE, listed=run("GPU 0: x" if code == 0 else "", code, said)))["nvidia-smi"]
        assert answer.verdict == ("PASS" if meaning is None else "FAIL")
        assert (meaning or "") in answer.reason

    def test_no_answer_is_a_failure(self) -> None:
        silent = run(code=None, err="nvidia-smi gave no answer within 30 s")
        answer = self.judge({"smi": {"list": silent, "query": silent, "fields": []}})["nvidia-smi"]
        assert (answer.verdict, answer.value) == ("FAIL", "nvidia-smi gave no answer within 30 s")

    def test_a_damaged_record_of_settings_is_a_warning_where_the_gpu_works(self) -> None:
        listed = run("GPU 0: NVIDIA L4 (UUID: GPU-1)\n", 14, "WARNING: infoROM is corrupted at gpu 0000:01:00.0")
        assert self.judge(smi(GEFORCE, listed=listed))["nvidia-smi"].verdict == "WARN"

    @pytest.mark.parametrize(("count", "verdict"), [(2, "PASS"), (1, "FAIL"), (4, "FAIL"), (None, "PASS")])
    def test_the_number_of_gpus(self, count: int | None, verdict: str) -> None:
        assert self.judge(smi(GEFORCE, GEFORCE), wanted(count=count))["GPUs"].verdict == verdict

    @pytest.mark.parametrize(
        ("pci", "platform", "count", "verdict"),
        [
            (["nvidia"], "native", None, "PASS"),
            (["nvidia", "nvidia"], "native", None, "FAIL"),
            (["nvidia", "", "nouveau"], "native", None, "FAIL"),
            (["nvidia", "vfio-pci"], "native", None, "PASS"),  # lent to a virtual machine
            (["nvidia", "nvidia"], "native", 1, "WARN"),  # the user knows of one only
            (["nvidia", "nvidia"], "container", None, None),
            ([], "native", None, None),
            (None, "native", None, None),
        ],
    )
    def test_as_many_as_the_bus_has(
        self, pci: list[str] | None, platform: Platform, count: int | None, verdict: str | None
    ) -> None:
        found = {**smi(GEFORCE), "devices": {"module": "", "pci": pci}}
        said = self.judge(found, wanted(platform, count=count)).get("GPUs on the PCI bus")
        assert (said and said.verdict) == verdict

    def test_module_and_libraries_are_of_one_version(self) -> None:
        found = {**smi(GEFORCE), "devices": {"module": "570.133.20"}}
        assert self.judge(found)["driver's version"].verdict == "FAIL"
        assert by_name(driver.judge(found, wanted("wsl2")))["driver's version"].verdict == "PASS"

    @pytest.mark.parametrize(
        ("gpu", "verdict"), [("RTX 3090", "PASS"), ("RTX 3090 Ti", "FAIL"), ("RTX 4090", "FAIL"), (None, "SKIP")]
    )
    def test_the_model(self, gpu: str | None, verdict: str) -> None:
        assert self.judge(smi(GEFORCE), wanted(gpu=gpu))["GPU 0: model"].verdict == verdict

    def test_sizes_of_one_name_are_told_apart(self) -> None:
        small = {"name": "NVIDIA A100-SXM4-40GB", "memory.total": "40960"}
        assert self.judge(smi(small), wanted(gpu="A100 80GB"))["GPU 0: model"].verdict == "FAIL"
        assert self.judge(smi(small), wanted(gpu="A100 40GB"))["GPU 0: model"].verdict == "PASS"

    def test_a_slice_has_too_little_memory(self) -> None:
        assert (
            self.judge(smi({**SERVER, "memory.total": "9856"}), wanted(gpu="H100"))["GPU 0: memory"].verdict == "FAIL"
        )
        assert self.judge(smi(SERVER), wanted(gpu="H100"))["GPU 0: memory"].verdict == "PASS"

    @pytest.mark.parametrize(
        ("name", "mib", "ecc", "verdict"),
        [
            ("NVIDIA GeForce RTX 3090", 24564, "[N/A]", "PASS"),
            ("NVIDIA GeForce RTX 3090", 23348, "[N/A]", "PASS"),
            ("NVIDIA GeForce RTX 3090", 23340, "[N/A]", "FAIL"),
            ("NVIDIA L4", 23034, "Enabled", "PASS"),
            ("NVIDIA L4", 21880, "Enabled", "FAIL"),
            ("NVIDIA L4", 23034, "Disabled", "FAIL"),
            ("NVIDIA H100 80GB HBM3", 81559, "Enabled", "PASS"),
            ("NVIDIA H100 80GB HBM3", 77800, "Enabled", "FAIL"),
        ],
    )
    def test_memory_is_counted_in_gib_less_what_ecc_takes(self, name: str, mib: int, ecc: str, verdict: str) -> None:
        found = smi({"name": name, "memory.total": f"{mib}", "ecc.mode.current": ecc})
        assert self.judge(found)["GPU 0: memory"].verdict == verdict

    @pytest.mark.parametrize(
        ("name", "gpu", "verdict", "value"),
        [
            ("NVIDIA H100 PCIe", "H100", "WARN", "NVIDIA H100 PCIe (PCIe form)"),
            ("NVIDIA H200 NVL", "H200", "WARN", "NVIDIA H200 NVL (NVL form)"),
            ("NVIDIA A100 80GB PCIe", "A100 80GB", "PASS", "NVIDIA A100 80GB PCIe (PCIe form)"),
            ("NVIDIA H100 80GB HBM3", "H100", "PASS", "NVIDIA H100 80GB HBM3"),
            ("NVIDIA H100 PCIe", "H200", "FAIL", "NVIDIA H100 PCIe (PCIe form)"),
        ],
    )
    def test_a_slower_form_of_the_model_is_seen(self, name: str, gpu: str, verdict: str, value: str) -> None:
        mib = {"A100": "81920", "H100": "81559", "H200": "143771"}[name.split()[1]]
        model = self.judge(smi({"name": name, "memory.total": mib}), wanted(gpu=gpu))["GPU 0: model"]
        assert (model.verdict, model.value) == (verdict, value)

    def test_an_unknown_model_is_reported_without_a_verdict(self) -> None:
        memory = self.judge(smi({"name": "NVIDIA Z9000", "memory.total": "1000"}))["GPU 0: memory"]
        assert (memory.verdict, memory.value) == ("SKIP", "1.0 GB")
        assert memory.figure == pytest.approx(1.048576)


class TestLimits:
    def judge(self, of: Wanted | None = None, **more: Any) -> dict[str, str]:
        pair = {"soft": 1024, "hard": 524288}
        found = {
            "limits": {"shm": 8 * 10**9, "memlock": {"soft": 8388608, "hard": "unlimited"}, "nofile": pair, **more}
        }
        return {finding.name: finding.verdict for finding in limits.judge(found, of or wanted())}

    def test_fine(self) -> None:
        assert set(self.judge().values()) == {"PASS"}

    @pytest.mark.parametrize(
        ("size", "verdict"), [(10**9, "PASS"), (5 * 10**8, "WARN"), (64 << 20, "FAIL"), (None, "SKIP")]
    )
    def test_shared_memory(self, size: int | None, verdict: str) -> None:
        assert self.judge(shm=size)["shared memory"] == verdict

    def test_without_a_gpu_little_shared_memory_is_a_warning(self) -> None:
        assert self.judge(wanted(count=0), shm=64 << 20)["shared memory"] == "WARN"

    def test_open_files(self) -> None:
        assert self.judge(nofile={"soft": 1024, "hard": 1024})["open files"] == "WARN"

    def test_gpus_in_containers(self) -> None:
        name = "GPUs in containers"
        assert self.judge(container_toolkit=None)[name] == "SKIP"
        assert self.judge(container_toolkit=run("nvidia.com/gpu=0\nnvidia.com/gpu=all\n"))[name] == "PASS"
        assert self.judge(container_toolkit=run('level=info msg="Found 0 CDI devices"'))[name] == "WARN"
