"""A network namespace of a process's own: what listens there, at whatever address, can be reached from nowhere else.

For programs that listen without a login. Needs nothing but Python, and Linux. Installed by role services.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

NEW_USER, NEW_NET = 0x10000000, 0x40000000
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1
"""ioctl numbers of Linux's netdevice(7), and its flag IFF_UP."""

EMPTY = frozenset(
    ["lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0", "teql0"]
)
"""What a fresh namespace may have; all but `lo` lead nowhere."""


def enter() -> str:
    """Go into a namespace of one's own, unless systemd made one. Returns why that cannot be, or an empty text.

    Before any thread is started. Containers and some kernels do not allow it.
    """
    if isolated():
        return ""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_USER | NEW_NET):
        return os.strerror(ctypes.get_errno())
    try:
        for name, text in (("uid_map", f"{user} {user} 1"), ("setgroups", "deny"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text)
        _up("lo")
    except OSError as error:  # half way in: nothing can be reached from here, and nobody can listen
        raise SystemExit(f"the network namespace has no loopback: {error}") from error
    return ""


def isolated() -> bool:
    """Whether no interface leads anywhere."""
    return {name for _, name in socket.if_nameindex()} <= EMPTY


def _up(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", interface.encode(), 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(any_socket, GET_FLAGS, request))
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", interface.encode(), flags | UP))
