"""What verification hands to Nagios and Prometheus."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gpurig import nagios, prometheus
from gpurig.publication import publish
from gpurig.report import Report, folder_of
from gpurig.stack import Stack
from gpurig.verdict import Result, Verdict
from tests.unit.metrics import samples

NASTY = "a \"quoted\" \\ back|slash\nand 'lines' = é"


def result(verdict: Verdict, name: str = "", topic: str = "gpu", **more: Any) -> Result:
    return Result(host="demo", topic=topic, name=name or verdict.lower(), verdict=verdict, **more)


def report(*results: Result, host: str = "demo", quick: bool = False) -> Report:
    started = "2026-11-22T10:00:00+00:00"
    return Report(host=host, label=f"label-{host}", started=started, seconds=3.2, quick=quick, results=results)


class TestNagios:
    @pytest.mark.parametrize(
        ("reports", "code", "text"),
        [
            ([report(result("PASS"), result("SKIP"))], 0, "OK - demo: 1 PASS, 1 SKIP"),
            (
                [report(result("PASS"), result("WARN", value="hot"))],
                1,
                "WARNING - demo: 1 PASS, 1 WARN: gpu: warn (hot)",
            ),
            ([report(result("WARN"), result("FAIL"))], 2, "CRITICAL - demo: 1 WARN, 1 FAIL: gpu: fail, gpu: warn"),
            ([report(result("FAIL", "reachable", "verification", value="gone"))], 2, "reachable (gone)"),
            ([report(result("SKIP"), result("SKIP"))], 3, "UNKNOWN - demo: 2 SKIP"),
            ([report(result("FAIL", "finished", "verification", value="no check ran"))], 3, "no check ran"),
            ([report(result("PASS"), result("FAIL", "finished", "verification"))], 2, "CRITICAL"),
            ([report()], 3, "UNKNOWN - demo: nothing checked"),
            ([report(result("PASS")), report(result("FAIL"), host="two")], 2, "demo: 1 PASS; two: 1 FAIL: gpu: fail"),
            ([report(result("SKIP")), report(result("WARN"), host="two")], 1, "WARNING"),
            ([report(result("PASS")), report(result("SKIP"), host="two")], 3, "UNKNOWN"),
            ([report(*(result("FAIL", f"n{n}") for n in range(9)))], 2, "gpu: n0, gpu: n1, gpu: n2 and 6 more"),
        ],
    )
    def test_the_worst_host_gives_the_code(self, reports: list[Report], code: int, text: str) -> None:
        said = nagios.say(reports)
        assert said.code == code
        assert text in said.line

    def test_performance_data_is_what_the_guidelines_say(self) -> None:
        said = nagios.say(
            [report(result("PASS", "speed = 1", figure=150.5, unit="TFLOPS"), result("PASS", "up", figure=3, unit="s"))]
        )
        assert said.line.partition(" | ")[2] == (
            "'PASS'=2;;;0 'WARN'=0;;;0 'FAIL'=0;;;0 'SKIP'=0;;;0 'time'=3.2s;;;0 'speed 1'=150.5 'up'=3s"
        )

    def test_hosts_are_told_apart(self) -> None:
        line = nagios.say([report(result("PASS", "x", figure=1)), report(host="two")]).line
        assert "'demo x'=1" in line
        assert "'two PASS'=0;;;0" in line

    @pytest.mark.parametrize("where", ["name", "value"])
    def test_whatever_a_host_says_it_stays_one_line_with_one_bar(self, where: str) -> None:
        texts = {"name": "x", where: NASTY}
        line = nagios.say([report(result("FAIL", texts["name"], value=texts.get("value", ""), figure=1.0))]).line
        assert line.count("|") == 1
        assert "\n" not in line
        for datum in re.findall(r"'(?:[^'=|]|'')+'=\S+", line.partition("|")[2]):
            line = line.replace(datum, "")
        assert line.partition("|")[2].strip() == ""


class TestPrometheus:
    def test_every_verdict_and_figure_is_a_sample(self, stack: Stack) -> None:
        text = prometheus.text(
            stack, [report(result("PASS", figure=150.25, unit="TFLOPS"), result("SKIP"), result("FAIL"))]
        )
        found = {
            (name, labels.get("check") or labels.get("verdict", "")): value for name, labels, value in samples(text)
        }
        assert found == {
            ("gpurig_verification_verdicts", "PASS"): 1, ("gpurig_verification_verdicts", "WARN"): 0,
            ("gpurig_verification_verdicts", "FAIL"): 1, ("gpurig_verification_verdicts", "SKIP"): 1,
            ("gpurig_check", "pass"): 0, ("gpurig_check", "skip"): 3, ("gpurig_check", "fail"): 2,
            ("gpurig_figure", "pass"): 150.25,
            ("gpurig_verification_timestamp_seconds", ""): 1795341600, ("gpurig_verification_duration_seconds", ""): 3.2,
            ("gpurig_verification_quick", ""): 0,
        }  # fmt: skip
        labels = next(labels for name, labels, _ in samples(text) if name == "gpurig_figure")
        assert labels == {"stack": "unit/test", "host": "demo", "topic": "gpu", "check": "pass", "unit": "TFLOPS"}

    def test_whatever_a_host_says_it_can_be_read(self, stack: Stack) -> None:
        text = prometheus.text(stack, [report(result("FAIL", NASTY, figure=1e-9, unit=NASTY))])
        labels = next(labels for name, labels, _ in samples(text) if name == "gpurig_figure")
        assert (labels["check"], labels["unit"]) == (NASTY, NASTY)

    def test_two_results_of_one_name_are_one_sample_of_the_graver(self, stack: Stack) -> None:
        text = prometheus.text(stack, [report(result("PASS", "same"), result("FAIL", "same"), result("WARN", "same"))])
        assert [value for name, _, value in samples(text) if name == "gpurig_check"] == [2]

    @pytest.mark.parametrize("figure", [float("nan"), float("inf")])
    def test_a_figure_that_is_no_number_is_left_out(self, stack: Stack, figure: float) -> None:
        assert "gpurig_figure" not in prometheus.text(stack, [report(result("FAIL", figure=figure))])

    def test_it_lies_beside_the_other_forms(self, stack: Stack) -> None:
        publish(stack, report(result("PASS")))
        path = folder_of(stack, "demo") / "latest.prom"
        assert list(samples(path.read_text()))
        assert path.stat().st_mode & 0o777 == 0o600
