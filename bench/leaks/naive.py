"""What many tools do: rent, and write it down afterwards. For comparison; it knows no label, no ledger and no listing."""

from __future__ import annotations

from gpurig import market, orders, providers
from gpurig.providers import Machine, Owner
from gpurig.rental import RentalSpec
from gpurig.spec import HostSpec
from gpurig.stack import Stack, write_private


def up(stack: Stack, spec: HostSpec) -> None:
    """Rent unless it is written down that there is a machine; the reply's machine is written down."""
    assert isinstance(spec, RentalSpec)
    state = stack.dir / "naive"
    if state.exists():
        return
    meeting, _ = market.candidates(spec)
    order = orders.order(stack, Owner(stack.project, stack.name, "a"), spec, 1, meeting[0])
    write_private(state, providers.renter(spec.provider).create(order))


def down(stack: Stack, spec: HostSpec) -> None:
    """End the machine that is written down, and strike it out."""
    state = stack.dir / "naive"
    if not state.exists():
        return
    machine = Machine(
        state.read_text(), Owner(stack.project, stack.name, "a"), 1, "", running=True, provider=spec.provider
    )
    providers.renter(spec.provider).end(stack, machine)
    state.unlink()
