"""The runner: that no verdict gets lost, whatever the checks do. pytest is real here, only the host is not."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import environments, reach, records, verification
from gpurig.catalogue import ROOT
from gpurig.errors import RigError
from gpurig.host import Capabilities, Endpoint, Host
from gpurig.report import Report
from gpurig.stack import Stack, write_private
from gpurig.verdict import Result
from tests.unit.simulated import HOST_KEY

CHECKS = """
    import pytest

    def test_says_all(check):
        check("good", True, value=1, expected="1", reason="Bad.", advice="Change it.")
        check("doubtful", "WARN", value=2, expected="1", reason="Doubtful.", advice="Look at it.")
        check("bad", False, value=3, expected="1", reason="Bad.", advice="Change it.")
        check.skip("unknowable", "nobody can tell")

    def test_says_nothing(check):
        pass

    def test_crashes_in_the_middle(check):
        check("before it", True, value=1, expected="1", reason="", advice="")
        {}["missing"]

    @pytest.fixture
    def broken():
        raise OSError("no route to host")

    def test_needs_a_broken_fixture(broken):
        pass

    def test_plain():
        assert True

    def test_plain_failure():
        assert 1 + 1 == 3, "arithmetic is off"

    def test_left_out():
        pytest.skip("there is none here")

    @pytest.mark.slow
    def test_long(check):
        check("long", True, value=1, expected="1", reason="", advice="")

    def test_measures(check, request):
        more = {"source": "data sheet", "figure": 1.5, "unit": "GB/s"}
        burn = request.config.getoption("burn")
        check("figure", True, value=f"{burn:g} min", expected="1", reason="", advice="", **more)
        check("no figure", True, value=1, expected="1", reason="", advice="", figure=float("nan"))

    def test_tells_a_secret(check):
        check("leak", False, value="got s3cret-token back", expected="", reason="s3cret-token", advice="not s3cret-token")
"""


@pytest.fixture
def target(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> verification.Target:
    """A recorded host that counts as reachable."""
    records.save(stack, host("demo"))
    monkeypatch.setattr(reach, "check", lambda *_: None)
    return verification.targets(stack, ["demo"])[0]


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of checks with the real conftest and settings of tests/verify, and no check yet."""
    folder = tmp_path / "checks"
    folder.mkdir()
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(verification.CHECKS / name, folder)
    monkeypatch.setattr(verification, "CHECKS", folder)
    return folder


def host(name: str, **keys: object) -> Host:
    return Host(
        name=name,
        project="unit",
        stack="test",
        provider="memory",
        id="1",
        label=f"gpurig.unit.test.{name}.1",
        generation=1,
        endpoint=Endpoint(address="192.0.2.1", port=22, user="root", host_key=HOST_KEY),
        capabilities=Capabilities(init="none", kernel="shared", privilege="root", can_stop=False),
        **keys,  # type: ignore[arg-type]  # keys vary
    )


def write(checks: Path, text: str) -> None:
    (checks / "test_topic.py").write_text(textwrap.dedent(text), encoding="utf-8")


def by_name(report: Report) -> dict[str, Result]:
    return {result.name: result for result in report.results}


def test_every_way_to_end_a_check_gives_a_verdict(target: verification.Target, checks: Path) -> None:
    write_private(target.stack.dir / "secrets" / "demo" / "jupyter", "s3cret-token\n")
    write(checks, CHECKS)
    told: list[Result] = []
    report = verification.examine(target, quick=True, tell=told.append)

    assert {(result.name, result.verdict) for result in report.results} == {
        ("good", "PASS"),
        ("doubtful", "WARN"),
        ("bad", "FAIL"),
        ("unknowable", "SKIP"),
        ("says nothing", "FAIL"),
        ("before it", "PASS"),
        ("crashes in the middle", "FAIL"),
        ("needs a broken fixture", "FAIL"),
        ("plain", "PASS"),
        ("plain failure", "FAIL"),
        ("left out", "SKIP"),
        ("long", "SKIP"),
        ("leak", "FAIL"),
        ("figure", "PASS"),
        ("no figure", "PASS"),
    }
    assert told == list(report.results)
    assert report.verdict == "FAIL"
    found = by_name(report)
    assert found["good"] == Result(
        host="demo", topic="topic", name="good", verdict="PASS", value="1", expected="1", seconds=found["good"].seconds
    )
    assert (found["bad"].reason, found["bad"].advice) == ("Bad.", "Change it.")
    assert "KeyError: 'missing'" in found["crashes in the middle"].reason
    assert "no route to host" in found["needs a broken fixture"].reason
    assert "arithmetic is off" in found["plain failure"].reason
    assert (found["figure"].source, found["figure"].figure, found["figure"].unit) == ("data sheet", 1.5, "GB/s")
    assert found["no figure"].figure is None
    assert found["left out"].reason == "there is none here"
    assert "--quick" in found["long"].reason
    assert "s3cret" not in str(report.to_dict())
    assert found["leak"].value == "got <token> back"


