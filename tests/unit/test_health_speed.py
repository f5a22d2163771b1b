"""What is made of figures of speed: by the model, by the link, by what the host used to do."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.health import speed
from gpurig.health.finding import Finding, Wanted
from gpurig.verdict import overall

FIELDS = [
    "index",
    "pstate",
    "power.draw",
    "power.limit",
    "power.default_limit",
    "pcie.link.gen.current",
    "pcie.link.gen.max",
    "pcie.link.width.current",
    "pcie.link.width.max",
]
MATMUL, COPY = "GPU 0: bf16 matmul", "GPU 0: device copy"
TO, FROM = "GPU 0: pinned copy to device", "GPU 0: pinned copy from device"


def samples(row: str = "0, P2, 440, 450, 450, 4, 4, 16, 16") -> list[dict[str, Any]]:
    return [{"code": 0, "out": row + "\n", "err": "", "seconds": 0.1}] * 3


def device(**figures: float) -> dict[str, Any]:
    best = {"matmul": 150.0, "copy": 920.0, "to_device": 25.0, "from_device": 26.0, **figures}
    return {
        "index": 0,
        "name": "NVIDIA GeForce RTX 4090",
        "capability": "8.9",
        "memory": 25386352640,
        "problem": "",
        "matmul": {"type": "bf16", "size": 8192, "best": best["matmul"], "runs": [best["matmul"]] * 3},
        **{
            key: {"bytes": 1 << 30, "best": best[key], "runs": [best[key]]}
            for key in ("copy", "to_device", "from_device")
        },
    }


def section(*devices: dict[str, Any], **keys: Any) -> dict[str, Any]:
    head = {
        "torch": "2.14.1+cu130",
        "cuda": "13.0",
        "device": "cuda",
        "problem": "",
        "fields": FIELDS,
        "samples": samples(),
    }
    return {**head, "devices": list(devices), **keys}


def findings(taken: dict[str, Any], **wanted: Any) -> dict[str, Finding]:
    found = list(speed.judge({"speed": taken}, Wanted(**{"platform": "native", **wanted})))
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def test_healthy() -> None:
    found = findings(section(device()))
    assert overall(found[name].verdict for name in (MATMUL, COPY, TO, FROM)) == "PASS"
    assert (found[MATMUL].figure, found[MATMUL].unit) == (150.0, "TFLOPS")
    assert found[MATMUL].value == "150 TFLOPS, 91% of RTX 4090's 165.2 TFLOPS"
    assert found[MATMUL].expected == "107.4 TFLOPS or more (65% of RTX 4090's 165.2 TFLOPS); below 82.6 TFLOPS it fails"
    assert "nanochat" in found[MATMUL].source
    assert found[TO].value == "25 GB/s, 79% of PCIe 4.0 x16's 31.5 GB/s"


@pytest.mark.parametrize(
    ("platform", "tflops", "verdict"),
    [
        ("native", 107.5, "PASS"),
        ("native", 107.3, "WARN"),
        ("native", 82.7, "WARN"),
        ("native", 82.5, "FAIL"),
        ("container", 82.5, "FAIL"),
        ("wsl2", 82.5, "WARN"),
        ("wsl2", 66.2, "WARN"),
        ("wsl2", 66.0, "FAIL"),
    ],
)
def test_matmul_is_judged_by_the_model(platform: str, tflops: float, verdict: str) -> None:
    found = findings(section(device(matmul=tflops)), platform=platform)[MATMUL]
    assert found.verdict == verdict
    assert bool(found.advice) == bool(found.reason) == (verdict != "PASS")


@pytest.mark.parametrize(("speed_", "verdict"), [(757, "PASS"), (755, "WARN"), (606, "WARN"), (604, "FAIL")])
def test_copies_are_judged_by_the_model(speed_: float, verdict: str) -> None:
    assert findings(section(device(copy=speed_)))[COPY].verdict == verdict


class TestLink:
    def judged(self, speed_: float, row: str = "", **wanted: Any) -> Finding:
        taken = section(device(to_device=speed_), samples=samples(row) if row else [])
        return findings(taken, **wanted)[TO]

    @pytest.mark.parametrize(
        ("speed_", "generation", "lanes", "verdict"),
        [
            (22.1, 4, 16, "PASS"),
            (21.9, 4, 16, "WARN"),
            (15.7, 4, 16, "FAIL"),
            (5.6, 4, 4, "WARN"),  # a riser: it uses its lanes, and the model has more
            (3.8, 4, 4, "FAIL"),
            (11.1, 3, 16, "WARN"),
            (22.1, 5, 8, "PASS"),  # as fast as the model's own
            (44.2, 5, 16, "PASS"),
            (25.0, 5, 16, "FAIL"),
        ],
    )
    def test_pinned_copies_are_judged_by_the_link_they_have(
        self, speed_: float, generation: int, lanes: int, verdict: str
    ) -> None:
        row = f"0, P2, 440, 450, 450, {generation}, 5, {lanes}, 16"
        assert self.judged(speed_, row).verdict == verdict

    def test_the_busiest_sample_counts(self) -> None:
        idle, busy = samples("0, P8, 20, 450, 450, 1, 4, 16, 16"), samples()
        taken = section(device(to_device=25.0), samples=[idle[0], busy[0]])
        assert "PCIe 4.0 x16" in findings(taken)[TO].value

    def test_where_the_host_does_not_tell_it_the_models_is_a_hint(self) -> None:
        found = self.judged(5.0, "0, P2, 440, 450, 450, [N/A], [N/A], [N/A], [N/A]")
        assert (found.verdict, found.value) == ("WARN", "5 GB/s, 16% of PCIe 4.0 x16's 31.5 GB/s")

    def test_inside_wsl2_it_is_a_warning_at_most(self) -> None:
        assert self.judged(5.0, "0, P2, 440, 450, 450, 4, 4, 16, 16", platform="wsl2").verdict == "WARN"


class TestUnknownModel:
    def unknown(self) -> dict[str, Any]:
        return {**device(), "name": "NVIDIA GeForce RTX 9990"}

    def test_is_reported_without_a_verdict(self) -> None:
        found = findings(section(self.unknown()))
        assert (found[MATMUL].verdict, found[MATMUL].figure) == ("SKIP", 150.0)
        assert "models.toml" in found[MATMUL].reason
        assert found[TO].verdict == "PASS"  # its link is known all the same

    def test_is_still_compared_with_its_own_past(self) -> None:
        assert findings(section(self.unknown()), baseline={MATMUL: 170.0})[MATMUL].verdict == "WARN"

    def test_an_old_gpu_is_measured_in_fp16(self) -> None:
        old = {**device(), "name": "Tesla T4", "matmul": {"type": "fp16", "size": 4096, "best": 25.0, "runs": [25.0]}}
        found = findings(section(old))["GPU 0: fp16 matmul"]
        assert (found.verdict, found.figure) == ("SKIP", 25.0)

    def test_so_is_a_cpu(self) -> None:
        found = findings(section({**device(), "name": "CPU", "memory": 0}, device="cpu", samples=[]))
        assert {one.verdict for one in found.values()} == {"SKIP"}
        assert "CPU: bf16 matmul" in found


class TestBaseline:
    @pytest.mark.parametrize(("usual", "verdict"), [(160.0, "PASS"), (166.0, "PASS"), (167.0, "WARN")])
    def test_a_host_is_compared_with_itself(self, usual: float, verdict: str) -> None:
        found = findings(section(device()), baseline={MATMUL: usual})[MATMUL]
        assert found.verdict == verdict
        assert f"this host's usual {usual:.4g} TFLOPS" in found.expected

    def test_being_slower_than_before_does_not_soften_a_fail(self) -> None:
        assert findings(section(device(matmul=50.0)), baseline={MATMUL: 150.0})[MATMUL].verdict == "FAIL"

    def test_the_user_may_ask_for_more(self) -> None:
        assert findings(section(device()), policy={"warn_matmul_part": 0.95})[MATMUL].verdict == "WARN"


def test_capped_power_is_in_the_message_only() -> None:
    taken = section(device(matmul=100.0), samples=samples("0, P2, 269, 270, 450, 4, 4, 16, 16"))
    found = findings(taken)[MATMUL]
    assert found.verdict == "WARN"
    assert "capped at 270 W of 450 W, and measured by that it reaches 101% of its peak" in found.reason
    assert "capped" not in findings(section(device(matmul=100.0)))[MATMUL].reason


def test_samples_under_load_are_judged_too() -> None:
    found = findings(section(device(), samples=samples("0, P2, 440, 450, 450, 4, 4, 4, 16")))
    assert found["GPU 0: PCIe lanes under load"].verdict == "FAIL"
    assert found[TO].verdict == "PASS"  # 25 GB/s is what its own link would give


@pytest.mark.parametrize(("key", "name"), [("copy", COPY), ("to_device", TO), ("from_device", FROM)])
def test_a_copy_that_was_not_measured_is_skipped_with_the_reason(key: str, name: str) -> None:
    found = findings(section({**device(), key: {}}))[name]
    assert (found.verdict, found.reason) == ("SKIP", "it was not measured: the recording has no figure of it")


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ({"problem": "no answer within 60 s, at products of matrices", "matmul": None}, "GPU 0: speed"),
        ({"matmul": {}}, "GPU 0: speed"),
        ({"matmul": {"type": "bf16", "best": None}}, "GPU 0: speed"),
    ],
)
def test_a_measurement_that_fails_is_a_fail(broken: dict[str, Any], name: str) -> None:
    assert findings(section({**device(), **broken}))[name].verdict == "FAIL"


@pytest.mark.parametrize("taken", [section(), section(problem="it crashed"), section(devices=None)])
def test_so_is_one_without_devices(taken: dict[str, Any]) -> None:
    (found,) = findings(taken).values()
    assert (found.name, found.verdict) == ("PyTorch: speed", "FAIL")


def test_a_gpu_that_others_fill_is_skipped_with_the_reason() -> None:
    found = findings(section({**device(), "skipped": "400 MB of its memory are free"}))
    assert found["GPU 0: speed"].verdict == "SKIP"
    assert MATMUL not in found


def test_what_was_not_taken_is_skipped() -> None:
    (found,) = findings({"skipped": "--quick"}).values()
    assert (found.verdict, found.reason) == ("SKIP", "--quick")


class TestBurn:
    def judged(self, **changes: Any) -> Finding:
        outcome = {"index": 0, "problem": "", "times": 24000, "different": 0, "first": 150.0, "last": 148.0}
        burn = {"minutes": 5.0, "devices": [{**outcome, **changes}]}
        return findings(section(device(), burn=burn))["GPU 0: burn"]

    def test_healthy(self) -> None:
        found = self.judged()
        assert (found.verdict, found.figure) == ("PASS", 148.0)

    @pytest.mark.parametrize(
        ("changes", "verdict"),
        [
            ({"different": 1}, "FAIL"),
            ({"last": 134.0}, "WARN"),
            ({"times": 0}, "FAIL"),
            ({"first": None}, "FAIL"),
            ({"problem": "it crashed at the burn (signal 9)"}, "FAIL"),
        ],
    )
    def test_what_fails(self, changes: dict[str, Any], verdict: str) -> None:
        assert self.judged(**changes).verdict == verdict
