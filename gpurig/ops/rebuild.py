"""`rig rebuild`: bring a host back to verified ready, made anew where it is ours to end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig.errors import ConfigError, RigError, VerificationError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.remote import Place
    from gpurig.spec import HostSpec
    from gpurig.stack import Stack


@command(
    "host",
    help={
        "host": "The host.",
        "discard": "Let unfetched results be lost; with --fresh, all that is in the distribution.",
        "fresh": "Windows PC: take the WSL distribution out first, and make it from its file again.",
        "export": "With --fresh: new .tar file on the PC that the distribution's files go to first, such as 'D:\\home.tar'.",
        "yes": "Ask no question.",
    },
)
def rebuild(
    c: Context, host: str, discard: bool = False, fresh: bool = False, export: str = "", yes: bool = False
) -> None:
    """End a host and bring it back to verified ready, with its environments and project; says how long it took.

    A machine that gpurig did not make is not ended: it is looked up anew, as after a reset or a move, and set up again. It
    must show the pinned host key; one that was set up anew gets its new one with `rig register HOST --fingerprint SHA256:…`.
    """
    from gpurig import engine, gate, lifecycle, providers, records, transfer, verification
    from gpurig.ops import spending
    from gpurig.ops.hosts import configuration, engine_in_use
    from gpurig.remote import Place

    stack = stack_of(c)
    chosen = engine_in_use()
    wanted = configuration(stack)
    spec = engine.configured(stack, wanted, host)
    if chosen is engine:
        engine.possible(stack, {host: spec})
    recorded = records.get(stack, host)
    stays = not any(providers.provider(source).destroys for source in spec.sources())
    anew = _fresh(stack, host, spec, export, discard=discard) if fresh else None
    plan = spending.planned(stack, wanted, [engine.Step(host, "replace", ", ".join(spec.sources()))])
    spending.warn(plan)
    spending.refuse(plan, stack, wanted)
    price = spending.words(plan, host)
    console.confirm(anew or _question(host, price, stays=stays), yes=yes)
    parts: dict[str, float] = {}
    if recorded and not discard:
        with _timed("results", parts):
            _save_results(Place(stack, recorded))
    said = f"Looking {host} up" if stays else f"Making {host}"
    with _timed("host", parts), gate.discarding([host] if discard else []), console.working(said) as report:
        if stays and recorded:
            with engine.exclusive(stack):
                records.hang_up(stack, host)
                lifecycle.ensure(stack, host, spec, report=report)
        else:
            chosen.replace(stack, wanted, host, report=report)
    if fresh:
        with _timed("distribution", parts):
            _take_out(stack, host, export, discard=discard)
    place = Place(stack, records.require(stack, host))
    with _timed("site.yml", parts):
        site(stack, host)
    for folder in filter(Path.is_dir, transfer.synced_folders(stack, host)):
        with _timed(f"sync {folder.name}", parts), console.transfer(f"{folder.name} → {host}") as progress:
            transfer.push(place, folder, progress=progress)
    with _timed("verify", parts):
        reports = verification.verify(stack, [host], quick=False, tell=lambda _: None)
    verdict = next((one.verdict for one in reports if one.verdict == "FAIL"), reports[-1].verdict)
    total = sum(parts.values())
    rows = [(part, f"{seconds:.1f} s") for part, seconds in [*parts.items(), ("total", total)]]
    console.show(c, {"host": host, "seconds": {**parts, "total": total}, "verdict": verdict}, console.table(rows))
    if verdict == "FAIL":
        raise VerificationError(f"{host} is back, but verification failed: `rig verify {host}` shows what.")


def site(stack: Stack, host: str) -> None:
    """Configure one host with playbooks/site.yml. Raises RigError with the end of Ansible's output."""
    from gpurig.catalogue import ROOT

    program = Path(sys.executable).with_name("ansible-playbook")
    command_line = [str(program), str(ROOT / "playbooks" / "site.yml"), "--limit", host]
    environment = {**os.environ, "GPURIG_STACK": stack.name, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    with console.working(f"Configuring {host} with site.yml"):
        done = subprocess.run(
            command_line, cwd=stack.root, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise RigError(f"{host}: site.yml failed. What it said last:\n{end}")


def _question(host: str, price: str, *, stays: bool) -> str:
    if stays:
        return f"Set {host} up again, as it is?"
    return f"End {host} and make it anew{f' ({price})' if price else ''}?"


def _fresh(stack: Stack, host: str, spec: HostSpec, export: str, *, discard: bool) -> str:
    """What is asked before a distribution is destroyed. Raises ConfigError where there is none, or nobody said what becomes of it."""
    from gpurig.providers.workstation.windows import WindowsSpec
    from gpurig.windows import anew

    if not isinstance(spec, WindowsSpec):
        raise ConfigError(
            f"{stack.file.name}: gpurig:hosts.{host}.os: no Windows PC, so --fresh means nothing; leave it out."
        )
    anew.possible(export, discard=discard)
    kept = f"its files go to {export} on the PC first" if export else "nothing of it is kept"
    return f"Destroy {spec.wsl.distribution.name} on {host}, with everything in it ({kept}), and make it anew?"


def _take_out(stack: Stack, host: str, export: str, *, discard: bool) -> None:
    """Destroy the distribution, if it passes the destroy gate."""
    from gpurig import gate, records
    from gpurig.windows import anew

    exported = ["--export", export] if export else []
    same = shlex.join(["rig", "rebuild", host, "--fresh", *exported, "--discard"])
    with gate.discarding([host] if discard else []):
        gate.check(stack, host, running=True, giving_up=same)
    with console.working(f"Taking {host}'s distribution out"):
        done = anew.unregister(stack, records.require(stack, host), export_to=export, discard=discard)
    for line in done:
        console.say(f"{host}: {line}")
    records.hang_up(stack, host)


def _save_results(place: Place) -> None:
    """Bring results here while the host still lives. Where that fails, the destroy gate decides by what is noted."""
    from gpurig.ops.data import bring_results

    for problem in bring_results(place)[1]:
        console.say(problem)


@contextmanager
def _timed(part: str, parts: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    parts[part] = time.monotonic() - started
    console.say(f"{part}: {parts[part]:.1f} s")