def test_without_quick_long_checks_run(target: verification.Target, checks: Path) -> None:
    write(checks, CHECKS)
    assert by_name(verification.examine(target, quick=False, tell=lambda _: None))["long"].verdict == "PASS"


def test_smoke_tests_have_time_of_their_own(target: verification.Target) -> None:
    with_one = replace(target, host=replace(target.host, environments=("starter", "no such environment")))
    plain, starter = verification._limit(target, quick=False), environments.read(ROOT / "environments" / "starter")
    assert verification._limit(with_one, quick=False) == plain + starter.smoke_seconds
    assert verification._limit(with_one, quick=True) < plain


def test_full_load_reaches_the_checks_and_has_time_of_its_own(target: verification.Target, checks: Path) -> None:
    write(checks, CHECKS.replace("def test_plain():", "def test_plain():\n        import time; time.sleep(3)"))
    report = verification.examine(target, quick=False, burn=0.5, tell=lambda _: None, limit=2)
    assert by_name(report)["figure"].value == "0.5 min"
    assert "finished" not in by_name(report)
    assert report.burn == 0.0


def test_only_full_load_that_a_gpu_tells_of_is_reported(target: verification.Target, checks: Path) -> None:
    for figure, minutes in ((150.0, 0.5), (None, 0.0)):
        said = f'"GPU 0: burn", True, value=1, expected="1", reason="", advice="", figure={figure}'
        (checks / "test_gpu.py").write_text(f"def test_gpu(check):\n    check({said})\n")
        assert verification.examine(target, quick=False, burn=0.5, tell=lambda _: None).burn == minutes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no check ran"),
        ("def test_broken(:", "SyntaxError"),
        ("import os\ndef test_dies():\n    os._exit(9)", "finished"),
    ],
    ids=["none", "unreadable", "killed"],
)
def test_checks_that_do_not_run_are_a_failure(target: verification.Target, checks: Path, text: str, said: str) -> None:
    write(checks, text)
    report = verification.examine(target, quick=False, tell=lambda _: None)
    assert report.verdict == "FAIL"
    assert said in f"{report.results[-1].name} {report.results[-1].value}"


def test_checks_that_hang_are_given_up_and_what_was_found_is_kept(target: verification.Target, checks: Path) -> None:
    write(
        checks,
        """
        import time

        def test_first(check):
            check("first", True, value=1, expected="1", reason="", advice="")

        def test_hangs():
            time.sleep(600)
        """,
    )
    report = verification.examine(target, quick=False, tell=lambda _: None, limit=10)
    assert [(result.name, result.verdict) for result in report.results] == [("first", "PASS"), ("finished", "FAIL")]
    assert "given up after 10 s" in report.results[-1].value
    assert report.seconds < 60


def test_an_unreachable_host_is_a_failure_that_says_why(
    stack: Stack, checks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.save(stack, host("demo"))

    def refuse(*_: object) -> None:
        raise reach.UnreachableError("nothing listens at 192.0.2.1:22", lasting=False)

    monkeypatch.setattr(reach, "check", refuse)
    [report] = verification.verify(stack)
    assert [(result.name, result.verdict) for result in report.results] == [("reachable", "FAIL")]
    assert "nothing listens at 192.0.2.1:22" in report.results[0].value


def test_one_unreachable_host_does_not_hide_the_others(
    stack: Stack, checks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        records.save(stack, host(name))
    write(checks, "def test_plain():\n    pass")

    def refuse(stack: Stack, host: Host, name: str, config: Path) -> None:
        if name == "one":
            raise reach.UnreachableError("gone", lasting=True)

    monkeypatch.setattr(reach, "check", refuse)
    assert {report.host: report.verdict for report in verification.verify(stack)} == {"one": "FAIL", "two": "PASS"}


def test_hosts_are_chosen_by_name(stack: Stack) -> None:
    with pytest.raises(RigError, match="no hosts to verify"):
        verification.targets(stack)
    for name in ("one", "two"):
        records.save(stack, host(name))
    assert [target.name for target in verification.targets(stack)] == ["one", "two"]
    assert [target.name for target in verification.targets(stack, ["two"])] == ["two"]
    with pytest.raises(RigError, match=r"No host 'thre'.*one, two"):
        verification.targets(stack, ["one", "thre"])
