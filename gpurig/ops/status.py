"""`rig status`: what is recorded, quickly; nothing is asked over the network unless told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpurig import records
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.host import Host
    from gpurig.stack import Stack


@command()
def status(c: Context) -> None:
    """Hosts, environments, services and runs, from what is recorded here."""
    stack = stack_of(c)
    interrupted = records.intents(stack)
    hosts = [_facts(host) for host in records.load(stack).values()]
    if interrupted and not c.config.gpurig.json:
        names = ", ".join(interrupted)
        console.say(f"Warning: `rig up` was interrupted; a machine may exist for {names}. Run `rig up` or `rig down`.")
    data = {"project": stack.project, "stack": stack.name, "interrupted": sorted(interrupted), "hosts": hosts}
    console.show(c, data, _text(stack, hosts))


def _facts(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "provider": host.provider,
        "state": "up",
        "address": host.endpoint.address,
        "port": host.endpoint.port,
        "environments": list(host.environments),
        "services": list(host.services),
    }


def _text(stack: Stack, hosts: list[dict[str, Any]]) -> str:
    if not hosts:
        return f"Stack {stack.name} has no hosts; `rig up` stands them up."
    rows = [("HOST", "STATE", "PROVIDER", "SSH", "ENVIRONMENTS", "SERVICES")]
    rows += [
        (
            host["name"],
            host["state"],
            host["provider"],
            f"{host['address']}:{host['port']}",
            ", ".join(host["environments"]) or "-",
            ", ".join(host["services"]) or "-",
        )
        for host in hosts
    ]
    return console.table(rows)
