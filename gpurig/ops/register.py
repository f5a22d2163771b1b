"""`rig register`: say once which host key a machine that already exists has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.providers.workstation.registered import Registered


@command(
    "host",
    help={
        "host": "A host with provider workstation.",
        "fingerprint": "SHA256:…, as read at the machine's own console; of several keys, more than once or by comma.",
    },
    repeated=("fingerprint",),
)
def register(c: Context, host: str, fingerprint: list[str] | None = None) -> None:
    """Pin a workstation's host key, after comparing its fingerprint; also for a machine that was set up anew."""
    from gpurig import config, keys, lifecycle, reach, records, stack_file
    from gpurig.host import Endpoint
    from gpurig.providers.workstation import client, provider
    from gpurig.providers.workstation.registered import Registered

    stack = stack_of(c)
    raw = stack_file.read(stack.file)
    spec = config.parse({"hosts": raw.get("hosts", {})}, stack.file.name).hosts.get(host)
    if not isinstance(spec, Registered):
        raise ConfigError(
            f"{stack.file.name}: gpurig:hosts.{host}: no workstation; only their host keys are registered."
        )
    key = f"{stack.file.name}: gpurig:hosts.{host}"
    given = [one.strip() for text in fingerprint or () for one in text.split(",") if one.strip()]
    if spec.host_key and given not in ([], [spec.host_key]):
        raise ConfigError(f"{key}.host_key says {spec.host_key}; change it there.")
    reach.probe_port(Endpoint(address=spec.address, port=spec.port, user=spec.user, host_key=""), key)
    wanted = given or ([spec.host_key] if spec.host_key else [])
    if not wanted:
        wanted = [_asked(host, spec, client.host_keys(spec.address, spec.port))]
    pinned = provider.checked_key(key, spec, wanted)
    provider.write_pin(stack, host, pinned)
    if records.get(stack, host):
        records.hang_up(stack, host)
        lifecycle.ensure(stack, host, spec, report=console.say)
    console.show(
        c,
        {"host": host, "host_key": pinned, "fingerprint": keys.fingerprint(pinned)},
        f"{host}: {keys.fingerprint(pinned)}",
    )
    if not records.get(stack, host):
        console.say("`rig up` registers it.")


def _asked(host: str, spec: Registered, offered: list[str]) -> str:
    """The key that the user confirms to be the machine's. Raises ConfigError where nobody does."""
    from gpurig import keys

    if not offered:
        raise ConfigError(f"{host}: shows no SSH host key.")
    console.say(f"{host} shows {offered[0].split()[0]} {keys.fingerprint(offered[0])}. {spec.console}.")
    if not console.on_terminal():
        raise ConfigError(
            f"Nobody can be asked here: `rig register {host} --fingerprint SHA256:…` with what you read there."
        )
    console.confirm("Is it the same?", yes=False)
    return offered[0]
