"""What every command says first: which machines may bill without anybody's knowing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurig.ops import console
from gpurig.stack import home

if TYPE_CHECKING:
    from gpurig.ledger import Rental

SHOWN = 5
"""Lines at most, before the rest is counted only."""


def tell() -> None:
    """Warn of rentals whose last call has no known end, and that nobody works on. Quick, since every command waits for it."""
    base = home()
    if not (base / "ledger.sqlite").exists():
        return
    from gpurig.errors import RigError
    from gpurig.ledger import Ledger

    try:
        unsure = [rental for rental in Ledger(base).unsure() if not _worked_on(rental)]
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


def _worked_on(rental: Rental) -> bool:
    from gpurig import records
    from gpurig.stack import Stack

    base = home()
    return records.worked_on(Stack(rental.project, rental.stack, base, base), rental.host)
