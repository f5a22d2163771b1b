"""Which ports of WSL shall be reachable from where, and who is in the way of that on this PC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gpurig.windows import ranges
from gpurig.windows.plan import Refusal
from gpurig.windows.state import Listener, NetworkSection

EVERYWHERE = "0.0.0.0"  # noqa: S104  # the port proxy's own word; the firewall rule limits who reaches it

RELAYS = {"wslrelay", "wslservice", "wslhost"}
"""WSL's own programs: they forward 127.0.0.1 of Windows to WSL, and get along with a proxy on all addresses."""

HIGHEST = 65535


@dataclass(frozen=True, slots=True)
class Opening:
    """A port of WSL. key: of the host's entry. remote: who may reach it, empty where only the PC itself.

    service: whose port follows from the service's own; empty where the entry names the port.
    """

    port: int
    key: str
    remote: tuple[str, ...]
    service: str = ""

    @property
    def otherwise(self) -> str:
        """How the owner gets another port."""
        if not self.service:
            return "write another port"
        return f"give {self.service} another port of its own: `variables: {{services_ports: {{{self.service}: …}}}}`"


def openings(
    reach: Literal["jump", "direct"],
    wsl_port: int,
    allow_from: Sequence[str],
    ports: Mapping[int, str | tuple[str, ...] | None],
    exposed: Mapping[int, str],
) -> tuple[Opening, ...]:
    """WSL's sshd first, then the listed ports in their order. exposed: which of them are an exposed service's, and whose."""
    listed = [
        Opening(port, f"ports.{port}", (remote,) if isinstance(remote, str) else tuple(remote or ()))
        for port, remote in sorted(ports.items())
        if port != wsl_port
    ]
    listed = [
        replace(one, key=f"expose.{exposed[one.port]}", service=exposed[one.port]) if one.port in exposed else one
        for one in listed
    ]
    return (Opening(wsl_port, "wsl.port", tuple(allow_from) if reach == "direct" else ()), *listed)


def mistakes(
    wanted: Sequence[Opening],
    ssh_port: int,
    allow_from: Sequence[str],
    ports: Mapping[int, str | tuple[str, ...] | None],
) -> Iterator[Refusal]:
    """What is wrong whatever the PC is like."""
    sshd, *listed = wanted
    if not allow_from:
        text = f"is empty, which would shut you out: write {ranges.LOCAL} or a network such as 192.168.1.0/24"
        yield Refusal("allow_from", text)
    yield from _ranges("allow_from", allow_from)
    if sshd.port == ssh_port:
        text = f"{ssh_port} is the port of Windows' own sshd (key port): write another one, such as 2222"
        yield Refusal("wsl.port", text)
    if sshd.port in ports:
        text = "is WSL's sshd, which `reach: direct` opens to `allow_from`: take it out of ports"
        yield Refusal(f"ports.{sshd.port}", text)
    for opening in listed:
        yield from _listed(opening, ssh_port)
    for opening in wanted:
        if not 0 < opening.port <= HIGHEST:
            yield Refusal(opening.key, f"{opening.port} is no port: 1 to {HIGHEST}")


def obstacles(found: NetworkSection, wanted: Sequence[Opening], *, mirrored: bool) -> Iterator[Refusal]:
    """Who holds a wanted port on this PC."""
    for opening in wanted:
        port = opening.port
        span = next((span for span in found["excluded"] if span[0] <= port <= span[1]), None)
        if span:
            yield Refusal(
                opening.key,
                f"Windows keeps {span[0]}-{span[1]} for itself since its start, so nothing can listen on {port}: {opening.otherwise},"
                " or in an elevated PowerShell on the PC: net stop winnat; netsh int ipv4 add excludedportrange"
                f" protocol=tcp startport={port} numberofports=1; net start winnat",
            )
        for holder in _holders(found["listeners"], port):
            who = f"the service {holder['service']}" if holder["service"] else holder["process"] or "a program"
            yield Refusal(opening.key, f"{who} listens on port {port} of Windows: end it, or {opening.otherwise}")
        yield from proxied(found, opening, mirrored=mirrored)


def proxied(found: NetworkSection, opening: Opening, *, mirrored: bool) -> Iterator[Refusal]:
    """Entries of the port proxy that are not ours and listen where a wanted port would."""
    for listen in foreign(found):
        if _collides(listen, opening, mirrored=mirrored):
            address, target = listen.partition("/")[0], found["portproxy"]["v4tov4"][listen]
            yield Refusal(
                opening.key,
                f"a port proxy that is not ours listens on {listen} and leads to {target}. If nobody needs it, in an"
                " elevated PowerShell on the PC: netsh interface portproxy delete v4tov4"
                f" listenport={opening.port} listenaddress={address}; otherwise {opening.otherwise}",
            )


def foreign(found: NetworkSection) -> list[str]:
    """Entries of the port proxy that are not ours."""
    return sorted(set(found["portproxy"].get("v4tov4", {})) - set(found["ours"]))


def _listed(opening: Opening, ssh_port: int) -> Iterator[Refusal]:
    if opening.port == ssh_port:
        yield Refusal(opening.key, "is the port of Windows' own sshd: take it out of ports")
    if not opening.remote:
        text = f"does not say who may reach the port: write a network, such as `{opening.port}: 192.168.1.0/24`"
        yield Refusal(opening.key, text)
    yield from _ranges(opening.key, opening.remote)


def _ranges(key: str, given: Sequence[str]) -> Iterator[Refusal]:
    return (Refusal(key, said) for said in map(ranges.mistake, given) if said)


def _holders(listeners: Sequence[Listener], port: int) -> list[Listener]:
    known: dict[tuple[str, str], Listener] = {}
    for one in listeners:
        if one["port"] == port and one["process"].lower() not in RELAYS and one["service"].lower() != "iphlpsvc":
            known.setdefault((one["process"], one["service"]), one)
    return list(known.values())


def _collides(listen: str, opening: Opening, *, mirrored: bool) -> bool:
    address, _, port = listen.partition("/")
    if port != str(opening.port):
        return False
    # Without a proxy of ours WSL's relay still needs the PC's own address, and mirrored WSL needs all of them.
    return mirrored or bool(opening.remote) or address.lower() in {"127.0.0.1", "localhost"}
