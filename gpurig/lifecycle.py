"""The life of a host, once, for both engines: make sure that it exists, look at it, end it.

Every step may be killed and run again. A machine carries its label from its first moment, and `ensure` asks the
provider's own listing for that label before it makes anything, so an interrupted run leaves nothing behind that
the next one does not find. See docs/decisions.md, "Labels and generations".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gpurig import access, gate, keys, providers, reach, records
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.providers import Machine, Order, Owner, Provider, Report
from gpurig.spec import HostSpec
from gpurig.stack import Stack

READY_SECONDS = 120.0
"""How long a machine that we started may take until it lets us in; one that was there before gets one try."""

END_SECONDS = 60.0
"""How long the provider's listing may go on showing a machine that was ended."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration asks of a living host. keys: the configuration keys that differ."""

    kind: Literal["none", "update", "replace"]
    keys: tuple[str, ...] = ()


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    """Compare two normalised specs of one host."""
    differing = tuple(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
    if not differing:
        return Change("none")
    fixed = providers.spec_class(new["provider"]).fixed
    return Change("replace" if fixed & set(differing) else "update", differing)


def ensure(stack: Stack, name: str, spec: HostSpec, *, report: Report) -> Host:
    """Make sure that exactly one machine exists for this host, as the spec says, and that it lets us in.

    Adopts a machine that an earlier run left, replaces one whose fixed keys differ, ends extras.
    Raises RigError with what is wrong; running it again continues.
    """
    with records.host_lock(stack, name):
        provider = providers.provider(spec.provider)
        owner = Owner(stack.project, stack.name, name)
        recorded = records.get(stack, name)
        before = recorded.provider if recorded else records.intents(stack).get(name, spec.provider)
        if before != spec.provider:
            _end(stack, owner, before, report)
        records.intend(stack, name, spec.provider)
        kept = _adopt(stack, provider, owner, spec, report)
        if recorded and kept is None:
            _supersede(stack, name, recorded.generation)
        generation = kept.generation if kept else records.generation(stack, name)
        order = Order(
            stack=stack,
            owner=owner,
            generation=generation,
            spec=spec,
            public_key=keys.login_key(stack.home).with_suffix(".pub").read_text(encoding="utf-8").strip(),
            host_key=keys.host_key(stack, name, generation),
        )
        if kept is None:
            report(f"{name}: {'making' if provider.destroys else 'registering'} {order.label}")
            provider.create(order)
            kept = _listed(stack, provider, owner, generation)
        host = _host(provider, kept, order)
        reach.wait(stack, host, seconds=READY_SECONDS if provider.destroys else 0, report=report)
        records.save(stack, host)
        return host


def observe(stack: Stack, host: Host) -> Machine | None:
    """The host's machine as its provider lists it now, running or not; None where it is gone. Changes nothing."""
    machines = providers.provider(host.provider).machines(stack, Owner(host.project, host.stack, host.name))
    return next((machine for machine in machines if machine.id == host.id), None)


def forget(stack: Stack, host: Host) -> None:
    """Drop the record of a host whose machine is gone without our doing; its successor is another generation."""
    with records.host_lock(stack, host.name):
        _supersede(stack, host.name, host.generation)
        records.remove(stack, host.name)


def end(stack: Stack, name: str, provider: str, *, report: Report) -> None:
    """End every machine of a host, recorded or not. Done only when the provider's listing no longer shows one.

    Raises ResultsAtRiskError while it holds results that were not brought back and verified.
    """
    with records.host_lock(stack, name):
        _end(stack, Owner(stack.project, stack.name, name), provider, report)


def may_end(stack: Stack, name: str, provider: str) -> None:
    """Raise ResultsAtRiskError where ending this host would lose results; asked before anything else is changed."""
    made = providers.provider(provider)
    for machine in made.machines(stack, Owner(stack.project, stack.name, name)):
        _guard(stack, made, machine)


def _adopt(stack: Stack, provider: Provider, owner: Owner, spec: HostSpec, report: Report) -> Machine | None:
    """The machine to keep among those the provider lists; the others are ended."""
    wanted = spec.fingerprint()
    kept: Machine | None = None
    for machine in sorted(provider.machines(stack, owner), key=lambda found: found.generation, reverse=True):
        if kept is None and machine.fingerprint == wanted:
            kept = machine
            continue
        why = "an extra one" if kept else "its configuration changed"
        report(f"{owner.host}: ending {owner.label(machine.generation)} ({why})")
        _guard(stack, provider, machine)
        _remove(stack, provider, owner, machine)
    return kept


def _end(stack: Stack, owner: Owner, provider_name: str, report: Report) -> None:
    provider = providers.provider(provider_name)
    machines = provider.machines(stack, owner)
    for machine in machines:
        _guard(stack, provider, machine)
    records.intend(stack, owner.host, provider_name)
    for machine in machines:
        report(f"{owner.host}: {'ending' if provider.destroys else 'forgetting'} {owner.label(machine.generation)}")
        _remove(stack, provider, owner, machine)
    access.hang_up(stack, owner.host)
    records.remove(stack, owner.host)


def _guard(stack: Stack, provider: Provider, machine: Machine) -> None:
    if provider.destroys:
        gate.check(stack, machine.owner.host, running=machine.running)


def _remove(stack: Stack, provider: Provider, owner: Owner, machine: Machine) -> None:
    """End one machine and wait until the listing confirms it."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        provider.end(stack, machine)
        if all(found.id != machine.id for found in provider.machines(stack, owner)):
            break
        if time.monotonic() > deadline:
            raise RigError(f"{owner.host}: {machine.id} is still listed after {END_SECONDS:.0f} s; run this again.")
        time.sleep(0.5)
    _supersede(stack, owner.host, machine.generation)


def _supersede(stack: Stack, host: str, generation: int) -> None:
    """Note that this generation has ended."""
    records.set_generation(stack, host, max(records.generation(stack, host), generation + 1))


def _listed(stack: Stack, provider: Provider, owner: Owner, generation: int) -> Machine:
    for machine in provider.machines(stack, owner):
        if machine.generation == generation:
            return machine
    raise RigError(f"{owner.host}: {owner.label(generation)} was made but is not listed; run this again.")


def _host(provider: Provider, machine: Machine, order: Order) -> Host:
    spec: HostSpec = order.spec
    return Host(
        name=order.owner.host,
        project=order.owner.project,
        stack=order.owner.stack,
        provider=spec.provider,
        id=machine.id,
        label=order.label,
        generation=order.generation,
        endpoint=provider.prepare(machine, order),
        capabilities=provider.capabilities(spec),
        environments=spec.environments,
        services=spec.services,
        variables={**spec.host_variables(), **spec.variables},
        spec=spec.normalised(),
    )
