"""The kernel's log: errors of GPUs, of switches and of the machine."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.health import kernel_log
from gpurig.health.finding import Finding, Platform
from tests.unit.recordings import GEFORCE, by_name, run, smi, wanted


class TestKernelLog:
    def judge(
        self, *lines: str, platform: Platform = "native", policy: dict[str, float] | None = None, **more: Any
    ) -> dict[str, Finding]:
        log = {"how": "journalctl", "lines": 900, **run("\n".join(lines)), **more}
        found = {"kernel_log": log, **smi({**GEFORCE, "pci.bus_id": "00000000:0C:00.0"})}
        return by_name(kernel_log.judge(found, wanted(platform, policy=policy or {})))

    def test_nothing_found_is_fine_where_the_log_can_be_read(self) -> None:
        assert self.judge()["Xid errors"].verdict == "PASS"
        assert self.judge(platform="container")["Xid errors"].verdict == "SKIP"
        assert self.judge(platform="wsl2")["Xid errors"].verdict == "SKIP"
        assert self.judge(code=1, err="Operation not permitted")["Xid errors"].verdict == "SKIP"
        assert self.judge(lines=0)["Xid errors"].verdict == "SKIP"

    @pytest.mark.parametrize("number", [13, 31, 43, 45, 63, 68, 92, 94, 109, 121])
    def test_errors_of_programs_are_warnings(self, number: int) -> None:
        line = f"NVRM: Xid (PCI:0000:0c:00): {number}, pid=12, name=python3, something"
        assert self.judge(line)[f"Xid {number}, GPU 0"].verdict == "WARN"

    @pytest.mark.parametrize("number", [63, 92])
    def test_a_corrected_error_of_memory_asks_for_a_reset_and_blames_no_program(self, number: int) -> None:
        said = self.judge(f"NVRM: Xid (PCI:0000:0c:00): {number}, pid=12, name=python3, x")[f"Xid {number}, GPU 0"]
        assert said.advice.startswith("Reset the GPU")
        assert "program" not in said.reason + said.advice

    @pytest.mark.parametrize("number", [48, 62, 64, 74, 79, 95, 119, 120, 140, 154])
    def test_errors_of_the_hardware_fail(self, number: int) -> None:
        finding = self.judge(f"NVRM: Xid (PCI:0000:0c:00): {number}, pid='<unknown>', name=<unknown>")[
            f"Xid {number}, GPU 0"
        ]
        assert finding.verdict == "FAIL"
        assert finding.reason

    def test_a_contained_error_asks_for_the_program_to_be_restarted(self) -> None:
        assert "Restart the program" in self.judge("NVRM: Xid (PCI:0000:0c:00): 94, pid=12, x")["Xid 94, GPU 0"].advice

    @pytest.mark.parametrize("number", [144, 145, 146, 147, 148, 149, 150])
    def test_errors_of_nvlink_5_fail_where_they_are_fatal(self, number: int) -> None:
        line = f"NVRM: Xid (PCI:0000:0c:00): {number}, UNIT {{}} XC0 i0 Link 00 (0x00000004 0x00000000)"
        name = f"Xid {number}, GPU 0"
        assert self.judge(line.format("Nonfatal"))[name].verdict == "WARN"
        assert self.judge(line.format("Fatal"), line.format("Nonfatal"))[name].verdict == "FAIL"

    def test_a_gpu_that_has_recovered_is_no_failure(self) -> None:
        line = "NVRM: Xid (PCI:0000:0c:00): 154, GPU recovery action changed from {} to {}"
        asks, fine = "0x1 (GPU Reset Required)", "0x0 (None)"
        name = "Xid 154, GPU 0"
        assert self.judge(line.format(fine, asks), line.format(asks, fine))[name].verdict == "WARN"
        assert self.judge(line.format(asks, fine), line.format(fine, asks))[name].verdict == "FAIL"

    def test_an_unknown_number_is_a_warning(self) -> None:
        assert self.judge("NVRM: Xid (PCI:0000:0c:00): 999, something")["Xid 999, GPU 0"].verdict == "WARN"

    def test_a_function_in_the_address_is_understood(self) -> None:
        assert "Xid 31, GPU 0" in self.judge("NVRM: Xid (PCI:0000:0c:00.0): 31, pid=1, name=x")

    def test_one_process_counts_once(self) -> None:
        line = "NVRM: Xid (PCI:0000:0c:00): 31, pid={}, name=python3, Ch 00000008"
        assert self.judge(line.format(1), line.format(1), line.format(2))["Xid 31, GPU 0"].figure == 2

    def test_another_container_s_gpu_is_none_of_ours(self) -> None:
        line = "NVRM: Xid (PCI:0000:5d:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
        assert self.judge(line, platform="container")["Xid errors"].verdict == "SKIP"
        assert self.judge(line)["Xid 79, GPU at 0000:5d:00"].verdict == "FAIL"

    def test_switches(self) -> None:
        fatal = "nvidia-nvswitch0: SXid (PCI:0000:0a:00.0): 20034, Fatal, Link 30 LTSSM Fault Up"
        other = (
            "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)"
        )
        found = self.judge(fatal, other)
        assert (found["SXid 20034, fatal"].verdict, found["SXid 12028, non-fatal"].verdict) == ("FAIL", "WARN")

    @pytest.mark.parametrize(
        ("line", "verdict"),
        [
            ("NVRM: API mismatch: the client has the version 580.95.05, but", "FAIL"),
            ("NVRM: GPU 0000:0c:00.0: RmInitAdapter failed! (0x24:0xffff:1220)", "FAIL"),
            ("NVRM: fallen off the bus and is not responding to commands.", "FAIL"),
            ("pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error received: 0000:0c:00.0", "WARN"),
            ("EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#0_DIMM#0", "WARN"),
            ("mce: [Hardware Error]: Machine check events logged", "WARN"),
            ("Out of memory: Killed process 12 (python3) total-vm:1kB", "WARN"),
        ],
    )
    def test_other_lines(self, line: str, verdict: str) -> None:
        bad = [finding for finding in self.judge(line).values() if finding.verdict != "PASS"]
        assert [finding.verdict for finding in bad] == [verdict]

    def test_a_narrow_slot_is_seen_at_the_start_and_a_slow_one_is_normal_then(self) -> None:
        said = "pci 0000:0c:00.0: 63.0 Gb/s available PCIe bandwidth, limited by {} link at 0000:00:01.0 (capable of 252.0 Gb/s with 16.0 GT/s PCIe x16 link)"
        assert self.judge(said.format("16.0 GT/s PCIe x4"))["GPU 0: PCIe lanes at the start"].verdict == "WARN"
        assert "GPU 0: PCIe lanes at the start" not in self.judge(said.format("2.5 GT/s PCIe x16"))

    @pytest.mark.parametrize(("least", "verdict"), [(4, "PASS"), (8, "WARN"), (0, "WARN")])
    def test_a_narrow_slot_that_the_user_accepts_is_no_warning(self, least: int, verdict: str) -> None:
        said = "pci 0000:0c:00.0: 63.0 Gb/s available PCIe bandwidth, limited by 16.0 GT/s PCIe x4 link at 0000:00:01.0 (capable of 252.0 Gb/s with 16.0 GT/s PCIe x16 link)"
        found = self.judge(said, policy={"min_pcie_width": least})["GPU 0: PCIe lanes at the start"]
        assert found.verdict == verdict
