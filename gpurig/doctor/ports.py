"""What of a Windows PC answers on the network, before anybody logs in."""

from __future__ import annotations

import socket
from typing import Literal

from gpurig.host import Host
from gpurig.windows.failures import Case, Link

SECONDS = 3.0
"""To wait for a port, and then for its sshd's first line: of a PC that freezes or sleeps the network card may still answer."""


def seen(host: Host, case: Case) -> Link:
    """What a connection to each port says that shall be open, and from which address of ours it goes."""
    answers: dict[int, Literal["open", "mute", "refused", "silent"]] = {}
    source = None
    for port in [host.endpoint.port, *case.opened]:
        try:
            with socket.create_connection((host.endpoint.address, port), timeout=SECONDS) as link:
                source = str(link.getsockname()[0])
                answers[port] = "open" if port != host.endpoint.port or _speaks(link) else "mute"
        except ConnectionRefusedError:
            answers[port] = "refused"
        except OSError:
            answers[port] = "silent"
        if answers[host.endpoint.port] in ("mute", "silent"):
            break  # then the others would only take their time too
    return Link(ports=answers, source=source)


def silent(link: Link, host: Host) -> str:
    """Why there is no use in logging in; empty where there may be."""
    words = {"refused": "nothing listens at", "silent": "no answer from", "mute": "no sshd speaks at"}
    answer = link.ports.get(host.endpoint.port, "open")
    return f"{words[answer]} {host.endpoint.address}:{host.endpoint.port}" if answer in words else ""


def source(address: str) -> str | None:
    """Our own address on the way there, though nobody answers; None where there is no way."""
    try:
        kind, *_, where = socket.getaddrinfo(address, 1, type=socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as link:
            link.connect(where)  # sends nothing
            return str(link.getsockname()[0])
    except OSError:
        return None


def addresses(name: str) -> tuple[str, ...]:
    """What an address or a name leads to, as seen from here; nothing where it leads nowhere."""
    try:
        return tuple(sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None)}))
    except OSError:
        return ()


def _speaks(link: socket.socket) -> bool:
    """Whether an sshd's first line comes. link: with a time limit."""
    try:
        return bool(link.recv(1))
    except OSError:
        return False
