"""One trial: a program is killed again and again while it stands a host up or takes it down, under faults; then it is simply
run again, then destroyed. What the vendor really has is compared with what should be.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.leaks.programs import KILLS, Program
from gpurig import clock
from gpurig.ledger import CLOSED, Ledger
from tests.clients.fake import Fault, Rented, Vendor
from tests.clients.server import Server

SPEED = 200
"""Times as fast as time: a minute of a vendor's lag passes in 0.3 s."""

PATIENCE = 0.3
"""Real seconds that a call may take."""

LISTING_DELAY = 60.0
"""Seconds within which listings show what was done; gpurig's own assumption, and the longest lag here is below it."""

LAGS = (0.0, 0.0, 10.0, 30.0, 45.0)
CALLS = ("create", "list", "end", "offers", "write", "keys", "show", "*")
MISHAPS = (
    ("lose_request", 0), ("lose_reply", 0), ("half_reply", 0), ("status", 429), ("status", 500), ("status", 502),
    ("status_after", 500), ("status_after", 502), ("text", 429), ("html", 502), ("delay", 20), ("delay", 90),
)  # fmt: skip
TWICE, TAKEN, BLIND, ON_DISK = 0.1, 0.1, 0.15, 0.5
"""How likely listings show all twice, a machine is taken away, listings show nothing for a while; a kill is at a write, not at a call."""

RUNS = 6
"""How often an unkilled run is tried until it succeeds; faults may still be waiting."""


@dataclass
class Outcome:
    """What came of one trial. double: longest time, in the vendor's seconds, that two machines of the host billed."""

    seed: int
    kills: int = 0
    runs: int = 0
    left: int = 0
    double: float = 0.0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def trial(kind: type[Vendor], program: Program, seed: int, *, tell: bool = False) -> Outcome:
    """Run one trial. The seed decides the faults and where it is killed."""
    chance = random.Random(seed)  # noqa: S311 (not a secret)
    outcome = Outcome(seed)
    with _served(kind) as (vendor, url), _home() as home:
        vendor.lag = chance.choice(LAGS)
        vendor.boots = chance.choice((0.0, 8.0))
        vendor.lists_twice = chance.random() < TWICE
        job = {
            "home": str(home), "url": url, "provider": vendor.name, "gpu": vendor.gpu, "speed": SPEED,
            "patience": PATIENCE, "bad": chance.choice((0, 0, 0, 1, 2)),
        }  # fmt: skip
        program.prepare(job)

        def run(action: str, *, kill: bool) -> bool:
            faults = [_mishap(chance) for _ in range(chance.choice((0, 0, 1, 1, 2)))]
            at = _kill(chance, program.steps) if kill else None
            faults += [at] if isinstance(at, Fault) else []
            ended = program.run(vendor, action, faults, kill_at=at if isinstance(at, int) else None)
            outcome.runs += 1
            outcome.kills += ended.killed
            if tell:
                print(action, "KILLED" if ended.killed else ended.problem or "done", "at", at, "with", *faults)
                print(ended.log)
            return not ended.killed and not ended.problem

        for _ in range(chance.choice((1, 2, 3, 4))):
            action = chance.choice(("up", "down")) if vendor.living() else "up"
            if chance.random() < TAKEN and vendor.living():
                vendor.end(vendor.living()[0])  # the vendor takes it away
                clock.sleep(vendor.lag)  # until then nobody can know
            if chance.random() < BLIND:
                vendor.blind_until = clock.monotonic() + chance.choice((10.0, 30.0, 45.0))
            run(action, kill=True)
        _until_done(outcome, "up", run)
        if len(vendor.living()) != 1 and not outcome.wrong:
            outcome.wrong.append(f"{len(vendor.living())} machines after `up`")
        _until_done(outcome, "down", run)
        outcome.left = len(vendor.living())
        outcome.double = _double(list(vendor.machines.values()))
        outcome.lost = _lost(home, list(vendor.machines.values()))
        outcome.wrong += vendor.mistakes
    return outcome


def _until_done(outcome: Outcome, action: str, run: Any) -> None:
    for _ in range(RUNS):
        if run(action, kill=False):
            return
    outcome.wrong.append(f"`{action}` did not succeed in {RUNS} runs")


def _mishap(chance: random.Random) -> Fault:
    what, argument = chance.choice(MISHAPS)
    return Fault(chance.choice(CALLS), what, argument, nth=chance.choice((0, 0, 0, 1, 2)))


def _kill(chance: random.Random, steps: int) -> Fault | int:
    """Where the program is killed: at a call, before, during or after it; or at a step on the disk."""
    if chance.random() < ON_DISK:
        return chance.randrange(0, steps)
    kind = chance.choice(("create", "create", "list", "end", "offers", "*"))
    return Fault(kind, chance.choice(KILLS), nth=chance.choice((0, 0, 0, 1, 2, 4)))


def _double(machines: list[Rented]) -> float:
    """Longest stretch in which at least two machines billed, in the vendor's seconds."""
    moments = sorted(
        [(m.made, 1) for m in machines] + [(m.ended if m.ended is not None else float("inf"), -1) for m in machines]
    )
    living, since, longest = 0, 0.0, 0.0
    for moment, change in moments:
        if living > 1:
            longest = max(longest, moment - since)
        elif living + change > 1:
            since = moment
        living += change
    return longest


def _lost(home: Path, machines: list[Rented]) -> list[str]:
    """Machines that the vendor made and the ledger does not have, and rentals that the ledger still calls open."""
    rentals = Ledger(home).rentals()
    unknown = [
        f"{machine.id} ({machine.mark}) is not in the ledger"
        for machine in machines
        if not any(r.machine == machine.id or f"{r.label}." in machine.mark.replace(":", ".") for r in rentals)
    ]
    return unknown + [
        f"{r.machine} ({r.label}) is still {r.state} in the ledger" for r in rentals if r.state not in CLOSED
    ]


@contextmanager
def _served(kind: type[Vendor]) -> Iterator[tuple[Vendor, str]]:
    vendor = kind()
    server = Server(vendor)
    try:
        yield vendor, server.url
    finally:
        server.close()


@contextmanager
def _home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="leaks"))
    try:
        yield folder / "home"
    finally:
        shutil.rmtree(folder)
