"""Offers and renting against simulated vendors: time, memory, ten hosts against one, and the pace of calls.

Goals: offers from all ≤ 1.1 × the slowest vendor's answer; ≤ 100 MB; ten hosts ≤ 1.5 × one where the vendor's limits allow it; never more
calls than a vendor allows.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gpurig import acceptance, clock, config, engine, offers, reach
from gpurig.offers import Wish
from gpurig.stack import Stack
from tests.clients.fake import GOOD_KEY, Fault, Vendor
from tests.clients.server import serving
from tests.clients.time import faster
from tests.clients.vendors import VENDORS

KEYS = ("VAST_API_KEY", "RUNPOD_API_KEY", "LAMBDA_API_KEY", "DIGITALOCEAN_TOKEN", "PAPERSPACE_API_KEY")
SLOW = 2.0
"""Seconds that each vendor takes to answer a search; the slowest takes twice that."""

BOOTS = 60.0
SPEED = 8
HOSTS = 10


def main() -> None:
    """Print all figures."""
    os.environ |= dict.fromkeys(KEYS, GOOD_KEY)
    _offers()
    faster(setattr, SPEED)
    replaced: list[tuple[Any, str, Any]] = [
        (reach, "wait", lambda *_, **__: None),
        (acceptance, "check", lambda *_, **__: None),
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    print(f"Renting, with machines that boot in {BOOTS:.0f} s (a vendor's seconds; {SPEED} × as fast as time):")
    for kind in VENDORS:
        _many(kind)


def _offers() -> None:
    """All vendors asked at once."""
    with ExitStack() as stack:
        vendors = [stack.enter_context(_served(kind)) for kind in VENDORS]
        offers.search([vendor.name for vendor in vendors], Wish(gpu="RTX 4090"))  # imports
        for vendor in vendors:
            slow = SLOW * (2 if vendor is vendors[-1] else 1)
            vendor.faults = [Fault("offers", "delay", slow)]
        clock.sleep(6)  # the longest pause that a vendor wants between two searches
        started = time.perf_counter()
        answers = offers.search([vendor.name for vendor in vendors], Wish(gpu="RTX 4090"))
        took = time.perf_counter() - started
    found = sum(len(answer.offers) for answer in answers)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    print(
        f"offers of {len(answers)} vendors  {took:.2f} s, {took / (2 * SLOW):.2f} × the slowest; {found} offers; {used:.0f} MB"
    )


def _many(kind: type[Vendor]) -> None:
    took = {}
    calls = busiest = refused = 0
    for count in (1, HOSTS):
        with _served(kind) as vendor, tempfile.TemporaryDirectory() as folder:
            vendor.boots, vendor.strict_pace = BOOTS, True
            entry = {"provider": vendor.name, "gpu": vendor.gpu, "max_price": 50}
            wanted = config.parse({"hosts": {f"h{number}": entry for number in range(count)}}, "bench")
            stack = Stack("bench", "rent", Path(folder), Path(folder))
            clock.sleep(60)
            started = clock.monotonic()
            engine.up(stack, wanted, report=lambda _: None)
            took[count] = clock.monotonic() - started
            calls, refused = len(vendor.calls), vendor.too_often
            moments = [moment for moment, _, _ in vendor.calls]
            busiest = max(sum(first <= moment < first + 60 for moment in moments) for first in moments)
    print(
        f"  {kind.name:14} 1 host {took[1]:4.0f} s, {HOSTS} hosts {took[HOSTS]:4.0f} s: {took[HOSTS] / took[1]:.2f} ×; "
        f"{calls} calls, {busiest} in the busiest minute, {refused} refused as too many"
    )


@contextmanager
def _served(kind: type[Vendor]) -> Iterator[Vendor]:
    vendor = kind()
    with serving(vendor) as url:
        os.environ[f"GPURIG_{vendor.name.upper()}_URL"] = url
        yield vendor


if __name__ == "__main__":
    main()
