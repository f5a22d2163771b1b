"""Services of a host on this machine's own loopback, through SSH."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gpurig import services
from gpurig.errors import RigError
from gpurig.remote import Place
from gpurig.services import Service

OPEN_SECONDS = 15.0
"""How long a tunnel may take to stand."""

ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Forward:
    """One service and the local port that leads to it."""

    service: Service
    port: int


@contextmanager
def through(place: Place, wanted: Sequence[Service]) -> Iterator[tuple[list[Forward], subprocess.Popen[bytes]]]:
    """Hold a tunnel to these services; yields the local ports and the ssh process. Raises RigError.

    A connection of its own, since forwards of a shared one would stay when this command ends.
    """
    place.reach()
    forwards = [Forward(service, _free_port(service.port)) for service in wanted]
    lines = [part for f in forwards for part in ("-L", f"{ADDRESS}:{f.port}:{f.service.far_end}")]
    alone = ("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes")
    process = subprocess.Popen([*place.ssh("-N", *alone, *lines)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait(place, process, forwards)
        yield forwards, process
    finally:
        process.terminate()
        process.wait()
        if process.stderr:
            process.stderr.close()


def answers(place: Place, forward: Forward) -> bool:
    """Whether a service answers at the near end of its tunnel; any HTTP answer is one. Of other services: it takes us."""
    if not forward.service.health:
        with suppress(OSError), socket.create_connection((ADDRESS, forward.port), timeout=5) as connection:
            connection.settimeout(0.5)  # where nothing listens there, ssh closes the connection at once
            with suppress(TimeoutError):
                return connection.recv(1) != b""
            return True
        return False
    address = services.url(place.stack, place.alias, forward.service, port=forward.port, path=forward.service.health)
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _wait(place: Place, process: subprocess.Popen[bytes], forwards: Sequence[Forward]) -> None:
    deadline = time.monotonic() + OPEN_SECONDS
    for forward in forwards:
        while True:
            if process.poll() is not None:
                errors = process.stderr.read().decode(errors="replace") if process.stderr else ""
                raise place.problem(process.returncode, errors)
            with suppress(OSError):
                socket.create_connection((ADDRESS, forward.port), timeout=1).close()
                break
            if time.monotonic() > deadline:
                raise RigError(
                    f"{place.host.name}: no tunnel after {OPEN_SECONDS:.0f} s; `rig doctor {place.host.name}`."
                )
            time.sleep(0.05)


def _free_port(preferred: int) -> int:
    """The preferred port where it is free on this machine, else any free one."""
    for port in (preferred, 0):
        with suppress(OSError), socket.create_server((ADDRESS, port)) as probe:
            found: int = probe.getsockname()[1]
            return found
    raise RigError("No free port on this machine.")
