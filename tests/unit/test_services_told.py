"""What a host says about its services; systemd and supervisor are stand-ins that print what the real ones print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpurig import far_services
from gpurig.host import Capabilities, Endpoint, Host
from gpurig.ops import services as ops
from tests.templates.rendering import render

SHOWN = """
case "$2" in
gpurig-jupyter) printf 'LoadState=loaded\\nActiveState=active\\nMainPID={pid}\\n' ;;
gpurig-api) printf 'LoadState=loaded\\nActiveState=activating\\nMainPID=0\\n' ;;
gpurig-mlflow) printf 'LoadState=loaded\\nActiveState=inactive\\nMainPID=0\\n' ;;
gpurig-exposure) printf 'LoadState=loaded\\nActiveState={exposure}\\nMainPID=0\\n' ;;
*) printf 'LoadState=not-found\\nActiveState=inactive\\nMainPID=0\\n' ;;
esac
"""

SUPERVISED = """
case "$2" in
gpurig-jupyter) echo 'gpurig-jupyter                   RUNNING   pid {pid}, uptime 0:02:10' ;;
gpurig-api) echo 'gpurig-api                       BACKOFF   Exited too quickly (process log may have details)' ;;
gpurig-mlflow) echo 'gpurig-mlflow                    STOPPED   Nov 22 12:00 PM' ;;
gpurig-exposure) echo 'gpurig-exposure                  {word}   pid 1, uptime 0:02:10' ;;
*) echo 'gpurig-x: ERROR (no such process)'; exit 4 ;;
esac
"""

LOG = "i=0; while [ $i -lt 9 ]; do i=$((i + 1)); echo line $i; done"


SOCKETS = "echo 'LISTEN 0 4096 0.0.0.0:15000 0.0.0.0:*'"

ADDRESSES = """
echo '2: eth0    inet 192.0.2.7/24 brd 192.0.2.255 scope global eth0'
echo '2: eth0    inet6 2001:db8::7/64 scope global'
"""


def told(folder: Path, names: list[str], lines: int, *, systemd: bool) -> dict[str, Any]:
    """What the program says where these stand-ins come first."""
    for name, text in {"systemctl": SHOWN, "supervisorctl": SUPERVISED, "journalctl": LOG}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text.replace('{pid}', str(os.getpid()))}")
        (folder / name).chmod(0o755)
    asked = json.dumps({"names": names, "lines": lines, "systemd": systemd})
    program = Path(far_services.__file__).read_text(encoding="utf-8")
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, asked], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("systemd", [True, False])
def test_states_are_told_in_the_same_words_whatever_runs_services(tmp_path: Path, *, systemd: bool) -> None:
    found = told(tmp_path, ["jupyter", "api", "mlflow", "rpc"], 2, systemd=systemd)
    assert {name: facts["state"] for name, facts in found.items()} == {
        "jupyter": "running",
        "api": "starts again",
        "mlflow": "stopped",
        "rpc": "not installed",
    }


def test_memory_and_start_are_those_of_the_process_and_its_children(tmp_path: Path) -> None:
    program = "x = bytes(50_000_000); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        found = told(tmp_path, ["jupyter", "api"], 0, systemd=True)
        child.communicate(b"\n")
    assert found["jupyter"]["memory"] > 60_000_000
    assert time.time() - 3600 * 24 < found["jupyter"]["since"] <= time.time()
    assert (found["api"]["memory"], found["api"]["since"]) == (None, None)


def test_as_much_of_the_log_as_was_asked_for(tmp_path: Path) -> None:
    assert told(tmp_path, ["jupyter"], 2, systemd=True)["jupyter"]["log"] == ["line 8", "line 9"]
    assert told(tmp_path, ["jupyter"], 0, systemd=True)["jupyter"]["log"] == []


@pytest.fixture
def reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool, bool], dict[str, Any]]:
    """What networks reach by HAProxy, which runs or not, with systemd or supervisor; api's port does not listen."""

    def look(runs: bool, systemd: bool) -> dict[str, Any]:
        shown = SHOWN.replace("{exposure}", "active" if runs else "failed")
        supervised = SUPERVISED.replace("{word}", "RUNNING" if runs else "BACKOFF")
        stand_ins = {"systemctl": shown, "supervisorctl": supervised, "journalctl": "", "ss": SOCKETS, "ip": ADDRESSES}
        for name, text in stand_ins.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
        config = tmp_path / "exposure.cfg"
        config.write_text(
            render(
                "services",
                "exposure.cfg.j2",
                services_enabled=["mlflow", "api"],
                services_expose={"mlflow": "192.0.2.0/24", "api": "198.51.100.0/24"},
            )
        )
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(far_services, "EXPOSURE", config)
        return far_services.exposed(systemd=systemd)

    return look


