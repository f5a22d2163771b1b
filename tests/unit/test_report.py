"""Reports: nothing is left out or made up, in every form."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gpurig.junit import xml as junit
from gpurig.publication import publish, publish_page
from gpurig.report import Report, folder_of, page_of
from gpurig.report_page import html
from gpurig.report_table import text
from gpurig.stack import Stack
from gpurig.verdict import Result, Verdict

NASTY = "<script>alert(1)</script> & \x1b[31mred\x00"


def result(verdict: Verdict, name: str = "", **texts: Any) -> Result:
    given = {"value": "found it", "expected": "wanted it", "reason": "why so", "advice": "do `this`"} | texts
    if verdict == "PASS":
        given |= {"reason": "", "advice": ""}
    return Result(host="demo", topic="topic", name=name or verdict.lower(), verdict=verdict, seconds=0.5, **given)


def report(*results: Result, host: str = "demo", label: str = "p.s.demo.1") -> Report:
    return Report(
        host=host, label=label, started="2026-11-22T10:00:00+00:00", seconds=3.2, quick=False, results=tuple(results)
    )


ALL = report(result("PASS"), result("SKIP"), result("WARN"), result("FAIL"))


class Page(HTMLParser):
    """What a browser would see: verdicts of rows, text, and whatever it would have to fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.hosts: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "tr" and given.get("data-verdict"):
            self.rows.append(str(given["data-verdict"]))
        if tag == "section" and "data-host" in given:
            self.hosts.append(str(given["data-host"]))
        if tag == "a":
            self.links.append(str(given["href"]))
        self.scripts += tag == "script"
        self.fetched += [str(given[key]) for key in ("src", "srcset", "data", "action") if key in given]
        if tag == "link":
            self.fetched.append(str(given.get("href")))

    def handle_data(self, data: str) -> None:
        self.words += data


def printed(*reports: Report) -> str:
    found = text(reports, width=120)
    assert max(map(len, found.splitlines())) <= 120
    assert "\x1b" not in found
    return found


def parsed(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 (our own words)


def test_json_comes_back_as_it_was() -> None:
    data = json.loads(json.dumps(ALL.to_dict()))
    assert Report.from_dict(data) == ALL
    assert data["verdict"] == "FAIL"
    assert data["counts"] == {"PASS": 1, "WARN": 1, "FAIL": 1, "SKIP": 1}


def test_the_table_shows_every_check_of_one_host_and_what_to_do() -> None:
    shown = printed(ALL)
    assert "demo: FAIL (1 PASS, 1 WARN, 1 FAIL, 1 SKIP)" in shown
    assert (
        shown.index("topic: fail")
        < shown.index("topic: warn")
        < shown.index("topic: pass")
        < shown.index("topic: skip")
    )
    assert "why so" in shown
    assert "→ do `this`" in shown


def test_the_table_says_once_what_helps_against_several_problems() -> None:
    shown = printed(report(result("FAIL", "one"), result("FAIL", "two"), result("FAIL", "three", advice="else")))
    assert shown.count("→ do `this`") == 1
    assert shown.index("topic: two. why") < shown.index("→ do `this`") < shown.index("topic: three. why")


def test_of_several_hosts_the_table_counts_what_passed() -> None:
    shown = printed(report(result("PASS", "fine")), report(result("FAIL", "wrong"), result("PASS", "fine"), host="two"))
    assert "fine" not in shown
    assert "wrong" in shown
    assert "demo: PASS (1 PASS)" in shown


def test_junit_counts_skips_apart_from_passes() -> None:
    [suite] = parsed(junit([ALL]))
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "demo", "tests": "4", "failures": "1", "errors": "0", "skipped": "1"
    }  # fmt: skip
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {"pass": [], "skip": ["skipped"], "warn": ["system-out"], "fail": ["failure"]}
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "found: found it, expected: wanted it. why so"
    assert failure.text == "do `this`"


