"""Providers that rent machines out, for money: what the life cycle asks of them besides, and what they all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gpurig.errors import ConfigError
from gpurig.providers import Machine, Order, Owner, Provider, listing

if TYPE_CHECKING:
    from gpurig.offers import Offer, Wish
    from gpurig.stack import Stack


class Renter(Provider, Protocol):
    """A provider that rents machines out, for money; `machines` is made from `everything` by `Rents`.

    listing_delay: seconds after which the vendor's listing surely shows a machine that a call made.
    """

    listing_delay: float

    async def offers(self, wish: Wish) -> list[Offer]:
        """What can be rented now, also what does not meet the wish where the vendor lists it; one or few requests.

        The wish helps to ask for little and to price the disk. Raises RigError with the vendor's words.
        """

    def everything(self) -> list[Machine]:
        """Every machine in this account that carries a mark of ours, of whatever project, running or not; all pages.

        Raises RigError where any page could not be read: half a listing is no listing.
        """

    def create(self, order: Order) -> str:
        """Rent `order.offer`, marked with `order.mark` in that very call. Returns the machine's id as the vendor's reply says.

        One request that makes something, never repeated. Raises RefusedError where nothing was made, DoubtError where
        that is not known.
        """

    def stop(self, machine: Machine) -> None:
        """Stop it, its disk kept. Raises ConfigError with the reason where this vendor cannot."""

    def start(self, machine: Machine) -> None:
        """Start a stopped one again; the life cycle waits until it runs. Raises ConfigError as `stop`."""

    def why_gone(self, machine: str) -> str:
        """Why a machine, by its id, is no longer listed though we did not end it: as the vendor tells, or may be guessed."""


class Rents:
    """What all renters share."""

    destroys = True
    rents = True
    listing_delay = 60.0

    def stop(self, machine: Machine) -> None:
        raise ConfigError(
            f"{machine.owner.host}: {machine.provider} cannot stop a machine and stop billing it; `rig down` ends it."
        )

    def start(self, machine: Machine) -> None:
        raise ConfigError(f"{machine.owner.host}: {machine.provider} cannot stop and start machines.")

    def why_gone(self, machine: str) -> str:
        return "the vendor no longer lists it"

    def machines(self: Any, stack: Stack, owner: Owner) -> list[Machine]:
        return [machine for machine in listing.shared(type(self).__module__, self.everything) if machine.owner == owner]
