"""Speaks HTTP with a service on a host, on its loopback as `rig open` does, through SSH; no port is opened here for it."""

from __future__ import annotations

import base64
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit

from gpurig import access
from gpurig.services import Header
from gpurig.stack import Stack

SECONDS = 20.0
"""How long a service may take for one answer."""

REDIRECTS = (301, 302, 303, 307, 308)
HOPS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """status: HTTP's; 0 where nothing answered, and then `problem` says why. path: where redirects led, without query."""

    status: int
    path: str = ""
    problem: str = ""

    def __str__(self) -> str:
        return f"HTTP {self.status} at {self.path}" if self.status else f"no answer ({self.problem})"


def shown(header: Header, token: str) -> dict[str, str]:
    """HTTP's Authorization as a program shows a token; MLflow's user is always `admin`."""
    basic = base64.b64encode(f"admin:{token}".encode()).decode()
    texts: dict[Header, str] = {"bearer": f"Bearer {token}", "token": f"token {token}", "basic": f"Basic {basic}"}
    return {"Authorization": texts[header]} if header else {}


def get(
    stack: Stack,
    alias: str,
    port: int,
    path: str,
    more: Mapping[str, str] = MappingProxyType({}),
    *,
    address: str = "127.0.0.1",
) -> Answer:
    """GET a path and follow redirects with the cookies that were set, as a browser would.

    more: headers. address: which one of the host's own is asked, and named in the header Host.
    """
    cookies: dict[str, str] = {}
    for _ in range(HOPS):
        try:
            with _connection(stack, alias, address, port) as connection:
                cookie = {"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items())} if cookies else {}
                connection.request("GET", path, headers={**more, **cookie})
                response = connection.getresponse()
                cookies |= _cookies(response.msg.get_all("Set-Cookie") or [])
                status, location = response.status, response.headers.get("Location", "")
        except (OSError, HTTPException) as error:
            return Answer(0, problem=f"nothing at port {port} that speaks HTTP, {type(error).__name__}")
        if status not in REDIRECTS or not location:
            return Answer(status, path_of(path))
        target = urlsplit(urljoin(path, location))
        path = f"{target.path}?{target.query}" if target.query else target.path
    return Answer(0, problem=f"more than {HOPS} redirects")


def path_of(path: str) -> str:
    """Without its query."""
    return urlsplit(path).path


@contextmanager
def _connection(stack: Stack, alias: str, address: str, port: int) -> Iterator[HTTPConnection]:
    """An HTTP connection over the standard input and output of `ssh -W`."""
    ours, theirs = socket.socketpair()
    command = access.ssh(stack, alias, "-W", f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
    end = theirs.fileno()
    with ours, theirs, subprocess.Popen(command, stdin=end, stdout=end, stderr=subprocess.DEVNULL) as process:
        theirs.close()
        ours.settimeout(SECONDS)
        connection = HTTPConnection(address, port)
        connection.sock = ours
        try:
            yield connection
        finally:
            ours.close()
            process.terminate()


def _cookies(lines: list[str]) -> Mapping[str, str]:
    pairs = (line.partition(";")[0].partition("=") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}
