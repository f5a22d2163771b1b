"""What is made of several GPUs' all-reduce."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.health import links
from gpurig.health.finding import Finding, Wanted

VALUES, BANDWIDTH = "GPUs: all-reduce values", "GPUs: all-reduce bandwidth"


def devices(count: int, name: str = "NVIDIA H100 80GB HBM3", memory: int = 85000000000) -> dict[str, Any]:
    return {"devices": [{"index": index, "name": name, "memory": memory} for index in range(count)]}


def section(count: int = 8, **keys: Any) -> dict[str, Any]:
    pairs = [[a, b] for a in range(count) for b in range(a + 1, count)]
    taken = {
        "backend": "nccl",
        "count": count,
        "bytes": 1 << 30,
        "elements": 1 << 28,
        "wrong": 0,
        "runs": [470.1],
        "best": 470.1,
    }
    return {**taken, "peers": pairs, "shm": 64 << 30, "environment": {}, "problem": "", **keys}


def findings(taken: dict[str, Any], numbers: dict[str, Any] | None = None, **wanted: Any) -> dict[str, Finding]:
    recording = {"links": taken, "numbers": numbers or devices(8)}
    return {one.name: one for one in links.judge(recording, Wanted(**{"platform": "native", **wanted}))}


def test_healthy() -> None:
    found = findings(section())
    assert {one.verdict for one in found.values()} == {"PASS"}
    assert (found[BANDWIDTH].figure, found[BANDWIDTH].unit) == (470.1, "GB/s")
    assert found[BANDWIDTH].value == "470.1 GB/s, 99% of the 475 GB/s of 8 × H100"


@pytest.mark.parametrize(("best", "verdict"), [(370.0, "PASS"), (286.0, "PASS"), (284.0, "FAIL")])
def test_bandwidth_is_judged_by_the_model(best: float, verdict: str) -> None:
    assert findings(section(best=best))[BANDWIDTH].verdict == verdict


def test_one_wrong_element_fails() -> None:
    found = findings(section(wrong=1))[VALUES]
    assert found.verdict == "FAIL"
    assert "NCCL_P2P_DISABLE=1" in found.advice


@pytest.mark.parametrize(
    "numbers",
    [devices(2, "NVIDIA GeForce RTX 4090", 25386352640), devices(2), {"devices": devices(1)["devices"] + [{}]}],
)
def test_gpus_of_which_nothing_is_known_are_reported_without_a_verdict(numbers: dict[str, Any]) -> None:
    found = findings(section(2, best=11.0, peers=[]), numbers)[BANDWIDTH]
    assert (found.verdict, found.figure) == ("SKIP", 11.0)
    assert "0 of 1 pairs" in found.reason


def test_gpus_of_several_forms_are_not_judged_as_one_model() -> None:
    mixed = {"devices": [*devices(7)["devices"], *devices(1, "NVIDIA H100 PCIe")["devices"]]}
    assert findings(section(), mixed)[BANDWIDTH].verdict == "SKIP"


def test_but_they_are_compared_with_their_own_past() -> None:
    found = findings(section(2, best=11.0), devices(2), baseline={BANDWIDTH: 20.0})[BANDWIDTH]
    assert found.verdict == "WARN"


@pytest.mark.parametrize(
    "broken",
    [{"problem": "GPU 1: no answer within 90 s"}, {"wrong": None}, {"elements": 0}, {"count": 1}, {"best": None}],
)
def test_an_all_reduce_without_a_result_fails(broken: dict[str, Any]) -> None:
    taken = list(links.judge({"links": section(**broken)}, Wanted(platform="native")))
    assert "FAIL" in {one.verdict for one in taken}


@pytest.mark.parametrize(
    ("keys", "advice"),
    [
        ({"shm": 64 << 20}, "--shm-size=1g"),
        ({}, "NCCL_P2P_DISABLE=1"),
        ({"environment": {"NCCL_P2P_DISABLE": "1"}}, "NCCL_DEBUG=INFO"),
    ],
)
def test_a_hang_says_what_to_try(keys: dict[str, Any], advice: str) -> None:
    found = findings(section(problem="GPU 0: no answer within 90 s, at all-reduce 1 of 6", **keys))
    assert advice in found[VALUES].advice


@pytest.mark.parametrize("count", [2, 7, 9])
def test_all_gpus_must_take_part(count: int) -> None:
    (found,) = findings(section(count)).values()
    assert (found.name, found.verdict, found.value) == (VALUES, "FAIL", f"{count} of 8 GPUs took part")


def test_one_gpu_is_skipped() -> None:
    (found,) = findings({"count": 1, "problem": "", "skipped": "there is one GPU"}).values()
    assert (found.verdict, found.reason) == ("SKIP", "there is one GPU")
