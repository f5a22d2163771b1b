"""What nvidia-smi tells of GPUs at rest, of their NVLinks, and of GPUs under load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytest

from gpurig.health import telemetry
from gpurig.health.finding import Finding, Platform, Wanted
from tests.unit.recordings import GEFORCE, SERVER, by_name, run, smi, wanted


def told(name: str, *gpus: Mapping[str, str], of: Wanted | None = None) -> Finding:
    return by_name(telemetry.judge(smi(*gpus), of or wanted()))[name]


class TestTelemetry:
    ECC: ClassVar = {
        **SERVER,
        "ecc.mode.current": "Enabled",
        "ecc.mode.pending": "Enabled",
        "ecc.errors.corrected.volatile.total": "0",
        "ecc.errors.uncorrected.volatile.total": "0",
        "ecc.errors.uncorrected.aggregate.total": "0",
        "remapped_rows.pending": "No",
        "remapped_rows.failure": "No",
    }

    @pytest.mark.parametrize(
        ("name", "change", "verdict"),
        [
            ("ECC", {}, "PASS"),
            ("ECC", {"ecc.mode.pending": "Disabled"}, "WARN"),
            ("ECC", {"ecc.mode.current": "Disabled", "ecc.mode.pending": "Disabled"}, "WARN"),
            ("uncorrected memory errors", {"ecc.errors.uncorrected.volatile.total": "1"}, "FAIL"),
            ("uncorrected memory errors in its life", {"ecc.errors.uncorrected.aggregate.total": "4"}, "WARN"),
            ("uncorrected memory errors in its life", {"ecc.errors.uncorrected.aggregate.sram": "4"}, "PASS"),
            ("uncorrected memory errors in its life", {"ecc.errors.uncorrected.aggregate.sram": "5"}, "FAIL"),
            ("corrected memory errors", {}, "PASS"),
            ("corrected memory errors", {"ecc.errors.corrected.volatile.total": "1"}, "WARN"),
            ("corrected memory errors", {"ecc.errors.corrected.volatile.total": "50000001"}, "FAIL"),
            ("remapped memory rows", {}, "PASS"),
            ("remapped memory rows", {"remapped_rows.pending": "Yes"}, "FAIL"),
            ("remapped memory rows", {"remapped_rows.failure": "1"}, "FAIL"),
            ("remapped memory rows", {"remapped_rows.failure": "[N/A]"}, "SKIP"),
            ("remapped memory rows", {"remapped_rows.uncorrectable": "1"}, "WARN"),
            ("memory's temperature", {"temperature.memory": "94"}, "PASS"),
            ("memory's temperature", {"temperature.memory": "95"}, "WARN"),
            ("memory's temperature", {"temperature.memory": "105"}, "FAIL"),
            ("retired memory pages", {"retired_pages.double_bit.count": "0"}, "PASS"),
            ("retired memory pages", {"retired_pages.double_bit.count": "10"}, "WARN"),
            ("retired memory pages", {"retired_pages.double_bit.count": "11"}, "FAIL"),
            ("retired memory pages", {"retired_pages.pending": "Yes"}, "FAIL"),
            ("recovery action", {"gpu_recovery_action": "None"}, "PASS"),
            ("recovery action", {"gpu_recovery_action": "Node Reboot"}, "FAIL"),
            ("recovery action", {}, "SKIP"),
            ("MIG", {"mig.mode.current": "Enabled"}, "WARN"),
            ("compute mode", {"compute_mode": "Exclusive_Process"}, "WARN"),
            ("temperature", {"temperature.gpu": "59"}, "PASS"),
            ("temperature", {"temperature.gpu": "60"}, "WARN"),
            ("temperature", {"temperature.gpu": "84", "power.draw": "600", "power.limit": "700"}, "PASS"),
            ("temperature", {"temperature.gpu": "85", "power.draw": "600", "power.limit": "700"}, "WARN"),
            ("temperature", {"temperature.gpu": "90"}, "FAIL"),
            ("temperature", {"temperature.gpu": "50", "temperature.gpu.tlimit": "0"}, "FAIL"),
            ("power limit", {"power.limit": "560", "power.default_limit": "700"}, "PASS"),
            ("power limit", {"power.limit": "559", "power.default_limit": "700"}, "WARN"),
            ("memory in use", {"memory.used": "15"}, "PASS"),
            ("memory in use", {"memory.used": "16"}, "WARN"),
            ("memory in use", {"memory.used": "1500", "display_active": "Enabled"}, "PASS"),
            ("persistence mode", {"persistence_mode": "Disabled"}, "WARN"),
            ("clocks at rest", {"clocks_event_reasons.active": "0x0000000000000001"}, "PASS"),
            ("clocks at rest", {"clocks_event_reasons.active": "0x0000000000000080"}, "WARN"),
            ("answers", {"power.draw": "[Unknown Error]"}, "FAIL"),
        ],
    )
    def test_of_a_server(self, name: str, change: dict[str, str], verdict: str) -> None:
        assert told(f"GPU 0: {name}", {**self.ECC, **change}).verdict == verdict

    def test_corrected_errors_are_compared_with_what_is_usual_there(self) -> None:
        name = "GPU 0: corrected memory errors"
        gpu = {**self.ECC, "ecc.errors.corrected.volatile.total": "12"}
        assert told(name, gpu, of=wanted(baseline={name: 12.0})).verdict == "PASS"
        assert told(name, gpu, of=wanted(baseline={name: 11.0})).verdict == "WARN"

    def test_a_geforce_has_no_ecc_and_that_is_no_fault(self) -> None:
        memory = told("GPU 0: memory errors", {**GEFORCE, "ecc.mode.current": "[N/A]"})
        assert memory.verdict == "SKIP"
        assert "not made for servers" in memory.reason

    def test_persistence_is_nothing_that_a_container_or_wsl2_can_set(self) -> None:
        platforms: tuple[Platform, ...] = ("container", "wsl2")
        for platform in platforms:
            gpu = {**SERVER, "persistence_mode": "Disabled"}
            assert told("GPU 0: persistence mode", gpu, of=wanted(platform)).verdict == "SKIP"

    def test_a_slow_link_at_rest_proves_nothing(self) -> None:
        link = {"pcie.link.gen.max": "4", "pcie.link.width.current": "16", "pcie.link.width.max": "16"}
        assert told("GPU 0: PCIe link", {**GEFORCE, **link, "pcie.link.gen.current": "1"}).verdict == "SKIP"
        assert told("GPU 0: PCIe link", {**GEFORCE, **link, "pcie.link.gen.current": "4"}).verdict == "PASS"

    def test_different_firmware_is_noticed(self) -> None:
        one, other = {**SERVER, "vbios_version": "96.00.A5.00.01"}, {**SERVER, "vbios_version": "96.00.89.00.01"}
        assert told("GPUs: firmware", one, one).verdict == "PASS"
        assert told("GPUs: firmware", one, other).verdict == "WARN"

    def test_a_query_without_rows(self) -> None:
        def verdict(answer: dict[str, Any]) -> str:
            [finding] = telemetry.judge({"smi": {"query": answer, "fields": ["index"]}}, wanted())
            return finding.verdict

        assert verdict(run(code=None, err="nvidia-smi gave no answer within 30 s")) == "FAIL"
        assert verdict(run(code=2, out='Field "x.y" is not a valid field to query.')) == "SKIP"


class TestNvlink:
    UP = "\t Link 0: 26.562 GB/s\n\t Link 1: 26.562 GB/s\n"
    NONE = "NVML: Unable to retrieve NVLink information as all links are inActive\n"
    FINE = "\t Link 0: Replay Errors: 0\n\t Link 0: Recovery Errors: 0\n\t Link 0: CRC Errors: 0\n"

    def judge(self, *links: str, name: str = "NVIDIA H100 80GB HBM3", errors: str = "") -> dict[str, str]:
        def text(parts: Iterable[str]) -> dict[str, Any]:
            return run("".join(f"GPU {index}: {name} (UUID: GPU-{index})\n{part}" for index, part in enumerate(parts)))

        found = smi(*[SERVER] * len(links), nvlink=text(links), nvlink_errors=text([errors or self.FINE] * len(links)))
        findings = telemetry.judge(found, wanted())
        return {finding.name: finding.verdict for finding in findings if "NVLink" in finding.name}

    def test_all_up(self) -> None:
        assert set(self.judge(self.UP, self.UP).values()) == {"PASS"}

    def test_one_link_down(self) -> None:
        assert self.judge(self.UP, "\t Link 0: 26.562 GB/s\n\t Link 1: <inactive>\n")["GPU 1: NVLinks"] == "FAIL"

    def test_all_links_of_one_gpu_down(self) -> None:
        assert self.judge(self.UP, self.NONE)["GPU 1: NVLinks"] == "FAIL"

    def test_all_links_of_all_gpus_down(self) -> None:
        assert set(self.judge(self.NONE, self.NONE).values()) >= {"FAIL"}

    def test_a_card_without_a_bridge_may_be_meant_so(self) -> None:
        assert self.judge(self.UP, self.UP, self.NONE, name="NVIDIA RTX A6000").get("GPU 2: NVLinks", "PASS") != "FAIL"
        assert self.judge(self.NONE, self.NONE, name="NVIDIA A100-PCIE-40GB") == {"NVLink": "SKIP"}

    def test_errors(self) -> None:
        found = self.judge(
            self.UP, self.UP, errors="\t Link 0: Replay Errors: 2353\n\t Link 0: FEC Errors - 0: 99999\n"
        )
        assert found["GPU 0: NVLink errors"] == "FAIL"
        assert (
            self.judge(self.UP, self.UP, errors="\t Link 0: Symbol Errors: 7\n\t Link 0: Effective Errors: 0\n")[
                "GPU 0: NVLink errors"
            ]
            == "PASS"
        )

    def test_one_gpu_needs_none(self) -> None:
        assert self.judge(self.UP) == {"NVLink": "SKIP"}


class TestUnderLoad:
    BUSY: ClassVar = {
        "index": "0",
        "name": "NVIDIA GeForce RTX 3090",
        "pstate": "P2",
        "clocks_event_reasons.active": "0x0000000000000004",
        "temperature.gpu": "70",
        "power.draw": "345",
        "power.limit": "350",
        "pcie.link.gen.gpucurrent": "4",
        "pcie.link.gen.max": "4",
        "pcie.link.width.current": "16",
        "pcie.link.width.max": "16",
        "clocks.sm": "1695",
        "clocks.max.sm": "2100",
    }

    def judge(self, *changes: dict[str, str], of: Wanted | None = None) -> dict[str, Finding]:
        samples = [run(", ".join({**self.BUSY, **change}.values()) + "\n") for change in changes]
        return by_name(telemetry.under_load(samples, list(self.BUSY), of or wanted()))

    def test_a_card_at_its_power_limit_is_fine(self) -> None:
        found = self.judge({}, {}, {})
        assert {finding.verdict for finding in found.values()} == {"PASS"}
        assert found["GPU 0: power under load"].figure == 345

    @pytest.mark.parametrize(
        ("bits", "verdict"),
        [
            ("0x8", "FAIL"),
            ("0x40", "FAIL"),
            ("0x80", "FAIL"),
            ("0x20", "WARN"),
            ("0x4", "PASS"),
            ("0x2", "PASS"),
            ("0x10", "PASS"),
            ("0x100", "PASS"),
            ("0x204", "PASS"),
        ],
    )
    def test_what_holds_the_clocks_down(self, bits: str, verdict: str) -> None:
        change = {"clocks_event_reasons.active": bits}
        assert self.judge(change, change, {})["GPU 0: clocks under load"].verdict == verdict

    def test_one_sample_with_a_slowdown_may_be_a_change_of_the_clock(self) -> None:
        assert self.judge({"clocks_event_reasons.active": "0x8"}, {}, {})["GPU 0: clocks under load"].verdict == "WARN"

    @pytest.mark.parametrize(
        ("name", "change"),
        [("PCIe lanes", {"pcie.link.width.current": "8"}), ("PCIe generation", {"pcie.link.gen.gpucurrent": "3"})],
    )
    def test_a_lesser_link_fails_but_in_wsl2(self, name: str, change: dict[str, str]) -> None:
        assert self.judge(change, change)[f"GPU 0: {name} under load"].verdict == "FAIL"
        assert self.judge(change, change, of=wanted("wsl2"))[f"GPU 0: {name} under load"].verdict == "WARN"

    def test_the_best_sample_counts_for_the_link(self) -> None:
        assert self.judge({"pcie.link.gen.gpucurrent": "1"}, {})["GPU 0: PCIe generation under load"].verdict == "PASS"

    def test_the_hottest_sample_counts_for_the_temperature(self) -> None:
        assert self.judge({}, {"temperature.gpu": "91"}, {})["GPU 0: temperature under load"].verdict == "FAIL"

    def test_samples_of_an_idle_gpu_prove_nothing(self) -> None:
        idle = {"clocks_event_reasons.active": "0x1", "pcie.link.gen.gpucurrent": "1"}
        assert [finding.verdict for finding in self.judge(idle, idle).values()] == ["SKIP"]

    def test_a_gpu_that_breaks_under_load(self) -> None:
        found = self.judge({}, {"temperature.gpu": "[GPU is lost]"})
        assert [(finding.name, finding.verdict) for finding in found.values()] == [
            ("GPU 0: answers under load", "FAIL")
        ]

    def test_no_sample(self) -> None:
        [finding] = telemetry.under_load([run(code=None, err="no answer")], ["index"], wanted())
        assert (finding.verdict, "no answer" in finding.reason) == ("SKIP", True)
