"""Services that a network may reach past SSH: which, from where, at which port, and what is refused.

A host's `expose: {mlflow: 192.168.1.0/24}` puts HAProxy in front of the service's port on loopback. It takes connections
from that range only, at a port of its own: the service's is taken on loopback, and addresses of a host may change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from gpurig import catalogue, services
from gpurig.mistakes import did_you_mean
from gpurig.services import Service

OFFSET = 10_000
"""An exposed service has its own port plus this."""

SSH_PORT, LAST_PORT = 22, 65_535

WIDEST = {4: 8, 6: 16}
"""IP version → the shortest prefix that still is a network of somebody's: 10.0.0.0/8, fd00::/16."""

EXAMPLE = "write the addresses that may reach it, such as 192.168.1.0/24"


@dataclass(frozen=True, slots=True)
class Exposed:
    """One service as a network sees it. source: the only addresses that are let in."""

    service: Service
    port: int
    source: IPv4Network | IPv6Network


def of_host(names: tuple[str, ...], expose: Mapping[str, str], variables: Mapping[str, Any]) -> dict[str, Exposed]:
    """What a host exposes; its configuration was checked before."""
    there = services.of_variables(names, variables)
    return {
        name: Exposed(there[name], there[name].port + OFFSET, ip_network(source))
        for name, source in expose.items()
        if name in there
    }


def problems(
    names: tuple[str, ...], expose: Mapping[str, str], variables: Mapping[str, Any], *, first_port: int = 1
) -> Iterator[tuple[str, str]]:
    """What is wrong with a host's services, their ports and their exposure: key of the host's entry → what to do.

    first_port: the lowest one that the services' user may listen at.
    """
    known = catalogue.services()
    ports = variables.get("services_ports") or {}
    sound = {name: port for name, port in ports.items() if _is_port(port)} if isinstance(ports, Mapping) else {}
    for name in (set(ports) - set(sound)) if isinstance(ports, Mapping) else ():
        yield (
            f"variables.services_ports.{name}",
            f"found {ports[name]!r}: write a port from {first_port} to {LAST_PORT}",
        )
    for name, port in sound.items():
        if port == SSH_PORT:
            yield f"variables.services_ports.{name}", f"found {port}: SSH listens there; write another port"
        elif port < first_port:
            problem = f"found {port}: services run as a user who is not root, and may not listen there"
            yield f"variables.services_ports.{name}", f"{problem}; write a port from {first_port} to {LAST_PORT}"
    there = services.of_variables(tuple(name for name in names if name in known), {"services_ports": sound})
    for name, source in expose.items():
        key = f"expose.{name}"
        if name not in known:
            yield key, f"no such service{did_you_mean(name, known)}; there are: {', '.join(known)}"
        elif name not in there:
            yield key, f"this host does not run it; add {name} to its `services`, or remove this"
        else:
            if problem := _refused(there[name]):
                yield key, problem
            if problem := bad_range(source):
                yield key, problem
    yield from _shared_ports(there, expose)


def conflicts(
    seen: Mapping[str, Any],
    names: tuple[str, ...],
    expose: Mapping[str, str],
    variables: Mapping[str, Any],
    environments: Sequence[str],
) -> Iterator[str]:
    """What stands in the way on a host itself. seen: what roles/services/files/look.py found there."""
    missing = [name for name in environments if name not in seen["environments"]]
    if missing:
        yield f"the environments {', '.join(missing)} are not installed there; run site.yml without --tags, or with --tags environments first"
    held = {port for ports in seen["active"].values() for port in ports}
    there = services.of_variables(names, variables)
    wanted = {service.port: f"services.{name}" for name, service in there.items() if service.listens}
    wanted |= {exposed.port: f"expose.{name}" for name, exposed in of_host(names, expose, variables).items()}
    for port, key in wanted.items():
        if str(port) in seen["listening"] and port not in held:
            program = seen["listening"][str(port)] or "a program that cannot be seen"
            yield f"{key}: port {port} is taken there by {program}; stop that, or give the service another port with services_ports"


def lacking(names: Sequence[str], environments: Mapping[str, str | None], folder: Path) -> Iterator[str]:
    """Services whose environment has not the file that they run. folder: where the environments lie on this machine."""
    for name in names:
        needs, environment = services.described(name).get("needs"), environments.get(name)
        if needs and environment and not (folder / environment / needs).is_file():
            yield f"{name} needs {folder / environment / needs}, which is not there; name another environment with services_environments"


def bad_range(source: str) -> str:
    """What is wrong with a range of addresses that shall be let in; empty where nothing is."""
    if not source:
        return f"no source range; {EXAMPLE}"
    try:
        network = ip_network(source)
    except ValueError:
        try:
            return f"found {source!r}, an address within a network; write {ip_network(source, strict=False)}"
        except ValueError:
            return f"found {source!r}, which is no range of addresses; {EXAMPLE}"
    if network.prefixlen < WIDEST[network.version]:
        return f"found {source!r}, which is everybody or nearly so; {EXAMPLE}"
    if network.is_loopback:
        return f"found {source!r}, which is the host itself; {EXAMPLE}"
    return ""


def _refused(service: Service) -> str:
    if not service.auth:
        return (
            f"{service.description} knows no login, so nobody may reach it but through SSH (`rig open {service.name}`)"
        )
    if not service.listens:
        return f"{service.description} has no port; it is reached through SSH only (`rig open {service.name}`)"
    if service.port + OFFSET > LAST_PORT:
        return (
            f"would be exposed at {service.port + OFFSET}, above {LAST_PORT}; give it a lower port with services_ports"
        )
    return ""


def _shared_ports(there: Mapping[str, Service], expose: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    taken: dict[int, str] = {}
    wanted = [(f"services.{name}", name, service.port) for name, service in there.items() if service.listens]
    wanted += [(f"expose.{name}", name, there[name].port + OFFSET) for name in expose if name in there]
    for key, name, port in wanted:
        if port in taken:
            problem = f"two services would listen on one port: {port} is already {taken[port]}'s"
            yield key, f"{problem}; give one of them another with services_ports"
        taken.setdefault(port, name)


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LAST_PORT
