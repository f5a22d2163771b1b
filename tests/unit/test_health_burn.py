"""A burn that was asked for and did not come about is told of, whatever kept it from that."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.health import burn, gather, layers
from gpurig.health.__main__ import wanted_of
from gpurig.health.finding import Finding
from gpurig.verdict import Result
from tests.unit.test_health_fixtures import recorded

DONE = {"index": 0, "problem": "", "times": 100, "different": 0, "first": 60.0, "last": 60.0}


def told(found: dict[str, Any], minutes: float = 10, *, gpu: bool = True) -> list[Finding]:
    return list(burn.missing(found, layers.judge(found, wanted_of(found)), minutes, gpu=gpu))


def with_burn(*devices: dict[str, Any]) -> dict[str, Any]:
    found = recorded("rtx_3090")
    return {**found, "speed": {**found["speed"], "burn": {"minutes": 10, "devices": list(devices)}}}


def test_a_burn_that_ran_needs_no_further_word() -> None:
    assert told(with_burn(DONE)) == []
    assert told(with_burn({**DONE, "problem": "it crashed at the burn (signal 9)"})) == []  # its own FAIL says so


def test_nobody_asked() -> None:
    assert told(recorded("rtx_3090"), 0) == []


def test_without_a_gpu_it_is_skipped() -> None:
    (said,) = told({"wanted": {"count": 0}, "speed": {"skipped": layers.NO_GPU}}, gpu=False)
    assert (said.name, said.verdict, said.value) == ("burn", "SKIP", "not run")
    assert layers.NO_GPU in said.reason


@pytest.mark.parametrize(
    ("change", "value", "why"),
    [
        ({"speed": {"skipped": gather.WITHOUT_TORCH}}, "not run", gather.WITHOUT_TORCH),
        ({"devices": {"nodes": [], "libcuda": None, "module": ""}}, "not run", "devices failed; put that right first"),
        ({}, "not run", "no GPU was measured"),
    ],
)
def test_on_a_gpu_s_host_it_is_a_warning_with_the_reason(change: dict[str, Any], value: str, why: str) -> None:
    (said,) = told({**recorded("rtx_3090"), **change})
    assert (said.name, said.verdict, said.value) == ("burn", "WARN", value)
    assert said.reason == f"Nothing is known of it under lasting load: {why}."
    assert said.expected.startswith("10 min")


def test_a_burn_whose_gpu_computes_wrong_was_not_judged() -> None:
    found = recorded("wrong_results")
    (said,) = told({**found, "speed": {**found["speed"], "burn": {"minutes": 10, "devices": [DONE]}}})
    assert (said.verdict, said.value) == ("WARN", "not judged")
    assert "numbers failed" in said.reason


def test_one_of_two_gpus_that_was_left_out_is_named() -> None:
    found = with_burn(DONE)
    full = {**found["speed"]["devices"][0], "index": 1, "skipped": "100 MB of its memory are free"}
    found["speed"]["devices"].append(full)
    (said,) = told(found)
    assert (said.name, said.verdict) == ("GPU 1: burn", "WARN")
    assert "100 MB of its memory are free" in said.reason


def test_minutes_are_those_of_gpus_that_tell_a_figure() -> None:
    def lasted(name: str, figure: float | None) -> float:
        return burn.lasted([Result(host="a", topic="gpu", name=name, verdict="PASS", figure=figure)], 10)

    assert lasted("GPU 0: burn", 60.0) == 10
    assert lasted("GPU 0: burn", None) == 0
    assert lasted("GPU 0: bf16 matmul", 60.0) == 0
