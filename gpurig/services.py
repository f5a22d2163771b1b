"""Services as data: what roles/services/vars/<service>.yml says of each, and the secret that each host's one has."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig.catalogue import ROOT
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.stack import Stack, locked, write_private


@dataclass(frozen=True, slots=True)
class Service:
    """One service of one host. Paths of URLs may hold `{token}`.

    health: answers without a login; open: for the browser; refuse: must not answer without the token.
    """

    name: str
    description: str
    port: int
    environment: str
    secret: str
    health: str
    open: str
    refuse: str


def of_host(host: Host) -> dict[str, Service]:
    """The services that this host shall run, at their ports there. Raises RigError for one that nobody described."""
    ports = host.variables.get("services_ports", {})
    found = {name: described(name) for name in host.services}
    return {
        name: Service(**{**service, "port": int(ports.get(name, service["port"])), "name": name})
        for name, service in found.items()
    }


def described(name: str) -> dict[str, Any]:
    """What the service's own file says."""
    import yaml

    path = ROOT / "roles" / "services" / "vars" / f"{name}.yml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RigError(f"Service {name!r} is not known: there is no roles/services/vars/{name}.yml.") from error
    data: dict[str, Any] = document[f"services_{name}"]
    return data


def token(stack_dir: Path, host: str, service: str) -> str:
    """The secret of a host's service; made on first use, then kept."""
    path = stack_dir / "secrets" / host / service
    with locked(stack_dir / "locks" / f"secret-{host}-{service}", wait=True, busy=""):
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text(encoding="utf-8").strip()


def url(stack: Stack, host: str, service: Service, *, port: int, path: str) -> str:
    """A URL of a service on this machine, with its token filled in where the path asks for it."""
    filled = path.replace("{token}", token(stack.dir, host, service.name))
    return f"http://127.0.0.1:{port}{filled}"