@pytest.mark.parametrize("systemd", [True, False])
def test_what_networks_reach_is_what_listens_and_not_what_is_wished(
    reached: Callable[[bool, bool], dict[str, Any]], *, systemd: bool
) -> None:
    own = ["192.0.2.7", "2001:db8::7"]
    assert reached(True, systemd) == {"mlflow": {"port": 15000, "source": "192.0.2.0/24", "addresses": own}}
    assert reached(False, systemd) == {}


@pytest.mark.parametrize(
    ("source", "endpoint", "shown"),
    [
        ("192.0.2.0/24", "127.0.0.1", "http://192.0.2.7:15000 from 192.0.2.0/24"),
        ("2001:db8::/32", "127.0.0.1", "http://[2001:db8::7]:15000 from 2001:db8::/32"),
        ("198.51.100.0/24", "203.0.113.9", "http://203.0.113.9:15000 from 198.51.100.0/24"),
        ("198.51.100.0/24", "127.0.0.1", "http://192.0.2.7:15000 from 198.51.100.0/24"),
        ("everywhere", "203.0.113.9", "http://203.0.113.9:15000 from everywhere"),
    ],
)
def test_an_exposed_service_is_shown_at_an_address_that_answers(source: str, endpoint: str, shown: str) -> None:
    seen = {"port": 15000, "source": source, "addresses": ["192.0.2.7", "2001:db8::7"]}
    assert ops.exposed(host(endpoint), "mlflow", seen) == shown


def test_an_exposure_that_is_wished_and_not_there_is_said() -> None:
    assert ops.exposed(host("203.0.113.9"), "mlflow", None) == "not up (wanted: from 192.0.2.0/24)"
    assert ops.exposed(host("203.0.113.9"), "api", None) is None


def test_the_list_shows_where_each_service_listens_and_the_log_of_what_does_not_run_alone() -> None:
    facts = {"since": None, "memory": None, "exposed": None}
    found = {
        "mlflow": {**facts, "state": "running", "log": ["fine"]},
        "rpc": {**facts, "state": "failed", "log": ["broken"]},
    }
    there = replace(host("203.0.113.9"), services=("mlflow", "rpc"))
    rows = ops._rows(SimpleNamespace(host=there), found)  # type: ignore[arg-type]  # a place; only its host is asked for
    assert [row["url"] for row in rows] == ["http://127.0.0.1:5000", None]
    shown = ops._text(rows)
    assert "http://127.0.0.1:5000" in shown
    assert "broken" in shown
    assert "fine" not in shown


def host(address: str) -> Host:
    return Host(
        name="a", project="p", stack="s", provider="container", id="1", label="l", generation=1,
        endpoint=Endpoint(address=address, port=22, user="dev", host_key=""),
        capabilities=Capabilities(init="systemd", kernel="own", privilege="sudo", can_stop=False),
        services=("mlflow", "api"), spec={"expose": {"mlflow": "192.0.2.0/24"}},
    )  # fmt: skip
