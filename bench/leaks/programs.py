"""The programs that are killed: `rig` on the embedded engine, the provider's process of Pulumi's engine, and `rig` on that engine itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from bench.leaks.engine import Engine
from gpurig.catalogue import ROOT
from tests.clients.fake import Fault, Vendor

KILLS = ("kill_before", "kill_during", "kill_after")

STEPS = 75
"""Steps on the disk that standing a host up takes when nothing goes wrong; taking it down takes some 50."""

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. problem: what it said where it failed."""

    killed: bool
    problem: str
    log: str


class Program(Protocol):
    """Something that stands a host up and takes it down, and can be killed.

    steps: about how many steps on the disk it takes.
    """

    steps: int

    def prepare(self, job: Mapping[str, Any]) -> None:
        """Begin a trial, in an empty home. job: what all its runs share."""

    def run(self, vendor: Vendor, action: str, faults: list[Fault], *, kill_at: int | None) -> Ended:
        """Do `up` or `down` under faults; a fault that kills, or the nth step on the disk, ends it with SIGKILL."""

    def close(self) -> None:
        """Leave nothing behind."""


class Forked:
    """`rig` on the embedded engine, or the naive client; forked from a process that has everything imported."""

    steps = STEPS

    def __init__(self, client: str = "gpurig") -> None:
        self.client = client
        self.job: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.leaks.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def prepare(self, job: Mapping[str, Any]) -> None:
        self.job = {**job, "client": self.client}

    def run(self, vendor: Vendor, action: str, faults: list[Fault], *, kill_at: int | None) -> Ended:
        return self._forked(vendor, {**self.job, "action": action, "kill_at": kill_at}, faults)

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _forked(
        self, vendor: Vendor, job: Mapping[str, Any], faults: list[Fault], talk: Callable[[], str] | None = None
    ) -> Ended:
        """talk: what is said to a child that serves; returns what went wrong, or nothing."""
        self._tell(json.dumps(job))
        child = self._hear()["pid"]
        with _disturbed(vendor, faults, child):
            self._tell("go")
            problem = talk() if talk else ""
            if talk:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGTERM)
            ended = {"problem": problem, "log": [], **self._hear()}
        log = "".join(f"    {line}\n" for line in ended["log"]) + _taken(Path(job["home"]).with_suffix(".log"))
        return Ended(ended["killed"], ended["problem"], log)

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard


class ByProvider(Forked):
    """The provider's process of Pulumi's engine, through its real gRPC interface; what it knows nothing of, `rig down` ends."""

    def prepare(self, job: Mapping[str, Any]) -> None:
        super().prepare(job)
        self._engine = Engine(_entry(job))

    def run(self, vendor: Vendor, action: str, faults: list[Fault], *, kill_at: int | None) -> Ended:
        if action == "down" and self._engine.state is None:
            return super().run(vendor, action, faults, kill_at=kill_at)
        port = Path(self.job["home"]).with_suffix(".port")
        job = {**self.job, "client": "provider", "action": action, "kill_at": kill_at}
        return self._forked(vendor, job, faults, lambda: self._engine.does(action, port))


class ByPulumi:
    """`rig up` and `rig down` on Pulumi's real engine. All processes of a run are killed at once."""

    steps = STEPS

    def prepare(self, job: Mapping[str, Any]) -> None:
        home = Path(job["home"])
        home.mkdir()
        self._job = dict(job)
        runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}}
        (home / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "bench", "runtime": runtime}))
        (home / "__main__.py").write_text((ROOT / "__main__.py").read_text())
        salt = yaml.safe_load((ROOT / "Pulumi.demo.yaml").read_text())["encryptionsalt"]
        stack = {"config": {"gpurig:hosts": {"a": _entry(job)}}, "encryptionsalt": salt}
        (home / "Pulumi.leaks.yaml").write_text(yaml.safe_dump(stack))
        (home / "state").mkdir()

    def run(self, vendor: Vendor, action: str, faults: list[Fault], *, kill_at: int | None) -> Ended:
        home = Path(self._job["home"])
        environment = {
            **os.environ,
            "GPURIG_ENGINE": "pulumi",
            "GPURIG_STACK": "leaks",
            "GPURIG_HOME": str(home),
            "GPURIG_LEAKS_JOB": json.dumps({**self._job, "kill_at": kill_at}),
            "PULUMI_HOME": str(home / "pulumi"),
            "PULUMI_BACKEND_URL": (home / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "demo",
            "PYTHONPATH": os.pathsep.join([str(HERE / "disturbed"), str(ROOT)]),
        }
        command = [sys.executable, "-m", "gpurig.cli", action, "--yes"]
        with (home.with_suffix(".log")).open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=home,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
            )
            home.with_suffix(".group").write_text(str(process.pid))
            with _disturbed(vendor, faults, -process.pid):
                status = process.wait()
        said = _taken(home.with_suffix(".log"))
        return Ended(status == -signal.SIGKILL, said if status else "", said)

    def close(self) -> None:
        """Nothing is kept between runs."""


@contextmanager
def _disturbed(vendor: Vendor, faults: list[Fault], target: int) -> Iterator[None]:
    """A vendor with faults; those that kill get the process, or the group with a minus, that they kill."""
    for fault in faults:
        if fault.what in KILLS:
            fault.argument = target
    with vendor.lock:
        vendor.faults = [*vendor.faults, *faults]
    try:
        yield
    finally:
        with vendor.lock:
            vendor.faults = [fault for fault in vendor.faults if fault.what not in KILLS]


def _entry(job: Mapping[str, Any]) -> dict[str, Any]:
    return {"provider": job["provider"], "gpu": job["gpu"], "max_price": 50, "tries": 4}


def _taken(file: Path) -> str:
    """What a file holds; it is removed."""
    text = file.read_text(errors="replace") if file.exists() else ""
    file.unlink(missing_ok=True)
    return text
