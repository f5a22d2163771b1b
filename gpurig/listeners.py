"""Which sockets listen on a host, and which of them nobody declared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ANY = "*"
"""Every address of the host."""

COMMAND = "ss -H -lntu -p"
"""Prints what `parse` reads. Programs' names are there as far as the caller may see them: in containers not even root
sees those of other users, so it is run as root and as the login user."""

NOTEBOOKS = "pgrep -f 'ipykernel_launcher'"
"""Prints the processes that are Jupyter kernels, one a line."""


@dataclass(frozen=True, order=True, slots=True)
class Listener:
    """A listening TCP socket or an unconnected UDP one.

    address: `*` for every address; IPv6 without brackets.
    process, pid: of a program that holds it; empty and 0 where the kernel or another container does.
    """

    protocol: str
    address: str
    port: int
    process: str = ""
    pid: int = field(default=0, compare=False)

    @property
    def on_loopback(self) -> bool:
        """Only programs on the host itself can reach it."""
        return self.address.startswith("127.") or self.address == "::1"

    def __str__(self) -> str:
        where = f"[{self.address}]" if ":" in self.address else self.address
        return f"{where}:{self.port}"


SYSTEM = frozenset(
    {
        Listener("tcp", "127.0.0.53", 53, "systemd-resolve"),
        Listener("udp", "127.0.0.53", 53, "systemd-resolve"),
        Listener("tcp", "127.0.0.54", 53, "systemd-resolve"),
        Listener("udp", "127.0.0.54", 53, "systemd-resolve"),
        Listener("udp", "127.0.0.1", 323, "chronyd"),
        Listener("udp", "::1", 323, "chronyd"),
    }
)
"""What Debian and Ubuntu themselves bring along, on loopback: their resolver, and the way to control chrony."""

SSH = frozenset({"sshd", "systemd"})
"""Who holds the SSH port: systemd where sshd is started by its socket, as on Ubuntu 24.04."""

PROXY = frozenset({"haproxy", ""})
"""Who may hold the port of an exposed service; in a container nobody sees the programs of HAProxy's own user."""

PRIVATE = "pgrep -f '^[^ ]*python[^ ]* /opt/gpurig/services/(rpc|lupine)/main.py'"
"""Prints the processes of services without a login, one a line."""

DHCP = {68: frozenset({"systemd-network", "dhclient", "dhcpcd", "NetworkManager"}), 546: frozenset({"systemd-network"})}
"""UDP ports on which a machine gets its own address, and the programs that may hold them."""


def parse(text: str) -> frozenset[Listener]:
    """Read the output of `COMMAND`, once or several times. Raises ValueError for a line that is none of ss's."""
    found = {_line(line) for line in text.splitlines() if line.strip()}
    known = {(socket.protocol, socket.address, socket.port) for socket in found if socket.process}
    return frozenset(
        socket for socket in found if socket.process or (socket.protocol, socket.address, socket.port) not in known
    )


def undeclared(
    found: Iterable[Listener],
    *,
    ssh_ports: Iterable[int],
    services: Mapping[str, int],
    declared: Iterable[str],
    exposed: Iterable[int] = (),
    private: Iterable[int] = (),
    notebooks: Iterable[int] = (),
) -> list[Listener]:
    """The sockets that neither sshd, nor a service on loopback, nor the configuration accounts for.

    services: name → port. declared: `address:port` as in a host's `listeners`, where the address may be `*`.
    exposed: ports at which HAProxy lets a network in. private: processes of services that have a network namespace of their
    own, or, where the host allows none, ports of any number on loopback.
    notebooks: processes that are Jupyter kernels. Each may have one port on loopback: ipykernel opens it for what forked
    processes print, and takes nothing there without a random key (ipykernel.iostream.IOPubThread).
    """
    found = list(found)
    allowed = {_declared(entry) for entry in declared}
    ports, ssh, let_in, inside = set(services.values()), set(ssh_ports), set(exposed), set(private)
    held = Counter(socket.pid for socket in found)
    quiet = {pid for pid in notebooks if held[pid] == 1}

    def accounted(socket: Listener) -> bool:
        return (
            (socket.protocol == "tcp" and socket.process in SSH and socket.port in ssh)
            or (socket.protocol == "tcp" and socket.on_loopback and (socket.port in ports or socket.pid in quiet))
            or (socket.protocol == "tcp" and socket.on_loopback and socket.pid in inside)
            or (socket.protocol == "tcp" and socket.port in let_in and socket.process in PROXY)
            or (socket.address, socket.port) in allowed
            or socket in SYSTEM
            or (socket.protocol == "udp" and socket.process in DHCP.get(socket.port, ()))
        )

    return sorted(socket for socket in found if not accounted(socket))


def _declared(entry: str) -> tuple[str, int]:
    address, _, port = entry.rpartition(":")
    return _address(address), int(port)


def _line(line: str) -> Listener:
    words = line.split(None, 6)
    try:
        protocol, local = words[0], words[4]
        address, _, port = local.rpartition(":")
        number = int(port)
    except (IndexError, ValueError) as error:
        raise ValueError(f"not a line of ss: {line!r}") from error
    process = re.search(r'users:\(\("([^"]*)",pid=(\d+)', line)
    return Listener(protocol, _address(address), number, *((process[1], int(process[2])) if process else ()))


def _address(text: str) -> str:
    plain = text.split("%", maxsplit=1)[0].strip("[]")
    return ANY if plain in ("0.0.0.0", "::", ANY, "") else plain  # noqa: S104 (compared with, never bound to)
