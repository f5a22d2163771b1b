"""How a rented machine is looked at before it is accepted. No GPU takes part: CUDA and nvidia-smi are simulated."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from gpurig import acceptance, clock, readings
from gpurig.health.probes import cuda, rented, smi
from gpurig.host import Host
from gpurig.providers import BrokenError
from gpurig.readings import Device, Readings
from gpurig.stack import Stack
from tests.clients import simulated_gpu
from tests.clients.time import faster
from tests.unit.far import FarAway, far_away
from tests.unit.test_acceptance import FIXTURES, recorded, spec

PROBES = Path(rented.__file__).parent


class TestProbe:
    """The remote side; what it takes from verification's probes has tests of its own."""

    def test_nvidia_smi_is_asked_with_patience_for_what_every_driver_knows(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[Any, ...]] = []

        def query(*words: Any) -> tuple[list[str], dict[str, Any]]:
            asked.append(words)
            return [], {}

        monkeypatch.setattr(smi, "query", query)
        monkeypatch.setattr(cuda, "readings", dict)
        rented.main()
        assert asked == [(smi.program(), list(smi.KNOWN_TO_ALL), rented.SMI_SECONDS)]


class TestGather:
    """Through a program `ssh` that runs what it is given on this machine, where a GPU is simulated."""

    @pytest.fixture
    def far(self, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FarAway:
        monkeypatch.setenv("PATH", os.environ["PATH"])
        made = far_away(stack, tmp_path)
        for path, (content, mode) in simulated_gpu.files("NVIDIA GeForce RTX 4090", 24564, 1, "580.95.05").items():
            folder = tmp_path / ("bin" if path.endswith("nvidia-smi") else "python")
            folder.mkdir(exist_ok=True)
            name = "sitecustomize.py" if path.endswith(".pth") else Path(path).name
            (folder / name).write_text(content)
            (folder / name).chmod(mode)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "python"))
        faster(monkeypatch.setattr, 1000)
        return made

    @pytest.fixture
    def served(self) -> Iterator[str]:
        """The address of some megabytes."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(bytes(8 << 20))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
                """Quiet."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        server.server_close()

    def host(self, far: FarAway, kernel: Any = "shared") -> Host:
        record = far.place.host
        return replace(record, capabilities=replace(record.capabilities, kernel=kernel))

    def test_readings_are_taken_in_one_command(self, stack: Stack, far: FarAway) -> None:
        found = readings.gather(stack, self.host(far), spec())
        assert found.devices == (Device("NVIDIA GeForce RTX 4090", 24564 << 20),)
        assert (found.driver, found.smi, found.cuda) == ("580.95.05", "", "")
        assert 0 < found.free <= found.disk
        assert found.link is None
        assert len(far.commands()) == 1

    def test_a_machine_that_is_in_order_is_accepted(self, stack: Stack, far: FarAway) -> None:
        said: list[str] = []
        acceptance.check(stack, self.host(far), spec(disk=8), {}, report=said.append)
        assert "1 × NVIDIA GeForce RTX 4090, driver 580.95.05, CUDA works" in said[-1]

    def test_one_that_is_not_is_refused_with_every_reason(self, stack: Stack, far: FarAway) -> None:
        with pytest.raises(BrokenError, match=r"RTX 3090 was paid for; its home folder has .* 60000 GB were paid for"):
            acceptance.check(stack, self.host(far), spec(gpu="RTX 3090", disk=60000), {}, report=print)

    def test_a_broken_connection_is_tried_again(self, stack: Stack, far: FarAway) -> None:
        far.breaks("Connection reset by peer")
        assert readings.gather(stack, self.host(far), spec()).cuda == ""
        assert len(far.commands()) == 2

    def test_no_python_is_told(
        self, stack: Stack, far: FarAway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        with pytest.raises(BrokenError, match="no Python 3"):
            readings.gather(stack, self.host(far), spec())

    def test_a_machine_that_gives_no_answer_is_not_waited_for(
        self, stack: Stack, far: FarAway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "bin" / "python3").write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / "bin" / "python3").chmod(0o755)
        monkeypatch.setattr(readings, "SECONDS", 0.5)
        with pytest.raises(BrokenError, match="no answer"):
            readings.gather(stack, self.host(far), spec())

    def test_a_shell_that_talks_does_not_matter(self) -> None:
        text = "Welcome!\n" + json.dumps(json.loads((FIXTURES / "rtx_4090.json").read_text())) + "\n"
        assert readings.read(text) == recorded("rtx_4090")

    def test_the_link_is_measured_only_on_demand(self, stack: Stack, far: FarAway, served: str) -> None:
        found = readings.gather(stack, self.host(far), spec(link=100))
        assert found.link
        assert not found.certain

    def test_with_an_address_it_is_measured_there(
        self, stack: Stack, far: FarAway, served: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GPURIG_LINK_URL", served)
        found = readings.gather(stack, self.host(far), spec(link=100))
        assert found.link
        assert found.certain

    def test_an_address_that_does_not_answer_is_no_fault_of_the_machine(
        self, stack: Stack, far: FarAway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GPURIG_LINK_URL", "http://127.0.0.1:1/")
        said: list[str] = []
        acceptance.check(stack, self.host(far), spec(link=10**9, disk=8), {}, report=said.append)
        assert "from here no more can be seen" in said[-1]

    def test_a_machine_of_its_own_may_load_its_driver_after_sshd(
        self, stack: Stack, far: FarAway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waking = iter([recorded("h100_no_fabric_manager"), recorded("h100_no_fabric_manager"), recorded("h100_x8")])
        monkeypatch.setattr(readings, "gather", lambda *_: next(waking))
        said: list[str] = []
        wish = spec(gpu="H100", count=8)
        acceptance.check(stack, self.host(far, "own"), wish, {}, report=said.append)
        assert "waiting for its GPU" in said[1]
        assert "8 × NVIDIA H100 80GB HBM3" in said[-1]

    @pytest.mark.parametrize("kernel", ["own", "shared"])
    def test_a_gpu_that_never_works_is_not_waited_for_longer(
        self, stack: Stack, far: FarAway, monkeypatch: pytest.MonkeyPatch, kernel: str
    ) -> None:
        looks: list[float] = []

        def look(*_: object) -> Readings:
            looks.append(clock.monotonic())
            return recorded("no_gpu")

        monkeypatch.setattr(readings, "gather", look)
        with pytest.raises(BrokenError, match="CUDA does not work"):
            acceptance.check(stack, self.host(far, kernel), spec(), {}, report=print)
        assert len(looks) == 1 if kernel == "shared" else 2 <= len(looks) <= 8


@pytest.mark.parametrize("path", sorted(PROBES.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_the_probes_run_on_old_pythons(path: Path) -> None:
    """They may meet 3.8: no syntax that came later."""
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
