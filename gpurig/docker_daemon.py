"""Docker's daemon.json: what we put into it beside what its owner has there, and where its API would listen on a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

RUNTIME = {"nvidia": {"path": "nvidia-container-runtime", "args": []}}
"""As `nvidia-ctk runtime configure --runtime=docker` writes it."""


def merged(text: str, gpu: str) -> str:
    """The file's new content. text: its content today, empty for none; gpu: `cdi`, `runtime`, or empty.

    Raises ValueError for a file that is no JSON object.
    """
    settings = _read(text)
    if gpu:
        settings["runtimes"] = {**settings.get("runtimes", {}), **RUNTIME}
    if gpu == "cdi":
        settings["features"] = {**settings.get("features", {}), "cdi": True}
    return json.dumps(settings, indent=2) + "\n"


def listeners(text: str, units: str, defaults: str) -> list[str]:
    """Where Docker's API is told to listen besides its local socket; whoever reaches it there is root.

    text: daemon.json. units: docker.service and docker.socket with their drop-ins. defaults: /etc/default/docker.
    """
    hosts = [str(host) for host in _read(text).get("hosts", [])]
    found = [f"{host} (/etc/docker/daemon.json)" for host in hosts if not host.startswith(("unix:", "fd:"))]
    found += [f"{address} (a unit of systemd)" for address in _addresses(units)]
    found += [f"{address} (/etc/default/docker)" for address in _addresses(defaults)]
    return found


def _addresses(text: str) -> Iterator[str]:
    """Network addresses of what a unit or a shell file says, without its comments."""
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", ";")):
            yield from re.findall(r"tcp://[^\s\"']*", line)
            yield from re.findall(r"^\s*ListenStream\s*=\s*([^/@\s]\S*)", line)


def _read(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise ValueError(f"/etc/docker/daemon.json cannot be read ({error}); correct it") from error
    if not isinstance(settings, dict):
        raise ValueError("/etc/docker/daemon.json holds no JSON object; correct it")  # noqa: TRY004 (callers catch one error for a bad file)
    return settings
