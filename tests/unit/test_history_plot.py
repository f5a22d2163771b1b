"""Plots of a host's history: true, small and readable for everybody."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from gpurig import history_plot
from gpurig.history import Figure, Run
from gpurig.publication import publish, publish_page
from gpurig.report import folder_of, page_of
from gpurig.report_page import html
from gpurig.stack import Stack
from gpurig.verdict import Verdict
from tests.unit.past import NEW, OLD, START, report, result, run


class Plots(HTMLParser):
    """The plots of a page: names, lines with their points, dots by class, and texts for those who see none."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.labels: list[str] = []
        self.lines: list[tuple[str, list[tuple[float, float]]]] = []
        self.dots: list[str] = []
        self.scripts = self.titles = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "svg":
            assert given["role"] == "img"
            self.labels.append(given["aria-label"])
        elif tag == "polyline":
            points = [tuple(map(float, pair.split(","))) for pair in given["points"].split()]
            self.lines.append((given.get("class", ""), [(x, y) for x, y in points]))
        elif tag == "circle":
            self.dots.append(given.get("class", ""))
        self.titles += tag == "title"


def page(runs: Sequence[Run]) -> str:
    return html([report(result("speed", figure=1.0))], title="demo", runs=runs)


class TestPlots:
    def test_each_figure_is_plotted_over_time(self) -> None:
        plots = Plots(page([run(0, {"a": 100.0, "b": 1.0}), run(1, {"a": 150.0}), run(3, {"a": 50.0, "b": 2.0})]))
        assert [label.partition(":")[0] for label in plots.labels] == ["a", "b"]
        assert plots.labels[0] == "a: 50 TFLOPS now; 50 to 150 TFLOPS in 3 runs, from 2026-11-01 to 2026-11-01"
        (_, points), _ = plots.lines
        assert [x for x, _ in points] == pytest.approx([0, history_plot.WIDTH / 3, history_plot.WIDTH])
        assert points[1][1] < points[0][1] < points[2][1]  # SVG counts downward

    def test_an_earlier_machine_has_a_line_of_its_own(self) -> None:
        runs = [run(0, {"a": 1.0}, label=OLD), run(1, {"a": 1.0}, label=OLD), run(2, {"a": 2.0}), run(3, {"a": 2.0})]
        plots = Plots(page(runs))
        assert [name for name, _ in plots.lines] == ["earlier", ""]
        assert "the first 2 on an earlier machine" in plots.labels[0]

    def test_what_was_no_pass_is_a_dot_in_its_colour(self) -> None:
        assert Plots(page([run(0, {"a": 1.0}), run(1, {"a": 0.5}, verdict="FAIL"), run(2, {"a": 1.0})])).dots == [
            "",
            "FAIL",
            "",
        ]

    def test_points_in_another_unit_are_left_out(self) -> None:
        old = Run(
            label=NEW, started=START.isoformat(), quick=False, checks={"a": "PASS"}, figures={"a": Figure(9, "s")}
        )
        assert "in 2 runs" in Plots(page([old, run(1, {"a": 1.0}), run(2, {"a": 1.0})])).labels[0]

    @pytest.mark.parametrize("runs", [[], [run(0, {"a": 1.0})], [run(0), run(1)]])
    def test_one_point_is_no_history(self, runs: list[Run]) -> None:
        assert "<svg" not in page(runs)
        assert "polyline" not in page(runs)

    def test_a_steady_figure_is_a_flat_line_and_noise_is_no_mountain(self) -> None:
        for values in ([5.0, 5.0], [0.0, 0.0], [-3.0, -3.0], [160.0, 160.1], [1e-30, 1e-30], [1e12, 1e12]):
            ((_, points),) = Plots(page([run(n, {"a": value}) for n, value in enumerate(values)])).lines
            (_, first), (_, last) = points
            assert abs(first - last) < history_plot.HEIGHT / 20
            assert 0 <= first <= history_plot.HEIGHT

    def test_thinning_keeps_the_last_point_and_every_dip(self) -> None:
        values = [100.0] * 500
        values[123], values[400] = 20.0, 180.0
        points = [history_plot.Point(NEW, START + timedelta(hours=n), value, "PASS") for n, value in enumerate(values)]
        kept = history_plot.thinned(points, 60)
        assert len(kept) <= 60
        assert {20.0, 180.0} <= {point.value for point in kept}
        assert kept[-1] == points[-1]
        assert kept == sorted(kept, key=lambda point: point.at)
        assert history_plot.thinned(points[:60], 60) == points[:60]

    @pytest.mark.parametrize("verdict", ["PASS", "WARN"])
    def test_a_page_with_500_runs_of_many_figures_stays_small(self, verdict: Verdict) -> None:
        names = [f"gpu: GPU {gpu}: figure number {n} of many" for gpu in range(8) for n in range(12)]
        runs = [run(n, dict.fromkeys(names, 1000.123 + n * 7 % 13), verdict=verdict) for n in range(500)]
        long = "What is found, what it means and what to do about it, all of it in several words. " * 2
        rows = [
            result(name, verdict, 1.0, value="1000", expected="1200 or more", source=long, reason=long)
            for name in names
        ]
        text = html([report(*rows)], title="demo", runs=runs)
        assert len(text.encode()) < 300_000
        plots = Plots(text)
        assert len(plots.labels) == history_plot.PLOTS
        assert f"{96 - history_plot.PLOTS} more figures are in history.jsonl" in text
        assert all(len(points) <= history_plot.POINTS for _, points in plots.lines)

    def test_plots_need_no_script_and_nothing_from_elsewhere(self) -> None:
        evil = "</svg><script>alert(1)</script>"
        text = page([run(0, {evil: 1.0}), run(1, {evil: 2.0})])
        assert text.count("<script") == 1
        assert "&lt;script&gt;" in text
        assert not re.search(r"https?:|src=|@import|url\(", text)

    def test_they_are_on_the_hosts_page_and_not_on_the_stacks(self, stack: Stack) -> None:
        for hour in range(2):
            publish(stack, report(result("speed", figure=1.0 + hour), hour=hour))
        publish_page(stack, {"demo": NEW})
        assert Plots((folder_of(stack, "demo") / "latest.html").read_text()).labels
        assert not Plots(page_of(stack).read_text()).labels
