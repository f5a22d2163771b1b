"""A process that has everything imported and forks a child for each run, so that a thousand runs take minutes.

A child does what `rig up` or `rig down` does on the embedded engine, against a simulated vendor. It may be told to kill itself at
its nth step that touches the disk: a file opened for writing, renamed or removed, or a statement of the ledger's database.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import runpy
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from bench.leaks import naive
from gpurig import acceptance, config, engine, keys, providers, reach
from gpurig.providers import BrokenError, api
from gpurig.stack import Stack, write_private
from tests.clients.fake import GOOD_KEY
from tests.clients.time import faster

KEYS = ("VAST_API_KEY", "RUNPOD_API_KEY", "LAMBDA_API_KEY", "DIGITALOCEAN_TOKEN", "PAPERSPACE_API_KEY")

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv test\n"


def main() -> None:
    """Take jobs as lines of JSON, one at a time; answer each with the child's process id, then with how it ended."""
    _warm()
    for line in sys.stdin:
        job = json.loads(line)
        wait, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(wait, 1)
            _child(job)
        _say({"pid": child})
        sys.stdin.readline()  # the faults that need the process id are in place
        os.write(go, b"g")
        os.close(go)
        os.close(wait)
        _, status = os.waitpid(child, 0)
        result = Path(job["home"]).with_suffix(".result")
        said = json.loads(result.read_text()) if result.exists() else {}
        result.unlink(missing_ok=True)
        _say({"killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, **said})


def _warm() -> None:
    """Do here once what every child would do: import the providers, build the configuration's classes, read certificates."""
    for name in providers.RENTERS:
        providers.provider(name)
    config.model()
    api.trust()
    for module in (
        "gpurig.program",
        "grpc",
        "pulumi.runtime.proto.provider_pb2_grpc",
        "jinja2",
        "anyio._backends._asyncio",
        "httpcore",
        "h11",
        "gpurig.access",
        "asyncio",
    ):
        importlib.import_module(module)


def _say(data: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


def _child(job: dict[str, Any]) -> None:
    said: dict[str, Any] = {"problem": ""}
    steps = 0
    try:
        _prepare(job)
        stack = Stack("bench", "leaks", Path(job["home"]), Path(job["home"]))
        log = said.setdefault("log", [])
        steps = _counted(job, lambda: _act(job, stack, log.append))
    except Exception as error:  # noqa: BLE001 (told to the parent, which judges)
        said["problem"] = f"{type(error).__name__}: {error}"
    said["steps"] = steps
    Path(job["home"]).with_suffix(".result").write_text(json.dumps(said))
    os._exit(0)


def _act(job: dict[str, Any], stack: Stack, report: Callable[[str], None]) -> None:
    entry = {"provider": job["provider"], "gpu": job["gpu"], "max_price": 50, "tries": 4}
    wanted = config.parse({"hosts": {"a": entry}}, "leaks")
    if job["client"] == "naive":
        (naive.up if job["action"] == "up" else naive.down)(stack, wanted.hosts["a"])
    elif job["client"] == "provider":
        _serve(job)
    elif job["action"] == "up":
        engine.up(stack, wanted, report=report)
    else:
        engine.down(stack, None, report=report)


def _serve(job: dict[str, Any]) -> None:
    """Be the provider's process of Pulumi's engine: it tells its port in the file `port`, and lives until it is ended."""
    port = os.open(Path(job["home"]).with_suffix(".port"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.dup2(port, 1)
    os.dup2(os.open(Path(job["home"]).with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), 2)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0), write_through=True)
    runpy.run_module("pulumi.dynamic", run_name="__main__")


def _prepare(job: dict[str, Any]) -> None:
    """A folder that is a project, and its home."""
    project = Path(job["home"])
    project.mkdir(exist_ok=True)
    (project / "Pulumi.yaml").write_text("name: bench\nruntime: python\n")
    os.chdir(project)
    replace(job)


def replace(job: dict[str, Any]) -> None:
    """Replace what is not tested here: time, keys, and the host itself, of which `bad` says how often it is not accepted."""
    faster(setattr, job["speed"])
    os.environ |= {"GPURIG_HOME": job["home"], f"GPURIG_{job['provider'].upper()}_URL": job["url"]}
    os.environ |= dict.fromkeys(KEYS, GOOD_KEY)
    replaced: list[tuple[Any, str, Any]] = [
        (api, "SECONDS", httpx.Timeout(job["patience"])),
        (api, "ASK_SECONDS", job["patience"] * 4),
        (keys, "_make", _key),
        (reach, "wait", lambda *_, **__: None),
        (acceptance, "check", _acceptance(Path(job["home"]), job.get("bad", 0))),
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)


def _key(path: Path, _comment: str) -> Path:
    if not path.exists():
        write_private(path.with_name(path.name + ".pub"), PUBLIC)
        write_private(path, "a private key")
    return path


def _acceptance(home: Path, bad: int) -> Callable[..., None]:
    def check(*_: Any, **__: Any) -> None:
        seen = home / "seen"
        count = len(seen.read_text()) if seen.exists() else 0
        if count < bad:
            seen.write_text("x" * (count + 1))
            raise BrokenError("another GPU than offered (simulated)")

    return check


def _counted(job: dict[str, Any], act: Callable[[], None]) -> int:
    """Run it, counting its steps on the disk; at the job's `kill_at`th it kills itself. Returns their number."""
    count = watch(job, lambda: os.kill(os.getpid(), signal.SIGKILL))
    act()
    return count()


def watch(job: dict[str, Any], kill: Callable[[], object]) -> Callable[[], int]:
    """Count this process's steps on the disk from now on; at the job's `kill_at`th, kill. Returns what tells their number."""
    count = 0
    home, kill_at = f"{job['home']}/", job.get("kill_at")

    def step() -> None:
        nonlocal count
        count += 1
        if kill_at is not None and count > kill_at:
            kill()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if str(path).startswith(home) and flags & (os.O_WRONLY | os.O_RDWR):
                step()
        elif event in ("os.rename", "os.remove") and str(arguments[0]).startswith(home):
            step()

    def connected(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda _: step())
        return connection

    connect: Any = sqlite3.connect
    setattr(sqlite3, "connect", connected)  # noqa: B010 (mypy refuses the plain way)
    sys.addaudithook(hook)
    return lambda: count


if __name__ == "__main__":
    main()
