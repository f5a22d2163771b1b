"""Register a machine that already exists: check that it is the right one and that we may work on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gpurig import keys, reach
from gpurig.errors import ConfigError
from gpurig.host import Capabilities, Endpoint
from gpurig.providers import Machine, Order, Owner
from gpurig.providers.workstation import client
from gpurig.providers.workstation.registered import HOST_KEY, Registered
from gpurig.providers.workstation.spec import Spec
from gpurig.providers.workstation.windows import WindowsSpec
from gpurig.stack import Stack, write_private

PINNED = re.compile(HOST_KEY)


class Provider:
    """A machine that was there before gpurig and will be there after it."""

    destroys = False
    rents = False

    def machines(self, stack: Stack, owner: Owner) -> list[Machine]:
        registration = _registration(stack, owner.host)
        if not registration.exists():
            return []
        generation, fingerprint = registration.read_text(encoding="utf-8").split()
        return [Machine(owner.label(int(generation)), owner, int(generation), fingerprint, running=True)]

    def create(self, order: Order) -> str:
        text = f"{order.generation} {order.spec.fingerprint()}"
        write_private(_registration(order.stack, order.owner.host), text)
        return order.label

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        spec: Spec | WindowsSpec = order.spec
        key = f"{order.stack.file.name}: gpurig:hosts.{order.owner.host}"
        identity = _identity(spec, key)
        unchecked = Endpoint(address=spec.address, port=spec.port, user=spec.user, host_key="")
        reach.probe_port(unchecked, key)
        pinned = spec.host_key or read_pin(order.stack, order.owner.host)
        host_key = checked_key(key, spec, (pinned,) if pinned else ())
        return Endpoint(
            address=spec.address,
            port=spec.port,
            user=spec.user,
            host_key=host_key,
            identity=identity,
            shell="powershell" if isinstance(spec, WindowsSpec) else "sh",
        )

    def end(self, stack: Stack, machine: Machine) -> None:
        """Forget the registration; the machine itself is not touched."""
        _registration(stack, machine.owner.host).unlink(missing_ok=True)

    def capabilities(self, spec: Spec | WindowsSpec) -> Capabilities:
        return spec.capabilities()


def checked_key(key: str, spec: Registered, pinned: Sequence[str]) -> str:
    """The host key at the entry's address, if it is a pinned one. Raises ConfigError that says how to pin it.

    key: file and key of the entry. pinned: keys or fingerprints, of which one must be shown; none where nobody confirmed any yet.
    """
    host, where = key.rpartition(".")[2], f"{spec.address}:{spec.port}"
    for wrong in (one for one in pinned if not PINNED.fullmatch(one)):
        raise ConfigError(f"{key}.host_key: {wrong!r} is no key and no fingerprint; write SHA256:… in full.")
    offered = client.host_keys(spec.address, spec.port)
    if not offered:
        raise ConfigError(f"{key}.port: what listens at {where} is no SSH server; write the right port.")
    shown = ", ".join(f"{one.split()[0]} {keys.fingerprint(one)}" for one in offered) or "none"
    if not pinned:
        raise ConfigError(
            f"{key}.host_key: not known yet. {where} shows {shown}. {spec.console}, then run `rig register {host} "
            "--fingerprint SHA256:…`, or write it as `host_key`."
        )
    found = next(filter(None, (client.matching(offered, one) for one in pinned)), None)
    if found is None:
        wanted = " or ".join(one if one.startswith("SHA256:") else keys.fingerprint(one) for one in pinned)
        raise ConfigError(
            f"{key}.host_key: refused, {where} shows {shown}, not the pinned {wanted}. Somebody may be "
            f"in between. If the machine was set up anew: {spec.console[0].lower()}{spec.console[1:]}, then run "
            f"`rig register {host} --fingerprint SHA256:…` (or change `host_key`)."
        )
    return found


def read_pin(stack: Stack, host: str) -> str | None:
    """The host key that the user confirmed for this host, if any."""
    path = _pin(stack, host)
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def write_pin(stack: Stack, host: str, key: str) -> None:
    """Keep a host key that the user confirmed."""
    write_private(_pin(stack, host), key + "\n")


def _identity(spec: Registered, key: str) -> str | None:
    if spec.identity and not Path(spec.identity).expanduser().is_file():
        raise ConfigError(f"{key}.identity: {spec.identity} is not there; write a private key's path.")
    return spec.identity


def _registration(stack: Stack, host: str) -> Path:
    return stack.dir / "registered" / host


def _pin(stack: Stack, host: str) -> Path:
    return stack.dir / "pins" / host
