"""One trial: a program is killed again and again while it stands a host up or takes it down, under faults; then it is simply
run again, then destroyed. What the vendor really has is compared with what should be.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.leaks.engine import Engine
from gpurig import clock
from gpurig.ledger import CLOSED, Ledger
from tests.clients.fake import Fault, Rented, Server, Vendor

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
KILLS = ("kill_before", "kill_during", "kill_after")
STEPS = 75
"""Steps on the disk that standing a host up takes when nothing goes wrong; taking it down takes some 50."""

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


class Zygote:
    """See bench.leaks.zygote."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.leaks.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self, vendor: Vendor, job: dict[str, Any], faults: list[Fault], talk: Callable[[], str] | None = None
    ) -> dict[str, Any]:
        """Run one job; faults that kill get the child's process id. talk: what is said to a child that serves."""
        self._tell(json.dumps(job))
        process = self._hear()["pid"]
        for fault in faults:
            if fault.what in KILLS:
                fault.argument = process
        with vendor.lock:
            vendor.faults = [*vendor.faults, *faults]
        self._tell("go")
        problem = talk() if talk else ""
        if talk:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        ended = {"problem": problem, **self._hear()}
        with vendor.lock:
            vendor.faults = [fault for fault in vendor.faults if fault.what not in KILLS]
        return ended

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard


def trial(kind: type[Vendor], zygote: Zygote, seed: int, client: str = "gpurig", *, tell: bool = False) -> Outcome:
    """Run one trial. The seed decides the faults and where it is killed."""
    chance = random.Random(seed)  # noqa: S311 (not a secret)
    outcome = Outcome(seed)
    with _served(kind) as (vendor, url), _home() as home:
        vendor.lag = chance.choice(LAGS)
        vendor.boots = chance.choice((0.0, 8.0))
        vendor.lists_twice = chance.random() < 0.1  # noqa: PLR2004
        job = {
            "home": str(home), "url": url, "provider": vendor.name, "gpu": vendor.gpu, "client": client, "speed": SPEED,
            "patience": PATIENCE, "bad": chance.choice((0, 0, 0, 1, 2)),
        }  # fmt: skip

        pulumi = Engine({"provider": vendor.name, "gpu": vendor.gpu, "max_price": 50, "tries": 4})

        def run(action: str, *, kill: bool) -> bool:
            faults = [_mishap(chance) for _ in range(chance.choice((0, 0, 1, 1, 2)))]
            at = _kill(chance) if kill else None
            extra = {"kill_at": at} if isinstance(at, int) else {}
            faults += [at] if isinstance(at, Fault) else []
            if client == "provider" and (action == "up" or pulumi.state):
                told: dict[str, Any] = {**job, "action": action, **extra}
                ended = zygote.run(vendor, told, faults, lambda: pulumi.does(action, home.with_suffix(".port")))
            else:
                ours = "gpurig" if client == "provider" else client
                ended = zygote.run(vendor, {**job, "client": ours, "action": action, **extra}, faults)
            outcome.runs += 1
            outcome.kills += bool(ended["killed"])
            if tell:
                print(
                    action,
                    "killed" if ended["killed"] else ended.get("problem") or f"done in {ended.get('steps')}",
                    at,
                    faults,
                )
                print(*(f"    {line}" for line in ended.get("log", [])), sep="\n")
                log = home.with_suffix(".log")
                print(log.read_text() if log.exists() else "", end="")
                log.unlink(missing_ok=True)
            return not ended["killed"] and not ended["problem"]

        for _ in range(chance.choice((1, 2, 3, 4))):
            action = chance.choice(("up", "down")) if vendor.living() else "up"
            if chance.random() < 0.1 and vendor.living():  # noqa: PLR2004
                vendor.end(vendor.living()[0])  # the vendor takes it away
                clock.sleep(vendor.lag)  # until then nobody can know
            run(action, kill=True)
        _until_done(outcome, "up", run)
        if client != "naive" and len(vendor.living()) != 1 and not outcome.wrong:
            outcome.wrong.append(f"{len(vendor.living())} machines after `up`")
        _until_done(outcome, "down", run)
        outcome.left = len(vendor.living())
        outcome.double = _double(list(vendor.machines.values()))
        if client != "naive":
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


def _kill(chance: random.Random) -> Fault | int:
    """Where the program is killed: at a call, before, during or after it; or at a step on the disk."""
    if chance.random() < 0.5:  # noqa: PLR2004
        return chance.randrange(0, STEPS)
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
