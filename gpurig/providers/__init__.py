"""Providers: where hosts come from. One folder each, one line in `REGISTRY`."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gpurig.errors import ConfigError, RigError

if TYPE_CHECKING:
    from decimal import Decimal

    from gpurig.host import Capabilities, Endpoint
    from gpurig.offers import Offer
    from gpurig.providers.rents import Renter
    from gpurig.spec import HostSpec
    from gpurig.stack import Stack

REGISTRY = {
    "container": "gpurig.providers.container",
    "workstation": "gpurig.providers.workstation",
    "vastai": "gpurig.providers.vastai",
    "runpod": "gpurig.providers.runpod",
    "lambdalabs": "gpurig.providers.lambdalabs",
    "digitalocean": "gpurig.providers.digitalocean",
    "paperspace": "gpurig.providers.paperspace",
    "aws": "gpurig.providers.aws",
}
"""Provider name → package with `spec.Spec` and `provider.Provider`."""

MARKET = "market"
"""Stands for `provider` in the entry of a host that names several `providers`; see gpurig.rental."""

RENTERS = ("vastai", "runpod", "lambdalabs", "digitalocean", "paperspace", "aws")
"""Providers that rent machines out, and so are asked for offers."""

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

    def mark(self, generation: int, fingerprint: str) -> str:
        """The label with the configuration's fingerprint: what a rented machine carries as its name, label or tag."""
        return f"{self.label(generation)}.{fingerprint}"


_MARK = re.compile(r"gpurig\.(.+)\.([A-Za-z0-9_-]+)\.([a-z][a-z0-9-]*)\.([0-9]+)\.([0-9a-f]{12})")


def read_mark(text: str | None) -> tuple[Owner, int, str] | None:
    """Owner, generation and fingerprint of a mark; None for any other text, which is not ours."""
    match = _MARK.fullmatch(text or "")
    if match is None:
        return None
    project, stack, host, generation, fingerprint = match.groups()
    return Owner(project, stack, host), int(generation), fingerprint


@dataclass(frozen=True, slots=True)
class Machine:
    """One line of a provider's own listing.

    fingerprint: `HostSpec.fingerprint` of the configuration that it was made from.
    provider: its name; state: the vendor's own word; note: why it does not run, where the vendor says so.
    stopping: it does not run any more, and is not stopped either.
    price: USD per hour as the vendor lists it now; since: when it was made, in the vendor's words; data: the vendor's
    own line, for the provider that listed it.
    """

    id: str
    owner: Owner
    generation: int
    fingerprint: str
    running: bool
    stopping: bool = False
    provider: str = ""
    state: str = ""
    note: str = ""
    price: Decimal | None = None
    since: str = ""
    data: Any = None

    @property
    def label(self) -> str:
        return self.owner.label(self.generation)


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that is needed to make one machine and be let in.

    public_key: the login key, one line in OpenSSH's format.
    host_key: private host key to put in, with its public half beside it as `.pub`.
    offer: what to rent; None with providers that do not rent.
    """

    stack: Stack
    owner: Owner
    generation: int
    spec: Any
    public_key: str
    host_key: Path
    offer: Offer | None = None

    @property
    def label(self) -> str:
        return self.owner.label(self.generation)

    @property
    def mark(self) -> str:
        """What a rented machine is called at its vendor."""
        return self.owner.mark(self.generation, self.spec.fingerprint())


class RefusedError(RigError):
    """A vendor refused to rent, and nothing was made by it.

    made: the machine that the refusal nevertheless made, where the vendor's reply says so; it must be ended.
    another: whether another offer, of this vendor or of others, may do; False where none of this vendor's would.
    """

    def __init__(self, message: str, *, another: bool = True, made: str = "") -> None:
        super().__init__(message)
        self.another = another
        self.made = made


class DoubtError(RigError):
    """A call got no answer, or one that says nothing: it may or may not have been done. Only a listing can tell.

    answered: there was an answer, so the vendor does not work on the call any more.
    """

    answered = False


class NotReadyError(RigError):
    """A machine is not ready yet; the message says how far it is."""


class BrokenError(RigError):
    """A machine will never be ready, or is not what was paid for; the message says why."""


class Provider(Protocol):
    """What the life cycle asks of a provider. Calls may be repeated after a crash at any point of an earlier one.

    destroys: `end` destroys what is on the machine, so results must be safe before it is called.
    rents: machines cost money, so a choice of offers, a ledger and an acceptance come with them; see Renter.
    """

    destroys: bool
    rents: bool

    def machines(self, stack: Stack, owner: Owner) -> list[Machine]:
        """Every machine that carries this owner's mark, of whatever generation, running or not."""

    def create(self, order: Order) -> str:
        """Make the machine, marked with `order.label` from its first moment. Returns its id, or nothing where only a listing tells.

        Returns as soon as the provider has accepted it; `prepare` completes it. Where a machine of that label
        already exists, does nothing.
        """

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        """Bring an existing machine to what the order says, as far as that is possible on a living one, and run it.

        Raises NotReadyError while it is not ready, and BrokenError where it never will be; neither for providers that
        do not rent.
        """

    def end(self, stack: Stack, machine: Machine) -> None:
        """End the machine and what it costs. Succeeds where it is already gone."""

    def capabilities(self, spec: Any) -> Capabilities:
        """What a host made from this spec can do."""


def provider(name: str) -> Provider:
    """The provider called `name`. Raises ConfigError for one that nobody wrote."""
    made: Provider = import_module(f"{_package(name)}.provider").Provider()
    return made


def renter(name: str) -> Renter:
    """The provider called `name`, which rents machines out."""
    made: Renter = import_module(f"{_package(name)}.provider").Provider()
    return made


def account(name: str) -> str:
    """A short mark of the account in use at a provider that rents, from its key; empty where it has no key of its own."""
    vendor = getattr(import_module(f"{_package(name)}.client"), "VENDOR", None)
    return hashlib.sha256(vendor.secret().encode()).hexdigest()[:12] if vendor else ""


def spec_class(name: str) -> type[HostSpec]:
    """The configuration class of the provider called `name`."""
    if name == MARKET:
        from gpurig import rental

        return rental.MarketSpec
    found: type[HostSpec] = import_module(f"{_package(name)}.spec").Spec
    return found


@functools.cache
def spec_classes() -> dict[str, type[HostSpec]]:
    """Every configuration class, by provider, or by provider and `os` where that has several: "workstation windows-wsl2"."""
    found = {name: spec_class(name) for name in [*sorted(REGISTRY), MARKET]}
    variants = {f"{name} {os}": kind for name, spec in found.items() for os, kind in spec.variants.items()}
    return found | variants


def spec_of(entry: Mapping[str, Any]) -> type[HostSpec]:
    """The configuration class of one entry: its provider's, or that of its `os` where the provider has several."""
    found = spec_class(entry["provider"])
    return found.variants.get(str(entry.get("os")), found)


def _package(name: str) -> str:
    if name not in REGISTRY:
        raise ConfigError(f"Provider {name!r} is not known; write one of: {', '.join(sorted(REGISTRY))}.")
    return REGISTRY[name]
