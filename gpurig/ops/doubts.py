"""What every command says first: which machines may bill without anybody's knowing."""

from __future__ import annotations

from gpurig.ops import console
from gpurig.stack import home

SHOWN = 5
"""Lines at most, before the rest is counted only."""


def tell() -> None:
    """Warn of rentals that may bill without anybody's knowing."""
    console.warned.clear()
    base = home()
    if not (base / "ledger.sqlite").exists():
        return
    from gpurig import doubts
    from gpurig.errors import RigError
    from gpurig.ledger import Ledger

    try:
        unsure = doubts.among(Ledger(base).open_rentals(), base)
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
