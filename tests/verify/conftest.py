"""Gives the checks their host, and takes down their verdicts.

A check is a function that takes `check` and calls it once per verdict. A plain Testinfra function with asserts works
as well: its name becomes the check's. What crashes is a FAIL, what is skipped is a SKIP with its reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gpurig import access, listeners, services, verification
from gpurig.health.finding import Finding
from gpurig.listeners import Listener
from gpurig.services import Service
from gpurig.stack import open_stack
from gpurig.verdict import Result, Verdict

RESULTS = pytest.StashKey[list[Result]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--verdicts", metavar="FILE", help="append each verdict to FILE, as one line of JSON")
    parser.addoption("--quick", action="store_true", help="leave out what takes more than a few seconds")
    parser.addoption("--burn", metavar="MINUTES", type=float, default=0.0, help="keep the GPUs under full load so long")


def pytest_configure(config: pytest.Config) -> None:
    config.option.connection = config.option.connection or "ssh"
    config.option.ssh_config = config.option.ssh_config or str(access.config_file(open_stack()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if config.getoption("quick") and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip("takes longer than --quick allows"))


@pytest.fixture(scope="module")
def target(_testinfra_host: Any) -> verification.Target:
    """The machine that is checked, as it is recorded."""
    return verification.targets(open_stack(), [_testinfra_host.backend.hostname])[0]


@pytest.fixture(scope="module", autouse=True)
def host(_testinfra_host: Any, target: verification.Target) -> Iterator[Any]:
    """Testinfra's host, on which everything runs as root. Every check has one, whether it asks for it or not."""
    with _testinfra_host.sudo() if target.capabilities.privilege == "sudo" else nullcontext():
        yield _testinfra_host


@pytest.fixture(scope="module")
def fix(request: pytest.FixtureRequest, target: verification.Target) -> str:
    """What mends most of what a file finds wrong: the role that it names as ROLE."""
    return f"Run `ansible-playbook playbooks/site.yml --tags {request.module.ROLE} --limit {target.name}`."


@pytest.fixture(scope="module")
def wanted(target: verification.Target) -> dict[str, Service]:
    """The services that shall run there."""
    if not target.services:
        pytest.skip("no service is configured for this host")
    return services.of_host(target.host)


@pytest.fixture(scope="module")
def as_user(target: verification.Target) -> Callable[[str], str]:
    """Turns a shell command into one that runs as after a fresh login of the user."""
    return target.as_user


@pytest.fixture(scope="module")
def sockets(host: Any, as_user: Callable[[str], str]) -> Callable[[], frozenset[Listener]]:
    """Looks which sockets listen at the moment."""
    command = f"{listeners.COMMAND} && {as_user(listeners.COMMAND)}"
    return lambda: listeners.parse(host.check_output(command))


class Check:
    """Takes down verdicts of one test function."""

    def __init__(self, item: pytest.Item, host: str) -> None:
        self._item, self._host = item, host
        self._clock = time.monotonic()
        item.stash[RESULTS] = []

    def __call__(
        self, name: str, verdict: Verdict | bool, *, value: object, expected: str, reason: str, advice: str, **more: Any
    ) -> None:
        """One verdict. reason and advice are for the case that it is no PASS; more: source, figure, unit. See Result."""
        verdict = ("PASS" if verdict else "FAIL") if isinstance(verdict, bool) else verdict
        if verdict == "PASS":
            reason = advice = ""
        self._take(name, verdict, value=str(value), expected=expected, reason=reason, advice=advice, **more)

    def findings(self, findings: Iterable[Finding]) -> None:
        """Verdicts that gpurig.health reached, as they come."""
        for finding in findings:
            texts = asdict(finding)
            self._take(texts.pop("name"), texts.pop("verdict"), **texts)

    def skip(self, name: str, reason: str) -> None:
        """Say that nothing can be said, and why."""
        self._take(name, "SKIP", reason=reason)

    def _take(self, name: str, verdict: Verdict, **texts: Any) -> None:
        now = time.monotonic()
        _take(self._item, _result(self._item, self._host, name, verdict, now - self._clock, **texts))
        self._clock = now


@pytest.fixture
def check(request: pytest.FixtureRequest, target: verification.Target) -> Check:
    """Call it once per verdict."""
    return Check(request.node, target.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    parameters: dict[str, Any] = getattr(item, "callspec").params  # noqa: B009 (pytest does not declare it)
    host = parameters["_testinfra_host"].backend.hostname
    own = item.name.partition("[")[0].removeprefix("test_").replace("_", " ")
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        _take(item, _result(item, host, own, "SKIP", call.duration, reason=reason))
    elif report.failed and call.excinfo:
        reason = f"The check itself went wrong: {_brief(call.excinfo)}"
        advice = f"See it happen: `pytest {item.path} -c {item.config.inipath} --hosts {host}`."
        _take(item, _result(item, host, own, "FAIL", call.duration, reason=reason, advice=advice))
    elif report.when == "call":
        if not (said := item.stash.get(RESULTS, None)):
            verdict: Verdict = "PASS" if said is None else "FAIL"
            reason = "" if said is None else "The check said nothing."
            _take(item, _result(item, host, own, verdict, call.duration, reason=reason))
        failed = [result for result in item.stash[RESULTS] if result.verdict == "FAIL"]
        if failed:
            report.outcome = "failed"
            report.longrepr = "\n".join(f"{r.name}: {r.value} ({r.expected}). {r.reason} {r.advice}" for r in failed)
    return report


def _result(item: pytest.Item, host: str, name: str, verdict: Verdict, seconds: float, **texts: Any) -> Result:
    topic = item.path.stem.removeprefix("test_")
    return Result(host=host, topic=topic, name=name, verdict=verdict, seconds=round(seconds, 2), **texts)


def _take(item: pytest.Item, result: Result) -> None:
    item.stash.setdefault(RESULTS, []).append(result)
    if path := item.config.getoption("verdicts"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(result.to_dict()) + "\n")


def _brief(error: pytest.ExceptionInfo[BaseException]) -> str:
    place = error.traceback[-1]
    text = " ".join(str(error.value).split())[:300]
    return f"{error.typename}: {text} ({Path(str(place.path)).name}:{place.lineno + 1})"
