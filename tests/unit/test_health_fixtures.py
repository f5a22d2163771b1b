"""Recordings of GPUs, healthy and broken, and what verification says of each. Most were written from documentation."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpurig.catalogue import ROOT
from gpurig.health import layers
from gpurig.health.__main__ import report, wanted_of
from gpurig.health.anonymous import anonymous
from gpurig.health.finding import Finding
from gpurig.verdict import overall

FIXTURES = ROOT / "tests" / "fixtures" / "gpu"
FILES = sorted(FIXTURES.glob("*.json"))


@cache
def _text(name: str) -> str:
    return (FIXTURES / f"{name}.json").read_text(encoding="utf-8")


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_text(name))
    return found


def findings(found: dict[str, Any]) -> list[Finding]:
    return [finding for layer in layers.judge(found, wanted_of(found)).values() for finding in layer]


def failing(name: str) -> dict[str, str]:
    return {
        finding.name: finding.verdict for finding in findings(recorded(name)) if finding.verdict in ("FAIL", "WARN")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestEveryFixture:
    def test_says_where_it_is_from(self, path: Path) -> None:
        about = recorded(path.stem)["about"]
        assert about["origin"] in ("recorded", "from documentation")
        assert about["text"]

    def test_has_the_report_that_is_expected(self, path: Path) -> None:
        """After a change that is meant: `python -m gpurig.health FIXTURE > EXPECTED`, and read the difference."""
        found = recorded(path.stem)
        assert report(found, wanted_of(found)) == path.with_suffix(".expected.txt").read_text(encoding="utf-8")

    def test_names_each_finding_once(self, path: Path) -> None:
        names = [finding.name for finding in findings(recorded(path.stem))]
        assert len(set(names)) == len(names)

    def test_says_what_is_wrong_and_what_to_do(self, path: Path) -> None:
        for finding in findings(recorded(path.stem)):
            if finding.verdict in ("FAIL", "WARN"):
                assert finding.value, finding
                assert finding.expected, finding
                assert finding.reason, finding
                assert finding.advice, finding
            elif finding.verdict == "SKIP":
                assert finding.reason, finding
                assert not finding.advice, finding
            else:
                assert not finding.reason, finding
                assert not finding.advice, finding

    def test_is_as_anonymous_as_it_can_be(self, path: Path) -> None:
        """And stays the same recording: what is made anonymous is judged as before."""
        found = recorded(path.stem)
        once = anonymous(found)
        assert report(once, wanted_of(found)) == report(found, wanted_of(found))
        assert anonymous(once) == once


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("no_driver", "devices"),
        ("no_uvm", "devices"),
        ("driver_mismatch", "driver"),
        ("nvidia_smi_hangs", "driver"),
        ("wrong_gpu", "driver"),
        ("xid_79", "driver"),
        ("a100_remap_pending", "telemetry"),
        ("h100_ecc_error", "telemetry"),
        ("h100_x8_links_down", "telemetry"),
        ("reset_required", "telemetry"),
        ("riser_x4", "speed"),
        ("too_hot", "speed"),
    ],
)
def test_the_first_layer_that_fails_ends_the_judgement(name: str, layer: str) -> None:
    found = recorded(name)
    judged = layers.judge(found, wanted_of(found))
    assert layers.failed(judged) == layer
    names = list(layers.LAYERS)
    for later in names[names.index(layer) + 1 :]:
        [skipped] = judged[later]
        assert skipped.verdict == "SKIP"
        assert skipped.reason.startswith(f"{layer} failed")


@pytest.mark.parametrize("name", ["rtx_3090", "rtx_4090_wsl2", "h100_x8"])
def test_a_healthy_machine_has_nothing_to_complain_of(name: str) -> None:
    assert failing(name) == {}


def test_what_is_only_a_warning_ends_nothing() -> None:
    assert set(failing("power_capped").values()) == {"WARN"}
    assert set(failing("xid_of_a_program").values()) == {"WARN"}


def test_the_kernel_log_tells_why_even_where_an_earlier_layer_failed() -> None:
    [skipped] = [finding for finding in findings(recorded("xid_79")) if finding.name == "kernel log"]
    assert skipped.verdict == "SKIP"
    assert "Xid 79" in skipped.value


def test_a_user_can_accept_a_riser() -> None:
    found = recorded("riser_x4")
    found["wanted"]["variables"] = {"gpu_min_pcie_width": 4}
    assert {finding.name for finding in findings(found) if finding.verdict in ("FAIL", "WARN")} == set()
    lanes = {finding.name: finding for finding in findings(found)}["GPU 0: PCIe lanes under load"]
    assert (lanes.expected, lanes.source) == ("x4; the GPU could x16", "gpu_min_pcie_width of this host")
    found["wanted"]["variables"] = {"gpu_min_pcie_width": 8}
    assert "GPU 0: PCIe lanes under load" in {one.name for one in findings(found) if one.verdict == "FAIL"}


def test_a_user_can_ask_for_more_lanes_than_a_slot_says_it_has() -> None:
    found = recorded("rtx_3090")
    for sample in found["speed"]["samples"]:
        sample["out"] = sample["out"].replace(", 4, 4, 16, 16, ", ", 4, 4, 8, 8, ")
    assert "GPU 0: PCIe lanes under load" not in {one.name for one in findings(found) if one.verdict == "FAIL"}
    found["wanted"]["variables"] = {"gpu_min_pcie_width": 16}
    assert "GPU 0: PCIe lanes under load" in {one.name for one in findings(found) if one.verdict == "FAIL"}


class TestDamaged:
    """Whatever is cut off, garbled or exchanged: findings, never an exception, and never a clean bill of health."""

    @staticmethod
    def judge(found: Any) -> None:
        said = findings(found)
        assert said
        assert {finding.verdict for finding in said} != {"PASS"}
        assert len({finding.name for finding in said}) == len(said)
        assert overall(finding.verdict for finding in said) in ("PASS", "WARN", "FAIL")

    @given(data=st.data())
    @settings(max_examples=200, suppress_health_check=list(HealthCheck))
    def test_a_text_within_it(self, data: st.DataObject) -> None:
        found = recorded(data.draw(st.sampled_from([path.stem for path in FILES if path.stem != "h100_x8"])))
        places = [place for place in _places(found) if place[0] not in ("wanted", "about")]
        for _ in range(data.draw(st.integers(1, 4))):
            *path, last = data.draw(st.sampled_from(places))
            holder = found
            for step in path:
                holder = holder[step]
            holder[last] = _spoilt(data, holder[last])
            places = [place for place in _places(found) if place[0] not in ("wanted", "about")]
        self.judge(found)

    @given(data=st.data())
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    def test_sections_that_are_something_else(self, data: st.DataObject) -> None:
        found = recorded("rtx_4090_rented")
        for name in data.draw(st.sets(st.sampled_from(["machine", *layers.LAYERS.values(), "smi"]), min_size=1)):
            found[name] = data.draw(_ANYTHING)
        self.judge(found)

    def test_nothing_at_all(self) -> None:
        self.judge({})
        assert {finding.name for finding in findings({}) if finding.verdict == "FAIL"} == {"readings"}
        assert "FAIL" not in {finding.verdict for finding in findings({"wanted": {"count": 0}})}


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(found: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Path to every value of a recording."""
    inside = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    return [*([path] if path else []), *(place for key, value in inside for place in _places(value, (*path, key)))]


def _spoilt(data: st.DataObject, value: Any) -> Any:
    how = data.draw(st.sampled_from(["cut", "cells", "else"]))
    if isinstance(value, str) and how == "cut":
        return value[: data.draw(st.integers(0, len(value)))]
    if isinstance(value, str) and how == "cells":
        cells = value.split(", ")
        odd = st.sampled_from(
            ["[Unknown Error]", "[GPU requires reset]", "N/A", "[Not Supported]", "", "-1", "9" * 400, "x", "0x"]
        )
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(odd)
        return ", ".join(cells)
    return deepcopy(data.draw(_ANYTHING))
