"""What keeps services to their memory where there is no systemd, with real processes."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpurig import catalogue

GROWS = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "x = b'1' * 80_000_000; print('grown', flush=True); input()"])
child.wait()
"""


@pytest.fixture
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The listener as a module, which reads limits from a file of this test's."""
    path = catalogue.ROOT / "roles/services/files/limit_memory.py"
    spec = importlib.util.spec_from_file_location("role_limit_memory", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LIMITS", tmp_path / "memory.json")
    return module


@pytest.fixture
def service() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose child holds 80 MB."""
    with subprocess.Popen([sys.executable, "-c", GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"grown\n"
        yield process
        process.kill()


def checked(limits: ModuleType, service: subprocess.Popen[bytes], given: dict[str, Any], log: Path) -> str:
    """What the service's log has after one look."""
    limits.LIMITS.write_text(json.dumps(given))
    log.write_text("its own line\n")
    limits.check([{"name": "gpurig-jupyter", "pid": service.pid, "stdout_logfile": str(log)}])
    return log.read_text()


def test_whoever_holds_more_than_its_limit_is_ended_with_its_children(
    limits: ModuleType, service: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    processes = limits.tree(service.pid)
    own, said = checked(limits, service, {"jupyter": "50M"}, tmp_path / "log").splitlines()
    assert len(processes) == 2
    assert own == "its own line"
    assert said.startswith("gpurig: jupyter held ")
    assert said.endswith(" MB, more than its limit 50M (services_memory_max); it was ended and starts again")
    assert service.wait(60) == -9
    assert service.stdout
    assert service.stdout.read() == b"", "its child holds the other end, and is gone as well"


@pytest.mark.parametrize("given", [{"jupyter": "500M"}, {"jupyter": "infinity"}, {"api": "1M"}, {}])
def test_whoever_keeps_to_its_limit_or_has_none_is_left_alone(
    limits: ModuleType, service: subprocess.Popen[bytes], tmp_path: Path, given: dict[str, Any]
) -> None:
    assert checked(limits, service, given, tmp_path / "log") == "its own line\n"
    assert service.poll() is None


def test_a_service_that_does_not_run_holds_nothing(limits: ModuleType) -> None:
    limits.LIMITS.write_text('{"jupyter": 1}')
    limits.check([{"name": "gpurig-jupyter", "pid": 0, "stdout_logfile": ""}])


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("16G", 16 * 2**30),
        ("1.5 M", 1.5 * 2**20),
        ("512B", 512),
        ("50%", 500),
        ("infinity", math.inf),
    ],
)
def test_limits_are_read_as_systemd_reads_them(
    limits: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str, size: float
) -> None:
    monkeypatch.setattr(limits, "total", lambda: 1000)
    assert limits.size(text) == size


def test_percent_are_of_the_container_s_own_limit_where_it_has_one(
    limits: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = tmp_path / "memory.max", tmp_path / "limit_in_bytes"
    monkeypatch.setattr(limits, "CGROUPS", tuple(map(str, paths)))
    paths[0].write_text("max\n")
    machine = limits.total()
    paths[1].write_text("1000000\n")
    assert (machine > 10**8, limits.total()) == (True, 10**6)
