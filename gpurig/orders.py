"""From a host's configuration to the order for its machine, and from the machine to the Host record."""

from __future__ import annotations

from gpurig import keys
from gpurig.host import Host
from gpurig.offers import Offer
from gpurig.providers import Machine, Order, Owner, Provider
from gpurig.spec import HostSpec
from gpurig.stack import Stack


def order(stack: Stack, owner: Owner, spec: HostSpec, generation: int, offer: Offer | None = None) -> Order:
    """What a provider needs to make this generation of a host; its keys are made on first use."""
    return Order(
        stack=stack,
        owner=owner,
        generation=generation,
        spec=spec,
        public_key=keys.login_key(stack.home).with_suffix(".pub").read_text(encoding="utf-8").strip(),
        host_key=keys.host_key(stack, owner.host, generation),
        offer=offer,
    )


def host(provider: Provider, machine: Machine, made_from: Order) -> Host:
    """The record of a host whose machine exists. Raises NotReadyError or BrokenError as `Provider.prepare` does."""
    spec: HostSpec = made_from.spec
    return Host(
        name=made_from.owner.host,
        project=made_from.owner.project,
        stack=made_from.owner.stack,
        provider=machine.provider or spec.provider,
        id=machine.id,
        label=made_from.label,
        generation=made_from.generation,
        endpoint=provider.prepare(machine, made_from),
        capabilities=provider.capabilities(spec),
        environments=spec.environments,
        services=spec.services,
        variables={**spec.host_variables(), **spec.variables},
        spec=spec.normalised(),
        guest=spec.guest(made_from.owner.host, keys.public_half(made_from.host_key)),
    )
