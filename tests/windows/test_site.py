"""From a fresh (simulated) PC to a verified host, by the commands that its owner types; the Linux within is a real one."""

from __future__ import annotations

import json
import re

import pytest

from gpurig.windows.topics.power import FAST_STARTUP
from tests.windows.home import NAME, Home
from tests.windows.model import boot, clock, wsl_vm

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def told(fresh_home: Home) -> str:
    """What check mode says of both sides, before anything was done."""
    fresh_home.rig("up", "--yes")
    before = fresh_home.machine.snapshot()
    said = fresh_home.playbook("site.yml", "--check", "--diff").stdout
    assert fresh_home.machine.data["done"] == before["done"]
    return said


@pytest.fixture(scope="module")
def ready(fresh_home: Home, told: str) -> Home:
    """The PC after `rig up` and site.yml."""
    done = fresh_home.playbook("site.yml")
    assert "failed=0" in done.stdout
    return fresh_home


def changed(output: str) -> dict[str, int]:
    """Host → tasks that changed something."""
    return {host: int(count) for host, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", output, re.MULTILINE)}


def test_check_mode_tells_of_a_fresh_pc_and_leaves_its_linux_out(told: str) -> None:
    assert "home-wsl does not exist yet" in told
    recap = told.partition("PLAY RECAP")[2]
    assert "unreachable=0" in recap
    assert "unreachable=1" not in recap
    assert "failed=1" not in recap
    assert "+instanceIdleTimeout=-1" in told


def test_a_fresh_pc_becomes_two_hosts(ready: Home) -> None:
    assert ready.inside("id -un; test -d /run/systemd/system && echo systemd") == "me\nsystemd"
    assert [one["DistributionName"] for _, one in wsl_vm.entries(ready.machine)] == [NAME]
    assert ready.machine.data["boots"] == 2  # one restart, for the feature


def test_a_second_run_changes_nothing(ready: Home) -> None:
    assert changed(ready.playbook("site.yml").stdout) == {"home-win": 0, "home-wsl": 0}


def test_the_linux_side_alone_is_checked_like_any_host(ready: Home) -> None:
    told = ready.playbook("site.yml", "--check", "--tags=base", limit="home-wsl").stdout
    assert "does not exist yet" not in told
    assert changed(told) == {"home-wsl": 0}


def test_check_mode_tells_what_would_change_and_changes_nothing(ready: Home) -> None:
    ready.machine.data["power"]["standby"] = 600
    ready.machine.registry(FAST_STARTUP)["HiberbootEnabled"] = 1
    before = ready.machine.snapshot()
    told = ready.playbook("site.yml", "--check", "--diff", limit="home-win").stdout
    assert changed(told) == {"home-win": 1}
    assert "-standby: after 10 minutes" in told
    assert "+standby: never" in told
    assert "-HiberbootEnabled=1" in told
    assert ready.machine.data["power"] == before["power"]
    assert changed(ready.playbook("site.yml", limit="home-win").stdout) == {"home-win": 1}


def test_it_verifies(ready: Home) -> None:
    done = ready.rig("--json", "verify", "home", check=False)
    (report,) = json.loads(done.stdout)
    assert [(one["name"], one["reason"]) for one in report["results"] if one["verdict"] == "FAIL"] == []
    windows = {one["name"]: one["verdict"] for one in report["results"] if one["topic"] == "windows"}
    assert len(windows) == 7
    assert windows["WSL2 with systemd"] in ("PASS", "WARN")


def test_it_trains(ready: Home) -> None:
    (ready.project.root / "job.py").write_text("import sklearn; print('trained with', sklearn.__version__)\n")
    assert "trained with" in ready.rig("train", "home", "job.py").stdout


def test_the_doctor_finds_nothing(ready: Home) -> None:
    assert "FAIL" not in ready.rig("doctor", "home").stdout


def test_it_survives_a_restart_with_nobody_logged_on(ready: Home) -> None:
    boot.boot(ready.machine)
    clock.advance(ready.machine, 3)
    assert ready.inside("cat /proc/1/comm") == "systemd"
    (report,) = json.loads(ready.rig("--json", "verify", "home", "--quick", check=False).stdout)
    assert {one["name"]: one["verdict"] for one in report["results"]}["survives a restart"] == "PASS"


def test_a_reinstalled_windows_is_brought_back_once_its_new_key_is_confirmed(ready: Home) -> None:
    results = sorted(path.name for path in ready.project.stack().dir.joinpath("runs").rglob("*") if path.is_file())
    assert results
    ready.reinstall()
    refused = ready.rig("rebuild", "home", "--yes", check=False)
    assert refused.returncode != 0
    assert "rig register home --fingerprint" in refused.stderr
    ready.register()
    done = ready.rig("rebuild", "home", "--yes")
    assert "verdict" not in done.stderr
    assert ready.inside("id -un") == "me"
    kept = [path.name for path in ready.project.stack().dir.joinpath("runs").rglob("*") if path.is_file()]
    assert set(results) <= set(kept)
