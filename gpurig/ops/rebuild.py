"""`rig rebuild`: end a host and bring it back to verified ready."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig.errors import RigError, VerificationError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.remote import Place
    from gpurig.stack import Stack


@command("host", help={"host": "The host.", "discard": "Let unfetched results be lost.", "yes": "Ask no question."})
def rebuild(c: Context, host: str, discard: bool = False, yes: bool = False) -> None:
    """End a host and bring it back to verified ready, with its environments and project; says how long it took."""
    from gpurig import engine, gate, records, transfer, verification
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
    plan = spending.planned(stack, wanted, [engine.Step(host, "replace", ", ".join(spec.sources()))])
    spending.warn(plan)
    spending.refuse(plan, stack, wanted)
    price = spending.words(plan, host)
    console.confirm(f"End {host} and make it anew{f' ({price})' if price else ''}?", yes=yes)
    parts: dict[str, float] = {}
    if recorded and not discard:
        with _timed("results", parts):
            _save_results(Place(stack, recorded))
    with _timed("host", parts), gate.discarding([host] if discard else []), console.working(f"Making {host}") as report:
        chosen.replace(stack, wanted, host, report=report)
    place = Place(stack, records.require(stack, host))
    with _timed("site.yml", parts):
        site(stack, host)
    for folder in filter(Path.is_dir, transfer.synced_folders(stack, host)):
        with _timed(f"sync {folder.name}", parts), console.transfer(f"{folder.name} → {host}") as progress:
            transfer.push(place, folder, progress=progress)
    with _timed("verify", parts):
        (report_of,) = verification.verify(stack, [host], quick=False, tell=lambda _: None)
    total = sum(parts.values())
    rows = [(part, f"{seconds:.1f} s") for part, seconds in [*parts.items(), ("total", total)]]
    console.show(
        c, {"host": host, "seconds": {**parts, "total": total}, "verdict": report_of.verdict}, console.table(rows)
    )
    if report_of.verdict == "FAIL":
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
