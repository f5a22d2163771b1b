"""What every command says first: which machines may bill without anybody's knowing."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from gpurig.ops import console
from gpurig.stack import home

if TYPE_CHECKING:
    from gpurig.ledger import Rental
    from gpurig.stack import Stack

SHOWN = 5
"""Lines at most, before the rest is counted only."""


def tell() -> None:
    """Warn of rentals whose last call has no known end, or whose machine no record has, and that nobody works on.

    Quick, since every command waits for it.
    """
    console.warned.clear()
    base = home()
    if not (base / "ledger.sqlite").exists():
        return
    from gpurig.errors import RigError
    from gpurig.ledger import Ledger

    try:
        unsure = [rental for rental in Ledger(base).open_rentals() if _in_doubt(rental)]
    except RigError as error:
        console.say(f"Warning: {error}")
        return
    for rental in unsure[:SHOWN]:
        price = f"${rental.price:.2f} an hour" if rental.price else "at an unknown price"
        console.say(
            f"Warning: {rental.provider} {rental.label} may still bill ({price} since {console.moment(rental.since)}): "
            "`rig reap` looks and ends it."
        )
    if len(unsure) > SHOWN:
        console.say(f"Warning: so may {len(unsure) - SHOWN} others.")


def _in_doubt(rental: Rental) -> bool:
    from gpurig.stack import Stack

    base = home()
    stack = Stack(rental.project, rental.stack, base, base)
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
