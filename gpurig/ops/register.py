"""`rig register`: say once which host key a machine that already exists has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context


@command(
    "host",
    help={
        "host": "A host with provider workstation.",
        "fingerprint": "SHA256:…, as read at the machine's own console.",
    },
)
def register(c: Context, host: str, fingerprint: str = "") -> None:
    """Pin a workstation's host key, after comparing its fingerprint; also for a machine that was set up anew."""
    from gpurig import access, config, keys, lifecycle, reach, records, stack_file
    from gpurig.host import Endpoint
    from gpurig.providers.workstation import client, provider
    from gpurig.providers.workstation.spec import Spec

    stack = stack_of(c)
    raw = stack_file.read(stack.file)
    spec = config.parse({"hosts": raw.get("hosts", {})}, stack.file.name).hosts.get(host)
    if not isinstance(spec, Spec):
        raise ConfigError(
            f"{stack.file.name}: gpurig:hosts.{host}: no workstation; only their host keys are registered."
        )
    key = f"gpurig:hosts.{host}"
    if spec.host_key and fingerprint not in ("", spec.host_key):
        raise ConfigError(f"{stack.file.name}: {key}.host_key says {spec.host_key}; change it there.")
    reach.probe_port(Endpoint(address=spec.address, port=spec.port, user=spec.user, host_key=""), key)
    wanted = fingerprint or spec.host_key
    if wanted is None:
        wanted = _asked(host, client.host_keys(spec.address, spec.port))
    pinned = provider.checked_key(host, spec.address, spec.port, wanted)
    provider.write_pin(stack, host, pinned)
    if records.get(stack, host):
        access.hang_up(stack, host)
        lifecycle.ensure(stack, host, spec, report=console.say)
    console.show(
        c,
        {"host": host, "host_key": pinned, "fingerprint": keys.fingerprint(pinned)},
        f"{host}: {keys.fingerprint(pinned)}",
    )
    if not records.get(stack, host):
        console.say("`rig up` registers it.")


def _asked(host: str, offered: list[str]) -> str:
    """The key that the user confirms to be the machine's. Raises ConfigError where nobody does."""
    from gpurig import keys

    if not offered:
        raise ConfigError(f"{host}: shows no SSH host key.")
    console.say(
        f"{host} shows {offered[0].split()[0]} {keys.fingerprint(offered[0])}. Compare it at the machine's own console:\n"
        "  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
    )
    if not console.on_terminal():
        raise ConfigError(
            f"Nobody can be asked here: `rig register {host} --fingerprint SHA256:…` with what you read there."
        )
    console.confirm("Is it the same?", yes=False)
    return offered[0]
