"""`rig stop` and `rig start`: pause a rented host, its disk kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurig.errors import ConfigError, RigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.host import Host
    from gpurig.ledger import Rental
    from gpurig.providers import Machine, Report
    from gpurig.stack import Stack

STOP_SECONDS = 300.0
"""How long a vendor may take to stop a machine."""

LOOK_SECONDS = 3.0


@command("host", help={"host": "A rented host.", "yes": "Ask no question, also where a run is going on."})
def stop(c: Context, host: str, yes: bool = False) -> None:
    """Stop a rented host; its disk is kept, and billed. Its GPU may be rented to somebody else before `rig start`.

    Refuses where the vendor cannot stop a machine, or bills a stopped one in full.
    """
    from gpurig import access, entries, providers, records

    stack, found, machine = _there(c, host)
    if not found.capabilities.can_stop:
        providers.renter(found.provider).stop(machine)  # it refuses, and says why
        raise ConfigError(f"{host}: {found.provider} cannot stop machines.")
    rental = entries.rental_of(stack, machine)
    if not machine.running and rental and rental.state == "stopped":
        console.show(c, _as_data(found, rental, "stopped"), f"{host} is stopped already.")
        return
    going = _going(stack, found)
    asked = (
        f" {', '.join(going)} {'is' if len(going) == 1 else 'are'} going on there and will be killed." if going else ""
    )
    console.confirm(f"{_costs_stopped(host, rental)}{_wiped(found)}{asked} Stop {host}?", yes=yes)
    with records.host_lock(stack, host), console.working(f"Stopping {host}") as report:
        access.hang_up(stack, host)
        try:
            providers.renter(found.provider).stop(machine)
        except providers.DoubtError as error:
            report(f"{error} Looking whether it stops nevertheless")
        except providers.RefusedError:
            if machine.running:
                raise
        _wait_until_stopped(stack, found, report)
        if rental:
            entries.enter(stack, rental.id, "stopped", report)
    console.show(c, _as_data(found, rental, "stopped"), f"{host} is stopped. `rig start {host}` starts it again.")


@command("host", help={"host": "A stopped host.", "yes": "Ask no question."})
def start(c: Context, host: str, yes: bool = False) -> None:
    """Start a stopped host again and wait until it lets us in; from then on it costs its full price.

    Its GPU may be gone: then the vendor keeps it waiting or refuses, and it stays stopped, its disk kept and billed.
    """
    from gpurig import entries, lifecycle, providers

    stack, found, machine = _there(c, host)
    rental = entries.rental_of(stack, machine)
    if machine.running and not (rental and rental.state == "stopped"):
        console.show(c, _as_data(found, rental, "up"), f"{host} runs already.")
        return
    price = f"${rental.price:.3f} an hour (${rental.price * 24:.2f} a day)" if rental else "its full price"
    console.confirm(f"{host} will cost {price} again. Start it?", yes=yes)
    spec = providers.spec_of(found.spec).model_validate(found.spec)
    with console.working(f"Starting {host}") as report:
        try:
            lifecycle.ensure(stack, host, spec, report=report)
        except RigError as error:
            now = lifecycle.observe(stack, found)
            if now and not now.running and rental:
                entries.enter(stack, rental.id, "stopped", report)
            state = f" It is {now.state or 'stopped'} now{f': {now.note}' if now.note else ''}." if now else ""
            raise RigError(f"{host} was not started: {error}{state}") from error
    console.show(c, _as_data(found, rental, "up"), f"{host} is up.")


def _there(c: Context, host: str) -> tuple[Stack, Host, Machine]:
    """A recorded host that is rented, and its machine as the vendor lists it."""
    from gpurig import accounts, lifecycle, providers, records

    stack = stack_of(c)
    found = records.require(stack, host)
    if not providers.provider(found.provider).rents:
        raise ConfigError(f"{host}: not rented, so it costs nothing that stopping would save ({found.provider}).")
    accounts.provide(stack, report=console.say)
    machine = lifecycle.observe(stack, found)
    if machine is None:
        raise RigError(f"{host}: {found.provider} does not list {found.id} any more; `rig refresh` says why.")
    return stack, found, machine


def _wait_until_stopped(stack: Stack, host: Host, report: Report) -> None:
    """Return once the vendor lists it as stopped, and not only as on its way there. Raises RigError where it does not in time."""
    from gpurig import clock, lifecycle

    deadline, told = clock.monotonic() + STOP_SECONDS, ""
    while True:
        begun = clock.monotonic()
        machine = lifecycle.observe(stack, host)
        if machine is None:
            raise RigError(f"{host.name}: {host.provider} does not list {host.id} any more; `rig refresh` says why.")
        if not machine.running and not machine.stopping:
            return
        state = machine.state or "running"
        if begun > deadline:
            raise RigError(
                f"{host.name}: still {state} at {host.provider} after {STOP_SECONDS:.0f} s, and billed until it is stopped; "
                f"`rig stop {host.name}` looks again."
            )
        if state != told:
            report(f"{host.name}: {state}")
            told = state
        clock.sleep(LOOK_SECONDS)


def _going(stack: Stack, host: Host) -> list[str]:
    """Runs that are going on there, as last seen."""
    from gpurig import runs

    return [run.id for run in runs.of_host(stack, host.name) if run.label == host.label and run.state == "running"]


def _costs_stopped(host: str, rental: Rental | None) -> str:
    gpu = "Its GPU may be rented to somebody else meanwhile, and `rig start` then has to wait or fails."
    if rental is None or rental.price_stopped is None:
        return f"What {host} costs while stopped is not known here. {gpu}"
    price = rental.price_stopped
    return f"While stopped, {host} costs ${price:.4f} an hour (${price * 24:.2f} a day) instead of ${rental.price:.3f}. {gpu}"


def _wiped(host: Host) -> str:
    """What a stop takes, where it takes more than the machine."""
    kept = host.capabilities.stop_keeps
    return (
        ""
        if kept == "all"
        else f" All that is not in {kept} is wiped, so that site.yml has to run again after `rig start`."
    )


def _as_data(host: Host, rental: Rental | None, state: str) -> dict[str, object]:
    hourly = None
    if rental:
        stopped = rental.price if rental.price_stopped is None else rental.price_stopped
        hourly = f"{stopped if state == 'stopped' else rental.price:f}"
    return {"host": host.name, "state": state, "provider": host.provider, "hourly": hourly}
