"""Verification on a real host: fine as configured, and each thing that is broken gets its verdict."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpurig import records, services
from gpurig.report import folder_of, page_of
from tests.e2e.breaking import BREAK, RESTORE
from tests.e2e.configured import Configured
from tests.unit.metrics import samples

Results = dict[str, dict[str, Any]]
"""`topic: name` → result."""


def by_name(text: str) -> Results:
    [report] = json.loads(text)
    return {f"{result['topic']}: {result['name']}": result for result in report["results"]}


@pytest.fixture(scope="module")
def healthy(configured_host: Configured) -> Results:
    """What the full verification says about a host as site.yml left it."""
    done = configured_host.rig("verify", configured_host.host.name, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return by_name(done.stdout)


def test_a_configured_host_is_fine(healthy: Results) -> None:
    assert {name: result["value"] for name, result in healthy.items() if result["verdict"] in ("FAIL", "WARN")} == {}


def test_what_cannot_be_told_is_skipped_with_its_reason(healthy: Results) -> None:
    skipped = {name: result["reason"] for name, result in healthy.items() if result["verdict"] == "SKIP"}
    assert "`gpu_driver` is none" in skipped["gpu: devices"]
    assert all(skipped.values())


def test_the_long_checks_really_ran(healthy: Results) -> None:
    assert re.search(r"accuracy 0\.9\d", healthy["environments: starter: smoke test"]["value"])
    assert healthy["services: jupyter: a kernel computes"]["value"] == "6 * 7 = 42"
    assert re.search(r"\d{4,}, by hash", healthy["environments: starter: installed files"]["value"])


@pytest.fixture(scope="class")
def failed(configured_host: Configured, healthy: Results) -> Iterator[subprocess.CompletedProcess[str]]:
    """verify.yml while many things are broken, each on its own. They are put right again."""
    configured_host.root(BREAK)
    try:
        yield configured_host.playbook("verify.yml", "-e", "verify_quick=true")
    finally:
        configured_host.root(RESTORE)


@pytest.fixture(scope="class")
def broken(configured_host: Configured, failed: subprocess.CompletedProcess[str]) -> Results:
    """What its report says."""
    report = folder_of(configured_host.stack, configured_host.host.name) / "latest.json"
    return by_name(f"[{report.read_text(encoding='utf-8')}]")


class TestBroken:
    """Every test looks at the same broken host."""

    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("access: password login of dev", "anyone may try (password)"),
            ("access: password login of root", "anyone may try (password)"),
            ("access: PasswordAuthentication", "yes"),
            ("access: MAC algorithms", "hmac-sha1"),
            ("access: host key", "SHA256:"),
            ("listeners: tcp *:8765", "opened by python3"),
            ("listeners: udp 127.0.0.1:8766", "opened by python3"),
            ("listeners: tcp *:8888", "opened by jupyter"),
            ("services: tensorboard: runs", "inactive"),
            ("services: tensorboard: starts with the host", "no"),
            ("services: tensorboard: answers with its token", "no answer"),
            ("services: jupyter: refuses without its token", "without: HTTP 200"),
            ("services: jupyter: on loopback only", "*:8888"),
            ("services: jupyter: token is secret", "ps shows it"),
            ("services: jupyter: token is secret", "not for root alone"),
            ("environments: starter: files", "smoke.py"),
            ("environments: starter: packages", "not in the lock: smuggled 1.0"),
            ("environments: starter: installed files", "joblib/__init__.py (changed)"),
            ("base: extra certificate authorities", "0 of"),
            ("base: files that anyone can change", "/opt/gpurig/bin"),
        ],
    )
    def test_what_is_broken_fails_and_says_what_to_do(self, broken: Results, name: str, found: str) -> None:
        result = broken[name]
        assert result["verdict"] == "FAIL"
        assert found in result["value"]
        assert result["reason"]
        assert result["advice"]

    def test_a_failed_unit_that_is_not_ours_is_a_warning(self, broken: Results) -> None:
        result = broken["base: units that failed"]
        assert (result["verdict"], result["value"]) == ("WARN", "test-fails.service")

    def test_a_socket_can_be_declared_as_the_advice_says(self, broken: Results, configured_host: Configured) -> None:
        host = configured_host.host
        declared = re.findall(r'listeners: \["(.+?)"\]', broken["listeners: tcp *:8765"]["advice"])
        assert declared == ["*:8765"]
        records.save(configured_host.stack, replace(host, spec={**host.spec, "listeners": declared}))
        try:
            again = configured_host.check("listeners")
        finally:
            records.save(configured_host.stack, host)
        assert {result.name for result in again if result.verdict == "FAIL"} == {"udp 127.0.0.1:8766", "tcp *:8888"}

    def test_what_follows_from_another_problem_is_skipped(self, broken: Results) -> None:
        result = broken["services: tensorboard: refuses without its token"]
        assert (result["verdict"], result["reason"]) == ("SKIP", "nothing answers at its port")

    def test_what_is_not_broken_still_passes(self, broken: Results) -> None:
        for name in ("access: key exchange algorithms", "base: clock", "services: jupyter: runs"):
            assert broken[name]["verdict"] == "PASS"

    def test_the_playbook_fails_and_shows_what_is_wrong(
        self, failed: subprocess.CompletedProcess[str], configured_host: Configured
    ) -> None:
        assert failed.returncode == 2, failed.stdout + failed.stderr
        assert re.search(rf"^{configured_host.host.name}: FAIL \(", failed.stdout, re.MULTILINE)
        assert re.search(r"FAIL +services: tensorboard: runs +inactive +running", failed.stdout)

    def test_no_report_holds_a_token(self, broken: Results, configured_host: Configured) -> None:
        """Least of all when the token is what is wrong."""
        stack, host = configured_host.stack, configured_host.host
        tokens = [services.token(stack.dir, host.name, name) for name in host.services]
        files = [*folder_of(stack, host.name).iterdir(), page_of(stack)]
        assert {path.name for path in files} == {f"latest.{form}" for form in ("json", "xml", "html", "prom")} | {
            "history.jsonl"
        }
        for path in files:
            assert not [token for token in tokens if token in path.read_text(encoding="utf-8")], path


def test_a_host_that_cannot_be_reached_fails_beside_one_that_can(configured_host: Configured) -> None:
    stack, host = configured_host.stack, configured_host.host
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gone = replace(host, name="gone", label=f"{host.label}-gone", endpoint=replace(host.endpoint, port=port))
    records.save(stack, gone)
    try:
        done = configured_host.rig("verify", "gone", host.name, "--quick", "--json")
    finally:
        records.remove(stack, "gone")
    assert done.returncode == 3
    found = {report["host"]: report["results"] for report in json.loads(done.stdout)}
    assert [(result["name"], result["verdict"]) for result in found["gone"]] == [("reachable", "FAIL")]
    assert f"127.0.0.1:{port}" in found["gone"][0]["value"]
    assert len(found[host.name]) > 20


def test_once_put_right_the_playbook_passes_and_shows_the_table(configured_host: Configured) -> None:
    done = configured_host.playbook("verify.yml", "-e", "verify_quick=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{configured_host.host.name}: PASS \(\d+ PASS, \d+ SKIP\)", done.stdout, re.MULTILINE)
    assert "password login of dev" in done.stdout


def test_the_next_one_is_compared_with_it_and_monitoring_can_read_it(
    configured_host: Configured, tmp_path: Path
) -> None:
    name, metrics = configured_host.host.name, tmp_path / "gpurig.prom"
    configured_host.rig("verify", name, "--quick")
    done = configured_host.rig("verify", name, "--quick", "--compare", f"--textfile={metrics}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name}, compared with the quick verification of .* UTC:\n  ", done.stdout, re.MULTILINE)
    checks = {labels["check"]: value for kind, labels, value in samples(metrics.read_text()) if kind == "gpurig_check"}
    assert checks["password login of dev"] == 0
    done = configured_host.rig("verify", name, "--quick", "--nagios")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert re.match(rf"OK - {name}: \d+ PASS, \d+ SKIP \| 'PASS'=\d+;;;0 ", done.stdout)


def test_a_host_without_gpu_has_nothing_to_record(configured_host: Configured, tmp_path: Path) -> None:
    name, file = configured_host.host.name, tmp_path / "recording.json"
    done = configured_host.rig("verify", name, "--quick", f"--capture={file}")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{name} has no GPU to record" in done.stderr
    assert not file.exists()
