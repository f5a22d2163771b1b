"""Register a machine that already exists: check that it is the right one and that we may work on it."""

from __future__ import annotations

import re
from pathlib import Path

from gpurig import keys, reach
from gpurig.errors import ConfigError
from gpurig.host import Capabilities, Endpoint
from gpurig.providers import Machine, Order, Owner
from gpurig.providers.workstation import client
from gpurig.providers.workstation.spec import HOST_KEY, Spec
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
        spec: Spec = order.spec
        key = f"gpurig:hosts.{order.owner.host}"
        identity = _identity(order, spec, key)
        unchecked = Endpoint(address=spec.address, port=spec.port, user=spec.user, host_key="")
        reach.probe_port(unchecked, key)
        pinned = spec.host_key or read_pin(order.stack, order.owner.host)
        host_key = checked_key(order.owner.host, spec.address, spec.port, pinned)
        return Endpoint(address=spec.address, port=spec.port, user=spec.user, host_key=host_key, identity=identity)

    def end(self, stack: Stack, machine: Machine) -> None:
        """Forget the registration; the machine itself is not touched."""
        _registration(stack, machine.owner.host).unlink(missing_ok=True)

    def capabilities(self, spec: Spec) -> Capabilities:
        return Capabilities(
            init=spec.init,
            gpu_driver=spec.gpu_driver,
            kernel="own",
            privilege="root" if spec.user == "root" else "sudo",
            can_stop=False,
        )


def checked_key(host: str, address: str, port: int, pinned: str | None) -> str:
    """The host key at an address, if it is the pinned one. Raises ConfigError that says how to pin it."""
    if pinned is not None and not PINNED.fullmatch(pinned):
        raise ConfigError(
            f"gpurig:hosts.{host}.host_key: {pinned!r} is no key and no fingerprint; write SHA256:… in full."
        )
    offered = client.host_keys(address, port)
    if not offered:
        raise ConfigError(
            f"gpurig:hosts.{host}.port: what listens at {address}:{port} is no SSH server; write the right port."
        )
    shown = ", ".join(f"{key.split()[0]} {keys.fingerprint(key)}" for key in offered) or "none"
    if pinned is None:
        raise ConfigError(
            f"gpurig:hosts.{host}.host_key: not known yet. {address}:{port} shows {shown}. Compare it at the machine's own "
            f"console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), then run `rig register {host} "
            "--fingerprint SHA256:…`, or write it as `host_key`."
        )
    found = client.matching(offered, pinned)
    if found is None:
        wanted = pinned if pinned.startswith("SHA256:") else keys.fingerprint(pinned)
        raise ConfigError(
            f"gpurig:hosts.{host}.host_key: refused, {address}:{port} shows {shown}, not the pinned {wanted}. Somebody may be "
            f"in between. If the machine was set up anew, compare at its console and run `rig register {host} "
            "--fingerprint SHA256:…` (or change `host_key`)."
        )
    return found


def read_pin(stack: Stack, host: str) -> str | None:
    """The host key that the user confirmed for this host, if any."""
    path = _pin(stack, host)
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def write_pin(stack: Stack, host: str, key: str) -> None:
    """Keep a host key that the user confirmed."""
    write_private(_pin(stack, host), key + "\n")


def _identity(order: Order, spec: Spec, key: str) -> str | None:
    if spec.identity and not Path(spec.identity).expanduser().is_file():
        raise ConfigError(
            f"{order.stack.file.name}: {key}.identity: {spec.identity} is not there; write a private key's path."
        )
    return spec.identity


def _registration(stack: Stack, host: str) -> Path:
    return stack.dir / "registered" / host


def _pin(stack: Stack, host: str) -> Path:
    return stack.dir / "pins" / host
