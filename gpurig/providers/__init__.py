"""Providers: where hosts come from. One folder each, one line in `REGISTRY`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gpurig.errors import ConfigError

if TYPE_CHECKING:
    from gpurig.host import Capabilities, Endpoint
    from gpurig.spec import HostSpec
    from gpurig.stack import Stack

REGISTRY = {
    "container": "gpurig.providers.container",
    "workstation": "gpurig.providers.workstation",
}
"""Provider name → package with `spec.Spec` and `provider.Provider`."""

Report = Callable[[str], None]
"""Takes one line of progress."""


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom a machine belongs. A provider's listing is always asked by this, never by guess."""

    project: str
    stack: str
    host: str

    def label(self, generation: int) -> str:
        """The mark that a machine of this generation carries at its provider."""
        return f"gpurig.{self.project}.{self.stack}.{self.host}.{generation}"


@dataclass(frozen=True, slots=True)
class Machine:
    """One line of a provider's own listing.

    fingerprint: `HostSpec.fingerprint` of the configuration that it was made from.
    """

    id: str
    owner: Owner
    generation: int
    fingerprint: str
    running: bool


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that is needed to make one machine and be let in.

    public_key: the login key, one line in OpenSSH's format.
    host_key: private host key to put in, with its public half beside it as `.pub`.
    """

    stack: Stack
    owner: Owner
    generation: int
    spec: Any
    public_key: str
    host_key: Path

    @property
    def label(self) -> str:
        return self.owner.label(self.generation)


class Provider(Protocol):
    """What the life cycle asks of a provider. Calls may be repeated after a crash at any point of an earlier one.

    destroys: `end` destroys what is on the machine, so results must be safe before it is called.
    """

    destroys: bool

    def machines(self, stack: Stack, owner: Owner) -> list[Machine]:
        """Every machine that carries this owner's mark, of whatever generation, running or not."""

    def create(self, order: Order) -> None:
        """Make the machine, marked with `order.label` from its first moment.

        Returns as soon as the provider has accepted it; `prepare` completes it. Where a machine of that label
        already exists, does nothing.
        """

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        """Bring an existing machine to what the order says, as far as that is possible on a living one, and run it."""

    def end(self, stack: Stack, machine: Machine) -> None:
        """End the machine and what it costs. Succeeds where it is already gone."""

    def capabilities(self, spec: Any) -> Capabilities:
        """What a host made from this spec can do."""


def provider(name: str) -> Provider:
    """The provider called `name`. Raises ConfigError for one that nobody wrote."""
    made: Provider = import_module(f"{_package(name)}.provider").Provider()
    return made


def spec_class(name: str) -> type[HostSpec]:
    """The configuration class of the provider called `name`."""
    found: type[HostSpec] = import_module(f"{_package(name)}.spec").Spec
    return found


def _package(name: str) -> str:
    if name not in REGISTRY:
        raise ConfigError(f"Provider {name!r} is not known; write one of: {', '.join(sorted(REGISTRY))}.")
    return REGISTRY[name]
