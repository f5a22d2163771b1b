"""A host's history: nothing is lost or mixed up, and what is damaged or too much goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gpurig import history
from gpurig.comparison import compare
from gpurig.history import Figure, Run
from gpurig.publication import publish
from gpurig.report import folder_of
from gpurig.stack import Stack, write_private
from tests.unit.past import NEW, OLD, START, report, result, run


def write(stack: Stack, runs: Sequence[Run]) -> None:
    lines = (json.dumps(one.to_dict()) for one in runs)
    write_private(history.file_of(stack, "demo"), "".join(f"{line}\n" for line in lines))


class TestFile:
    def test_every_verification_is_one_line_that_comes_back(self, stack: Stack) -> None:
        publish(stack, report(result("speed", figure=150.5, unit="TFLOPS"), result("off", "SKIP")))
        publish(stack, report(result("speed", "WARN", figure=100, unit="TFLOPS"), quick=True, hour=1))
        first, second = history.runs(stack, "demo")
        assert history.file_of(stack, "demo").read_text().count("\n") == 2
        assert history.file_of(stack, "demo").stat().st_mode & 0o777 == 0o600
        assert first == Run(
            label=NEW,
            started=START.isoformat(),
            quick=False,
            counts={"PASS": 1, "WARN": 0, "FAIL": 0, "SKIP": 1},
            checks={"gpu: speed": "PASS", "gpu: off": "SKIP"},
            figures={"gpu: speed": Figure(150.5, "TFLOPS")},
        )
        assert (second.quick, second.checks, second.figures["gpu: speed"].value) == (True, {"gpu: speed": "WARN"}, 100)

    def test_of_two_results_with_one_name_the_graver_is_kept(self) -> None:
        found = history.of(report(result("same", "FAIL", 1.0), result("same", "PASS", 2.0)))
        assert (found.checks, found.figures) == ({"gpu: same": "FAIL"}, {"gpu: same": Figure(1.0, "")})

    @pytest.mark.parametrize("figure", [float("nan"), float("inf")])
    def test_a_figure_that_is_no_number_is_left_out_everywhere(self, stack: Stack, figure: float) -> None:
        publish(stack, report(result("speed", "FAIL", figure)))
        assert history.runs(stack, "demo")[0].figures == {}
        text = (folder_of(stack, "demo") / "latest.json").read_text()
        assert json.loads(text, parse_constant=pytest.fail)["results"][0]["figure"] is None

    @pytest.mark.parametrize(
        "broken",
        [
            '{"schema": 1, "la',
            "\n\n",
            "[]\n",
            "null\n",
            '{"schema": 2}\n',
            "\udcff\n",
            '"x"\n',
            '{"schema":1,"checks":0}',
        ],
    )
    def test_what_cannot_be_read_is_passed_over_and_the_next_line_is_whole(self, stack: Stack, broken: str) -> None:
        write(stack, [run(0, {"speed": 1.0})])
        with history.file_of(stack, "demo").open("a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(broken)
        assert len(history.runs(stack, "demo")) == 1
        history.add(stack, report(result("speed", figure=2.0), hour=1))
        assert [one.quick for one in history.runs(stack, "demo")] == [False, False]

    def test_no_history_is_an_empty_one(self, stack: Stack) -> None:
        assert history.runs(stack, "demo") == []
        assert history.baseline(stack, "demo", NEW) == {}

    def test_the_oldest_go_and_quick_runs_do_not_push_out_full_ones(self, stack: Stack) -> None:
        full = [run(n, {"speed": 1.0}) for n in range(10)]
        quick = [run(100 + n, quick=True) for n in range(history.KEEP + history.SLACK - 11)]
        write(stack, [*full, *quick])
        for hour in (5000, 5001):
            history.add(stack, report(result("speed", figure=1.0), quick=True, hour=hour))
        kept = history.runs(stack, "demo")
        assert len(kept) == history.KEEP
        assert [one for one in kept if not one.quick] == full
        assert kept[-1].started == (START + timedelta(hours=5001)).isoformat()
        assert kept[10].started > quick[0].started


class TestBaseline:
    def test_it_is_the_median_of_full_runs_of_this_very_machine(self, stack: Stack) -> None:
        speeds = [{"gpu: GPU 0: bf16 matmul": value} for value in (150.0, 160.0, 155.0)]
        write(
            stack,
            [
                run(0, {"gpu: GPU 0: bf16 matmul": 90.0}, label=OLD),
                *(run(1 + n, speed) for n, speed in enumerate(speeds)),
                run(5, {"gpu: GPU 0: bf16 matmul": 10.0}, quick=True),
                run(6, {"gpu: GPU 0: bf16 matmul": 20.0}, verdict="FAIL"),
                run(7, {"base: clock": 3.0}),
            ],
        )
        assert history.baseline(stack, "demo", NEW) == {"GPU 0: bf16 matmul": 155.0}
        assert history.baseline(stack, "demo", OLD) == {"GPU 0: bf16 matmul": 90.0}
        assert history.baseline(stack, "demo", "p.s.demo.3") == {}

    def test_a_slowdown_that_lasts_does_not_become_usual(self, stack: Stack) -> None:
        name = "gpu: GPU 0: bf16 matmul"
        slow = [run(3 + n, {name: 100.0}, verdict="WARN") for n in range(20)]
        write(stack, [run(0, {name: 150.0}), run(1, {name: 152.0}), run(2, {name: 151.0}), *slow])
        assert history.baseline(stack, "demo", NEW) == {"GPU 0: bf16 matmul": 151.0}

    def test_what_was_never_better_than_a_warning_is_usual_all_the_same(self, stack: Stack) -> None:
        name = "gpu: GPU 0: bf16 matmul"
        write(stack, [run(0, {name: 90.0}, verdict="WARN"), run(1, {name: 10.0}, verdict="FAIL")])
        assert history.baseline(stack, "demo", NEW) == {"GPU 0: bf16 matmul": 90.0}

    def test_a_new_usual_begins_with_what_follows(self, stack: Stack) -> None:
        name = "gpu: GPU 0: bf16 matmul"
        write(stack, [run(0, {name: 150.0})])
        history.forget_usual(stack, "demo")
        assert history.baseline(stack, "demo", NEW) == {}
        later = replace(run(0, {name: 100.0}), started=datetime.now(UTC).isoformat(timespec="seconds"))
        write(stack, [run(0, {name: 150.0}), later])
        assert history.baseline(stack, "demo", NEW) == {"GPU 0: bf16 matmul": 100.0}
        (folder_of(stack, "demo") / "usual_since").write_text("yesterday")
        assert history.baseline(stack, "demo", NEW) == {"GPU 0: bf16 matmul": 125.0}


class TestComparison:
    def test_what_changed_is_told_and_nothing_else(self) -> None:
        before = report(
            result("same"),
            result("broke"),
            result("left"),
            result("slow", figure=100, unit="GB/s"),
            result("steady", figure=100),
        )
        now = report(
            result("same"), result("broke", "FAIL"), result("came", "WARN"), result("slow", figure=94, unit="GB/s"),
            result("steady", figure=104.9), hour=1,
        )  # fmt: skip
        found = compare("demo", history.of(before), history.of(now))
        assert str(found).splitlines() == [
            "demo, compared with the full verification of 2026-11-01 10:00 UTC:",
            "  PASS → FAIL: gpu: broke",
            "  new: gpu: came: WARN",
            "  gone: gpu: left: was PASS",
            "  moved: gpu: slow: 100 GB/s → 94 GB/s (-6.0 %)",
        ]
        data = json.loads(json.dumps(found.to_dict()))
        assert data == {
            "with": {"started": START.isoformat(), "label": NEW, "same_machine": True},
            "changed": [{"check": "gpu: broke", "before": "PASS", "now": "FAIL"}],
            "appeared": [{"check": "gpu: came", "now": "WARN"}],
            "vanished": [{"check": "gpu: left", "before": "PASS"}],
            "figures": [
                {
                    "check": "gpu: slow",
                    "before": {"value": 100.0, "unit": "GB/s"},
                    "now": {"value": 94.0, "unit": "GB/s"},
                    "percent": -6.0,
                }
            ],
        }

    def test_without_an_earlier_run_it_says_so(self) -> None:
        found = compare("demo", None, history.of(report(quick=True)))
        assert str(found) == "demo: nothing to compare with: there was no earlier quick verification."
        assert found.to_dict()["with"] is None

    def test_where_nothing_changed_it_says_so(self) -> None:
        one = history.of(report(result("same", figure=0.0)))
        assert str(compare("demo", one, one)).endswith("\n  nothing changed.")

    def test_an_earlier_machine_is_named_as_such(self) -> None:
        found = compare("demo", history.of(report(label=OLD)), history.of(report(label=NEW)))
        assert "which was of an earlier machine" in str(found)

    @pytest.mark.parametrize(("old", "new", "unit"), [(0.0, 1.0, "W"), (1.0, 1.0, "kW")])
    def test_from_nothing_or_to_another_unit_there_are_no_percents(self, old: float, new: float, unit: str) -> None:
        before, now = report(result("power", figure=old, unit="W")), report(result("power", figure=new, unit=unit))
        (move,) = compare("demo", history.of(before), history.of(now)).moved
        assert move.percent is None
        assert "%" not in str(move)

    def test_long_lists_are_cut_in_the_text_only(self) -> None:
        now = history.of(report(*(result(f"check {n}") for n in range(50))))
        found = compare("demo", history.of(report()), now)
        assert str(found).count("\n") == 21
        assert "… and 30 more" in str(found)
        assert len(found.to_dict()["appeared"]) == 50

    def test_quick_runs_are_compared_with_quick_ones(self) -> None:
        runs = [run(0, quick=True), run(1), run(2)]
        assert history.before(runs, run(3, quick=True)) is runs[0]
        assert history.before(runs, run(3)) is runs[2]
        assert history.before(runs[1:], run(3, quick=True)) is None
