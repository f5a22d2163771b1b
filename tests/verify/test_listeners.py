"""Every socket that listens was declared: sshd's, a service's on loopback, or one that the configuration names."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gpurig import exposure, listeners, services
from gpurig.listeners import Listener
from gpurig.verification import Target


def test_listeners(target: Target, host: Any, sockets: Callable[[], frozenset[Listener]], check: Any) -> None:
    there = services.of_host(target.host) if target.services else {}
    ports = {name: service.port for name, service in there.items() if service.listens}
    exposed = exposure.of_host(target.services, target.host.variables.get("gpurig_expose", {}), target.host.variables)
    declared = target.host.spec.get("listeners", ())

    def processes(command: str) -> list[int]:
        return [int(pid) for pid in host.run(command).stdout.split()]

    def undeclared() -> list[Listener]:
        return listeners.undeclared(
            sockets(),
            ssh_ports=ssh_ports(target),
            services=ports,
            declared=declared,
            exposed=[one.port for one in exposed.values()],
            private=processes(listeners.PRIVATE),
            notebooks=processes(listeners.NOTEBOOKS),
        )

    extra = undeclared()
    if extra:  # a name that is just being looked up uses a UDP socket for a moment
        time.sleep(1)
        extra = [socket for socket in undeclared() if socket in extra]
    if not extra:
        check("listening sockets", True, value="all declared", expected="only declared ones", reason="", advice="")
    for socket in extra:
        owner = socket.process or "a program that cannot be seen: of another user, or in the kernel"
        service = next((name for name, port in ports.items() if port == socket.port and socket.protocol == "tcp"), None)
        check(
            f"{socket.protocol} {socket}",
            False,
            value=f"opened by {owner}",
            expected=f"{service} on 127.0.0.1 only" if service else "only declared sockets",
            reason="Others on this host can reach it."
            if socket.on_loopback
            else "Whoever reaches this host can reach it.",
            advice=(
                f"Run `ansible-playbook playbooks/site.yml --tags services --limit {target.name}`."
                if service
                else f'Stop it; or, if it shall be there, write `listeners: ["{socket}"]` '
                f"under gpurig:hosts.{target.host.name} in {target.stack.file.name} and run `rig up`."
            ),
        )


def ssh_ports(target: Target) -> set[int]:
    """Where sshd may listen: a container's is published under another number, see inventories/group_vars/kernel_*.yml."""
    if target.capabilities.kernel == "shared":
        return {int(target.host.variables.get("sshd_port", 22))}
    return {target.endpoint.port, int(target.host.variables.get("sshd_port", target.endpoint.port))}