@pytest.mark.parametrize("verdict", ["FAIL", "WARN", "SKIP"])
def test_junit_survives_whatever_a_host_says(verdict: Verdict) -> None:
    bad = report(result(verdict, NASTY, value=NASTY, reason=NASTY, advice=NASTY))
    [[case]] = parsed(junit([bad]))
    assert case.get("name") == "<script>alert(1)</script> & [31mred"
    assert "<script>alert(1)</script> & [31mred" in f"{case[0].get('message')} {case[0].text}"


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = html([ALL], title="demo")
    page = Page(text)
    assert page.fetched == []
    assert "http" not in text
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", text)


def test_the_page_shows_every_result_with_its_reason() -> None:
    page = Page(html([ALL], title="demo"))
    assert page.rows == ["FAIL", "WARN", "PASS", "SKIP"]
    assert page.words.count("why so") == 3
    assert "do this" in page.words


def test_a_threshold_stands_with_its_source_on_the_page_and_in_json() -> None:
    sourced = report(result("FAIL", source="the vendor's data sheet", figure=1.5, unit="GB/s"))
    assert "the vendor's data sheet" in Page(html([sourced], title="demo")).words
    (kept,) = sourced.to_dict()["results"]
    assert (kept["source"], kept["figure"], kept["unit"]) == ("the vendor's data sheet", 1.5, "GB/s")


def test_the_page_shows_what_a_host_says_as_text() -> None:
    page = Page(html([report(result("FAIL", NASTY, value=NASTY, reason=NASTY, advice=NASTY))], title=NASTY))
    assert page.scripts == 1
    assert page.words.count("<script>alert(1)</script>") >= 5


def test_a_page_of_many_hosts_stays_small_and_hides_no_problem() -> None:
    checks = [result("PASS", f"check number {n}") for n in range(50)]
    many = [report(*checks, result("FAIL", "odd"), result("WARN", "doubtful"), host=f"host-{n}") for n in range(200)]
    text = html(many, title="all", links=True)
    page = Page(text)
    assert len(text.encode()) < 300_000
    assert page.rows.count("FAIL") == page.rows.count("WARN") == 200
    assert len(page.hosts) == 200
    assert page.links[0] == "host-0/latest.html"
    assert "50 PASS" in page.words


def test_a_page_of_one_host_stays_small() -> None:
    assert len(html([report(*[result("FAIL", f"check {n}") for n in range(100)])], title="x").encode()) < 300_000


def test_every_form_is_written_for_the_user_alone(stack: Stack) -> None:
    publish(stack, ALL)
    publish_page(stack, {"demo": ALL.label})
    for name in ("latest.json", "latest.xml", "latest.html"):
        path = folder_of(stack, "demo") / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert "found it" in path.read_text()
    assert Page(page_of(stack).read_text()).rows == ["FAIL", "WARN", "PASS", "SKIP"]


def test_the_stack_page_keeps_what_was_verified_earlier(stack: Stack) -> None:
    publish(stack, ALL)
    publish_page(stack, {"demo": ALL.label})
    other = report(result("PASS"), host="two", label="p.s.two.1")
    publish(stack, other)
    publish_page(stack, {"demo": ALL.label, "two": other.label})
    assert Page(page_of(stack).read_text()).hosts == ["demo", "two"]


@pytest.mark.parametrize("text", [None, "{", '{"schema": 0}', '{"schema": 1, "host": "demo"}'])
def test_a_host_without_a_readable_report_is_a_failure_on_the_stack_page(stack: Stack, text: str | None) -> None:
    if text is not None:
        folder_of(stack, "demo").mkdir(parents=True)
        (folder_of(stack, "demo") / "latest.json").write_text(text)
    publish_page(stack, {"demo": "p.s.demo.1"})
    page = Page(page_of(stack).read_text())
    assert page.rows == ["FAIL"]
    assert "was never verified" in page.words


def test_a_report_about_an_earlier_machine_does_not_count(stack: Stack) -> None:
    publish(stack, report(result("PASS")))
    publish_page(stack, {"demo": "p.s.demo.1"})
    publish_page(stack, {"demo": "p.s.demo.2"})
    page = Page(page_of(stack).read_text())
    assert page.rows == ["FAIL"]
    assert "before it was made anew" in page.words
