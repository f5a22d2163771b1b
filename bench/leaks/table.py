"""Many trials at once, and the table of what came of them."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.leaks.programs import ByProvider, ByPulumi, Forked, Program
from bench.leaks.trial import LISTING_DELAY, SPEED, Outcome, trial
from tests.clients.fake import Vendor
from tests.clients.time import faster
from tests.clients.vendors import VENDORS
from tests.projects import NO_PULUMI, PULUMI


@dataclass
class Row:
    """One line of the table: a client at a vendor."""

    vendor: str
    client: str
    trials: list[Outcome] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(outcome.kills for outcome in self.trials)

    @property
    def bad(self) -> list[Outcome]:
        """Trials with anything that must not be."""
        return [o for o in self.trials if o.left or o.lost or o.wrong or o.double > LISTING_DELAY + SLACK]


PROGRAMS: dict[str, Callable[[], Program]] = {
    "gpurig": Forked,
    "provider": ByProvider,
    "pulumi": ByPulumi,
    "naive": lambda: Forked("naive"),
}
"""Who is killed: `rig` on the embedded engine; the provider's process of Pulumi's engine; `rig` on that engine itself, where it is
found; a client that rents and then records."""

PARTS = {"gpurig": 0.7, "provider": 0.3, "pulumi": 0.03, "naive": 0.1}
"""Part of the kills, and of the time. One run of Pulumi's engine takes some ten seconds."""

SLACK = 10.0
"""Seconds of the vendor's time that two cores under load may add to a figure: 0.05 real ones."""


def measure(kind: type[Vendor], client: str, *, kills: int, seconds: float, at_once: int, seed: int) -> Row:
    """Run trials until that many kills, or that many seconds, have passed."""
    row = Row(kind.name, client)
    seeds = iter(range(seed, seed + 10**9))
    lock = threading.Lock()
    deadline = time.monotonic() + seconds  # real ones

    def work() -> None:
        program = PROGRAMS[client]()
        while row.kills < kills and time.monotonic() < deadline:
            with lock:
                mine = next(seeds)
            outcome = trial(kind, program, mine)
            with lock:
                row.trials.append(outcome)
        program.close()

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return row


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The table."""
    form = "{:14} {:8} {:>7} {:>7} {:>7} {:>10} {:>16} {:>10}"
    yield form.format("vendor", "client", "trials", "kills", "left", "leak rate", "billed twice", "lost from")
    yield form.format("(simulated)", "", "", "", "over", "per kill", "longest, s", "ledger")
    for row in rows:
        left = sum(outcome.left for outcome in row.trials)
        rate = f"{left / row.kills:.4f}" if row.kills else "-"
        longest = f"{max((outcome.double for outcome in row.trials), default=0.0):.0f}"
        lost = str(sum(len(outcome.lost) for outcome in row.trials)) if row.client != "naive" else "-"
        yield form.format(row.vendor, row.client, len(row.trials), row.kills, left, rate, longest, lost)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; exits with 1 where gpurig's figures are not what they must be."""
    names = [vendor.name for vendor in VENDORS]
    parser = argparse.ArgumentParser(prog="python -m bench.leaks")
    parser.add_argument("--provider", action="append", choices=names)
    parser.add_argument("--kills", type=int, default=1000, help="per provider")
    parser.add_argument("--minutes", type=float, default=60.0, help="the most per provider and client")
    parser.add_argument("--at-once", type=int, default=4 * (os.cpu_count() or 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--client", action="append", choices=PROGRAMS, help="who is killed; all, where not given")
    parser.add_argument("--tell", action="store_true", help="run the one trial of this seed, and tell what happens")
    given = parser.parse_args(arguments)
    faster(setattr, SPEED)
    kinds = [vendor for vendor in VENDORS if vendor.name in (given.provider or names)]
    if given.tell:
        for kind in kinds:
            print(trial(kind, PROGRAMS[(given.client or ["gpurig"])[0]](), given.seed, tell=True))
        return
    rows = []
    chosen = {client: part for client, part in PARTS.items() if client in (given.client or PARTS)}
    for kind in kinds:
        for client, share in chosen.items():
            if client == "pulumi" and PULUMI is None:
                continue
            part = share / sum(chosen.values()) if given.client else share
            limits = {"seconds": given.minutes * 60 * part, "at_once": given.at_once, "seed": given.seed}
            rows.append(measure(kind, client, kills=int(given.kills * part), **limits))
        print(f"{kind.name}: {sum(row.kills for row in rows if row.vendor == kind.name)} kills", flush=True)
    print(*lines(rows), sep="\n")
    if PULUMI is None:
        print(f"{NO_PULUMI}, so that engine's own runs are left out.")
    bad = [(row, outcome) for row in rows if row.client != "naive" for outcome in row.bad]
    for row, outcome in bad:
        again = f"--provider {row.vendor} --client {row.client} --seed {outcome.seed} --tell"
        print(f"{row.vendor}: {outcome}; again: python -m bench.leaks {again}")
    print(f"A vendor's minute lasts {60 / SPEED:.2f} s here; listings lag up to 45 s behind.")
    sys.exit(1 if bad else 0)
