"""A healthy machine's recording after one thing in it got worse; and the command that judges recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpurig.health import __main__ as program
from gpurig.health.finding import Finding
from tests.unit.test_health_fixtures import FIXTURES, findings, recorded

LINK = ", 4, 4, 16, 16, "
"""Generation now and at most, lanes now and at most, in a sample of the fixtures."""


def slower(link: str, name: str = "rtx_3090", speed: float = 3.0) -> dict[str, Any]:
    found = recorded(name)
    for sample in found["speed"]["samples"]:
        assert LINK in sample["out"]
        sample["out"] = sample["out"].replace(LINK, link)
    for key in ("to_device", "from_device"):
        found["speed"]["devices"][0][key]["best"] = speed
    return found


def judged(found: dict[str, Any]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(found)}


class TestLink:
    """A slot that gives a card less than it has: nvidia-smi's maximum is the system's."""

    PINNED = ("GPU 0: pinned copy to device", "GPU 0: pinned copy from device")

    @pytest.mark.parametrize(
        ("link", "speed", "kind"),
        [
            (", 1, 1, 16, 16, ", 3.6, "generation"),
            (", 4, 4, 1, 1, ", 1.8, "lanes"),
            (", 3, 3, 16, 16, ", 12.5, "generation"),
        ],
    )
    def test_is_a_warning_and_so_are_its_copies(self, link: str, speed: float, kind: str) -> None:
        found = judged(slower(link, speed=speed))
        assert {name: found[name].verdict for name in self.PINNED} == dict.fromkeys(self.PINNED, "WARN")
        assert found[f"GPU 0: PCIe {kind} under load"].verdict == "WARN"
        assert "FAIL" not in {finding.verdict for finding in found.values()}

    def test_says_nothing_in_wsl2(self) -> None:
        found = slower(", 1, 1, 16, 16, ", "rtx_4090_wsl2")
        assert {one.name for one in findings(found) if one.verdict == "WARN"} == set()

    def test_says_nothing_of_unknown_models(self) -> None:
        found = slower(", 1, 1, 16, 16, ")
        found["wanted"] = {"count": 1}
        for sample in found["speed"]["samples"]:
            sample["out"] = sample["out"].replace("RTX 3090", "RTX 9990")
        for device in found["speed"]["devices"]:
            device["name"] = "NVIDIA GeForce RTX 9990"
        assert {one.name for one in findings(found) if one.verdict == "WARN"} == set()

    def test_is_seen_at_rest_too(self) -> None:
        found = {**recorded("rtx_3090"), "speed": {"skipped": "--quick"}}
        name = "GPU 0: PCIe link"
        assert judged(found)[name].verdict == "SKIP"
        found["smi"]["query"]["out"] = found["smi"]["query"]["out"].replace(", 1, 4, 16, 16, ", ", 1, 4, 8, 8, ")
        assert judged(found)[name].verdict == "WARN"


def test_a_busy_gpu_with_a_low_clock_is_a_warning() -> None:
    found = recorded("rtx_3090")
    for sample in found["speed"]["samples"]:
        sample["out"] = sample["out"].replace(", 1695, 2100", ", 210, 2100")
        sample["out"] = sample["out"].replace(", 1680, 2100", ", 210, 2100").replace(", 1665, 2100", ", 210, 2100")
    assert judged(found)["GPU 0: clock under load"].verdict == "WARN"


@pytest.mark.parametrize(("celsius", "verdict"), [(94, "PASS"), (95, "WARN"), (105, "FAIL")])
def test_hot_memory_under_load(celsius: int, verdict: str) -> None:
    found = recorded("rtx_3090")
    for sample in found["speed"]["samples"]:
        sample["out"] = sample["out"].replace(", [N/A], N/A, P2", f", [N/A], {celsius}, P2")
    assert judged(found)["GPU 0: memory's temperature under load"].verdict == verdict


class TestNotMeasured:
    def without_pytorch(self, **more: bool) -> dict[str, Any]:
        left_out = {"skipped": "no environment with PyTorch"}
        return {**recorded("rtx_3090"), "numbers": {**left_out, **more}, "speed": left_out, "links": left_out}

    def test_environments_without_pytorch_are_a_warning(self) -> None:
        warning = judged(self.without_pytorch(lacking=True))["PyTorch: results and speed"]
        assert (warning.verdict, warning.value) == ("WARN", "not measured")
        assert "`environments`" in warning.advice

    def test_what_was_left_out_on_purpose_is_not(self) -> None:
        assert "WARN" not in {finding.verdict for finding in findings(self.without_pytorch())}

    def test_nothing_that_was_read_is_a_failure_where_there_should_be_gpus(self) -> None:
        assert judged({"wanted": {"gpu": "RTX 3090", "count": 1}})["readings"].verdict == "FAIL"
        assert "readings" not in judged({"wanted": {"count": 0}})


class TestProgram:
    GOOD, BAD = (str(FIXTURES / f"{name}.json") for name in ("rtx_3090", "too_hot"))

    def test_one_file_is_judged_as_its_expected_report_has_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert program.main([self.GOOD]) == 0
        assert capsys.readouterr().out == Path(self.GOOD).with_suffix(".expected.txt").read_text(encoding="utf-8")

    def test_all_files_are_judged(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert program.main([self.GOOD, self.BAD]) == 3
        assert program.main([self.BAD, self.GOOD]) == 3
        said = capsys.readouterr().out
        assert said.count(self.GOOD) == said.count(self.BAD) == 2

    @pytest.mark.parametrize("text", ["", "[]", "{"])
    def test_what_is_no_recording_is_refused(
        self, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "x.json").write_text(text, encoding="utf-8")
        assert program.main([str(tmp_path / "x.json")]) == 2
        assert "no recording" in capsys.readouterr().err

    @pytest.mark.parametrize("words", [[], ["--help"], ["nowhere.json"]])
    def test_wrong_use(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert program.main(words) == 2
        assert capsys.readouterr().err
