"""The life of a host, once, for both engines: make sure that it exists, look at it, end it.

Every step may be killed and run again. A machine carries its label from its first moment, and `ensure` asks the
provider's own listing for that label before it makes anything, so an interrupted run leaves nothing behind that
the next one does not find. See docs/decisions.md, "Labels and generations" and "Renting without leaks".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from gpurig import clock, entries, gate, orders, providers, reach, records, renting, settle
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.ledger import Ledger
from gpurig.providers import Machine, Owner, Provider, Report
from gpurig.rental import RentalSpec
from gpurig.spec import HostSpec
from gpurig.stack import Stack

READY_SECONDS = 120.0
"""How long a machine that we started may take until it lets us in; one that was there before gets one try."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration asks of a living host. keys: those that differ; fixed: those of them that force a new machine."""

    kind: Literal["none", "update", "replace"]
    keys: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    """Compare two normalised specs of one host."""
    differing = tuple(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
    if not differing:
        return Change("none")
    forcing = tuple(sorted(providers.spec_of(new).fixed & set(differing)))
    return Change("replace" if forcing else "update", differing, forcing)


def ensure(stack: Stack, name: str, spec: HostSpec, *, report: Report) -> Host:
    """Make sure that exactly one machine exists for this host, as the spec says, and that it lets us in.

    Adopts a machine that an earlier run left, replaces one whose fixed keys differ, ends extras.
    Raises RigError with what is wrong; running it again continues.
    """
    with records.host_lock(stack, name):
        owner = Owner(stack.project, stack.name, name)
        recorded = records.get(stack, name)
        there = sources(stack, name)
        for other in sorted(set(there) - set(spec.sources())):
            _end(stack, owner, [other], report, "its provider changed")
        here = _askable(stack, owner, spec, there, report)
        records.intend(stack, name, here)
        machines = settle.settled(stack, owner, here, report)
        kept = _adopt(stack, owner, spec, machines, recorded, report)
        if recorded and kept is None:
            records.supersede(stack, name, recorded.generation)
        if isinstance(spec, RentalSpec):
            host = renting.rented(stack, owner, spec, kept, recorded, report)
            _adopt(stack, owner, spec, settle.settled(stack, owner, here, report), host, report)  # late ones
        else:
            host = _made(stack, owner, spec, kept, report)
        records.save(stack, host)
        return host


def observe(stack: Stack, host: Host) -> Machine | None:
    """The host's machine as its provider lists it now, running or not; None where it is gone. Changes nothing.

    A rented one that is not listed is looked for until the listing must show it: one gap says nothing.
    """
    owner = Owner(host.project, host.stack, host.name)
    provider = providers.provider(host.provider)
    patience = providers.renter(host.provider).listing_delay if provider.rents else 0.0
    deadline = clock.monotonic() + patience
    while True:
        begun = clock.monotonic()
        found = next((machine for machine in provider.machines(stack, owner) if machine.id == host.id), None)
        if found or begun >= deadline:
            return found
        clock.sleep(settle.LOOK_SECONDS)


def forget(stack: Stack, host: Host) -> str:
    """Drop the record of a host whose machine is gone without our doing; its successor is another generation.

    Returns why it is gone, where its provider can tell, else nothing.
    """
    with records.host_lock(stack, host.name):
        why = settle.gone(stack, host)
        records.supersede(stack, host.name, host.generation)
        records.remove(stack, host.name)
        return why


def end(stack: Stack, name: str, at: Iterable[str], *, report: Report) -> None:
    """End every machine of a host, recorded or not. Done only when the providers' listings no longer show one.

    at: providers that may have one, besides those that are noted here.
    Raises ResultsAtRiskError while it holds results that were not brought back and verified.
    """
    with records.host_lock(stack, name):
        every = sorted({*at, *sources(stack, name)})
        _end(stack, Owner(stack.project, stack.name, name), every, report, "ended by its owner")


def may_end(stack: Stack, name: str) -> None:
    """Raise ResultsAtRiskError where ending this host would lose results; asked before anything else is changed."""
    owner = Owner(stack.project, stack.name, name)
    for machine in settle.listed(owner, sources(stack, name), stack):
        _guard(stack, providers.provider(machine.provider), machine)


def sources(stack: Stack, name: str) -> tuple[str, ...]:
    """The providers that have, or may have, a machine of this host, as far as it is noted here."""
    recorded = records.get(stack, name)
    noted = [recorded.provider] if recorded else []
    noted += records.intents(stack).get(name, ())
    with suppress(RigError):  # a damaged ledger must not keep a host from being ended
        noted += [rental.provider for rental in Ledger(stack.home).of_host(stack.project, stack.name, name)]
    return tuple(dict.fromkeys(noted))


def _askable(stack: Stack, owner: Owner, spec: HostSpec, there: Sequence[str], report: Report) -> Sequence[str]:
    """The providers of a spec that can be asked for their machines; of several, one that never had ours may be passed over."""
    if len(spec.sources()) == 1:
        return spec.sources()
    found, problems = [], []
    for name in spec.sources():
        try:
            settle.listed(owner, [name], stack)
            found.append(name)
        except RigError as error:
            if name in there:
                raise
            report(f"{owner.host}: passed over: {error}")
            problems.append(str(error))
    if not found:
        raise ConfigError("\n".join([f"{owner.host}: none of its providers can be asked:", *problems]))
    return found


def _adopt(
    stack: Stack, owner: Owner, spec: HostSpec, machines: Sequence[Machine], recorded: Host | None, report: Report
) -> Machine | None:
    """The machine to keep among those that are listed: the recorded one, else the newest that fits. The others are ended."""
    wanted = spec.fingerprint()
    kept: Machine | None = None
    best_first = sorted(
        machines, key=lambda m: (recorded is not None and m.id == recorded.id, m.generation), reverse=True
    )
    for machine in best_first:
        if kept is None and machine.fingerprint == wanted:
            kept = machine
            continue
        why = "an extra one" if kept else "its configuration changed"
        rents = providers.provider(machine.provider).rents
        if kept and rents and not entries.expendable(stack, machine, by_program=spec.in_program):
            report(
                f"{owner.host}: {machine.provider} {machine.id} ({machine.label}) is kept beside {kept.id}: it was accepted "
                "once, or rented elsewhere, and may hold work. It costs money; `rig reap` ends it"
            )
            continue
        report(f"{owner.host}: ending {machine.label} ({why})")
        _guard(stack, providers.provider(machine.provider), machine)
        settle.remove(stack, machine, why, report)
    return kept


def _made(stack: Stack, owner: Owner, spec: HostSpec, kept: Machine | None, report: Report) -> Host:
    """A host of a provider that does not rent."""
    provider = providers.provider(spec.provider)
    generation = kept.generation if kept else records.generation(stack, owner.host)
    order = orders.order(stack, owner, spec, generation)
    is_new = kept is None
    if kept is None:
        report(f"{owner.host}: {'making' if provider.destroys else 'registering'} {order.label}")
        provider.create(order)
        kept = _listed(stack, spec.provider, owner, generation)
    host = orders.host(provider, kept, order)
    reach.wait(stack, host, seconds=READY_SECONDS if provider.destroys else 0, report=report)
    if host.guest and is_new:
        report(f"{host.guest.name}: comes with `ansible-playbook playbooks/site.yml --limit {owner.host}`")
    return host


def _end(stack: Stack, owner: Owner, at: Sequence[str], report: Report, why: str) -> None:
    machines = settle.settled(stack, owner, at, report, ending=True)
    for machine in machines:
        _guard(stack, providers.provider(machine.provider), machine)
    records.intend(stack, owner.host, at)
    for machine in machines:
        destroys = providers.provider(machine.provider).destroys
        report(f"{owner.host}: {'ending' if destroys else 'forgetting'} {machine.label}")
        settle.remove(stack, machine, why, report)
    records.hang_up(stack, owner.host)
    records.remove(stack, owner.host)


def _guard(stack: Stack, provider: Provider, machine: Machine) -> None:
    recorded = records.get(stack, machine.owner.host)
    is_another = recorded is not None and recorded.id != machine.id and recorded.label != machine.label
    if provider.destroys and not is_another:  # what is noted of runs is about the recorded machine
        gate.check(stack, machine.owner.host, running=machine.running)


def _listed(stack: Stack, provider: str, owner: Owner, generation: int) -> Machine:
    for machine in settle.listed(owner, [provider], stack):
        if machine.generation == generation:
            return machine
    raise RigError(f"{owner.host}: {owner.label(generation)} was made but is not listed; run this again.")
