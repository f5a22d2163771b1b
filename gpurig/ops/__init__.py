"""Day-2 tasks: what `rig` and `fab` can do. One module per topic, listed here in the order of `rig --help`."""

from __future__ import annotations

from invoke.collection import Collection

from gpurig.ops import (
    bootstrap,
    costs,
    data,
    doctor,
    env,
    hosts,
    jobs,
    offers,
    power,
    reap,
    rebuild,
    register,
    services,
    shell,
    ssh_config,
    status,
    verify,
)
from gpurig.ops.command import Command

GROUPS: dict[str, tuple[Command, ...]] = {
    "Hosts": (
        hosts.up,
        hosts.preview,
        status.status,
        verify.verify,
        hosts.refresh,
        power.stop,
        power.start,
        rebuild.rebuild,
        hosts.down,
    ),
    "Money": (offers.offers, offers.estimate, costs.costs, reap.reap),
    "Work": (data.sync, jobs.train, jobs.logs, jobs.cancel, jobs.runs, data.results),
    "Reach": (
        shell.connect,
        services.services,
        shell.open_,
        shell.tunnel,
        services.top,
        ssh_config.ssh_config,
    ),
    "Set-up": (doctor.doctor, bootstrap.bootstrap, register.register, env.env),
}
"""Heading of `rig --help` → its commands."""


def collection() -> Collection:
    """Every command, for Invoke's and Fabric's programs."""
    made = Collection()
    for commands in GROUPS.values():
        for command in commands:
            made.add_task(command)
    made.configure({"gpurig": {"stack": "", "json": False}})
    return made
