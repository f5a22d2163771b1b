"""Fabric connections to hosts, for tasks of your own in fabfile.py; `rig` itself uses OpenSSH (see gpurig.remote).

Fabric accepts any host key that it has not seen before (paramiko's AutoAddPolicy). Here a connection accepts the pinned
key of its host and no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import fabric.connection
from paramiko import MissingHostKeyPolicy, RejectPolicy, SSHException, Transport

from gpurig import keys, records
from gpurig.errors import RigError
from gpurig.stack import Stack, open_stack

if TYPE_CHECKING:
    from paramiko import PKey, SSHClient

    from gpurig.host import Endpoint


class PinnedKey(MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko carries no types
    """Accepts exactly one host key. paramiko asks it about every key, since it is given no list of known hosts."""

    def __init__(self, pinned: str) -> None:
        self._pinned = pinned

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        if f"{key.get_name()} {key.get_base64()}" != self._pinned:
            raise SSHException(f"{hostname}: refused, its host key is not the pinned {keys.fingerprint(self._pinned)}.")


def connection(name: str, stack: Stack | None = None) -> fabric.Connection:
    """A Fabric connection to a recorded host, or to the machine within one. Raises RigError where there is none."""
    stack = stack or open_stack()
    for host in records.load(stack).values():
        if host.name == name:
            return _made(stack, host.work()[1])
        for machine, endpoint, _ in host.machines():
            if machine == name:
                return _made(stack, endpoint)
    raise RigError(f"No host {name!r} in stack {stack.name}. Hosts: {', '.join(records.load(stack)) or 'none'}.")


def refuse_unknown_hosts() -> None:
    """Let `fab -H HOST` refuse every host whose key nobody pinned, instead of trusting it."""
    fabric.connection.AutoAddPolicy = RejectPolicy


def _made(stack: Stack, endpoint: Endpoint) -> fabric.Connection:
    kind = endpoint.host_key.split()[0]
    usable = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}.get(kind, (kind,))
    others = [name for name in Transport._preferred_keys if name not in usable]  # noqa: SLF001 (paramiko has no list of them)
    options: dict[str, Any] = {
        "key_filename": str(Path(endpoint.identity).expanduser() if endpoint.identity else keys.login_key(stack.home)),
        "look_for_keys": False,
        "disabled_algorithms": {"keys": others},
    }
    made = fabric.Connection(
        endpoint.address,
        user=endpoint.user,
        port=endpoint.port,
        gateway=connection(endpoint.jump, stack) if endpoint.jump else None,
        config=fabric.Config(overrides={"load_ssh_configs": False}),
        connect_kwargs=options,
        connect_timeout=10,
    )
    made.client.set_missing_host_key_policy(PinnedKey(endpoint.host_key))
    return made
