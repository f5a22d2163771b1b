"""A user's own thresholds that are stricter than the usual ones, and samples of which a burn takes many."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.health import busy, speed, telemetry
from gpurig.health.finding import Finding, Wanted
from gpurig.health.probes import torch_speed
from gpurig.health.recording import cell
from gpurig.verdict import Verdict, at_least, at_most
from tests.unit.recordings import by_name, run, wanted
from tests.unit.test_health_speed import MATMUL, TO, device, samples, section


def judged(of: Wanted, **figures: float) -> dict[str, Finding]:
    taken: dict[str, Any] = section(device(**figures), samples=samples())
    return by_name(speed.judge({"speed": taken}, of))


class TestStricter:
    """What FAILs is asked first: a `fail` beyond `warn` leaves no room for a warning."""

    @pytest.mark.parametrize(("tflops", "verdict"), [(132.0, "FAIL"), (132.3, "PASS"), (82.0, "FAIL")])
    def test_a_speed(self, tflops: float, verdict: Verdict) -> None:
        found = judged(wanted(policy={"fail_matmul_part": 0.8}), matmul=tflops)[MATMUL]
        assert found.verdict == verdict
        assert found.expected == "132.2 TFLOPS or more (80% of RTX 4090's 165.2 TFLOPS)"
        assert "gpu_fail_matmul_part of this host" in found.source

    def test_where_nothing_may_fail_it_is_a_warning(self) -> None:
        assert judged(wanted("wsl2", policy={"fail_pinned_part": 0.9}), to_device=25.0)[TO].verdict == "WARN"

    def test_a_temperature(self) -> None:
        of = wanted(policy={"max_temperature": 70})
        said = busy.temperature("GPU 0", {"temperature.gpu": cell("72")}, of, "warm_temperature_busy")
        assert (said.verdict, said.expected) == ("FAIL", "below 70 °C; 70 °C and more fail")

    def test_any_figure(self) -> None:
        assert [at_least(value, warn=3, fail=10) for value in (11, 10, 9, 2)] == ["PASS", "PASS", "FAIL", "FAIL"]
        assert [at_most(value, warn=30, fail=2) for value in (1, 2, 3, 31)] == ["PASS", "PASS", "FAIL", "FAIL"]


@pytest.mark.parametrize(
    ("few", "of_burn", "all_of_burn", "verdict"),
    [
        (1, 2, 57, "WARN"),
        (2, 0, 57, "FAIL"),
        (0, 3, 57, "FAIL"),  # 5 % of 57 are 2.85
        (0, 1, 3, "WARN"),
        (0, 2, 3, "FAIL"),
        (1, 1, 3, "WARN"),
    ],
)
def test_a_burns_many_samples_are_judged_by_their_part(
    few: int, of_burn: int, all_of_burn: int, verdict: Verdict
) -> None:
    assert busy.BEFORE_BURN == torch_speed.SAMPLES
    fields = ["index", "name", "pstate", "clocks_event_reasons.active"]

    def taken(slow: int, count: int) -> list[dict[str, Any]]:
        bits = ["0x8"] * slow + ["0x4"] * (count - slow)
        return [run(f"0, NVIDIA GeForce RTX 3090, P2, {one}\n") for one in bits]

    found = telemetry.under_load([*taken(few, busy.BEFORE_BURN), *taken(of_burn, all_of_burn)], fields, wanted())
    assert by_name(found)["GPU 0: clocks under load"].verdict == verdict
