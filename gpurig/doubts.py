"""Which machines may bill without anybody's knowing: one rule, for every command's first line and for `rig costs`.

Quick, since every command waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gpurig.ledger import Rental
from gpurig.stack import Stack


def among(rentals: Iterable[Rental], home: Path) -> list[Rental]:
    """Those whose last call has no known end, or whose machine no record here has, and that nobody works on now."""
    return [rental for rental in rentals if rental.open and _in_doubt(rental, home)]


def _in_doubt(rental: Rental, home: Path) -> bool:
    stack = Stack(rental.project, rental.stack, home, home)
    if not rental.unsure and _recorded(stack, rental):
        return False
    from gpurig import records

    return not records.worked_on(stack, rental.host)


def _recorded(stack: Stack, rental: Rental) -> bool:
    """Whether a host's record has this very machine; read plainly, since that is quicker than the record's class."""
    with suppress(OSError, ValueError):
        record = json.loads((stack.dir / "hosts" / f"{rental.host}.json").read_text(encoding="utf-8"))
        return isinstance(record, dict) and (record.get("provider"), record.get("id")) == (
            rental.provider,
            rental.machine,
        )
    return False
