"""Services as data: what roles/services/vars/<service>.yml says of each, and the secret that each host's one has."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from gpurig.catalogue import ROOT
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.stack import Stack, locked, write_private

Header = Literal["", "bearer", "basic", "token"]

SOCKETS = "/run/gpurig"
"""Folder on a host with `<service>/socket` of each service that has a Unix socket; its user alone may enter that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of one host. Texts may hold `{token}`, `{port}` (of this machine) and `{host}`.

    port: on 127.0.0.1 of the host, or, with `socket`, only where this machine's end of a tunnel prefers to be.
    0: nothing is forwarded, and `address` says how it is reached.
    environment: what it runs from; None: it brings its own program.
    auth: whoever has not its secret is refused. Without that it can never be exposed.
    secret: the environment variable that holds the token.
    header: how programs show the token in HTTP's Authorization; empty where they do not.
    health: answers without a login; open: for the browser; refuse: must not answer without the token. Paths of URLs.
    address: what `rig open` shows where that is no URL.
    socket: it has a Unix socket instead of a port.
    idle: where to read that nobody uses it.
    """

    name: str
    description: str
    port: int
    environment: str | None
    auth: bool
    secret: str = ""
    header: Header = ""
    health: str = ""
    open: str = ""
    refuse: str = ""
    address: str = ""
    socket: bool = False
    experimental: bool = False
    memory_max: str = ""
    idle: Mapping[str, Any] = field(default_factory=dict)

    @property
    def listens(self) -> bool:
        """It has a port on the host's loopback."""
        return bool(self.port) and not self.socket

    @property
    def far_end(self) -> str:
        """Where a tunnel to it ends on the host, as ssh's -L takes it."""
        return f"{SOCKETS}/{self.name}/socket" if self.socket else f"127.0.0.1:{self.port}"


KEYS = frozenset(item.name for item in fields(Service)) - {"name"}


def of_host(host: Host) -> dict[str, Service]:
    """The services that this host shall run, as they are there. Raises RigError for one that nobody described."""
    return of_variables(host.services, host.variables)


def of_variables(names: tuple[str, ...], variables: Mapping[str, Any]) -> dict[str, Service]:
    """Services by name, at the ports and with the environments that a host's variables give them."""
    ports, environments = variables.get("services_ports", {}), variables.get("services_environments", {})
    found = {}
    for name in names:
        data = {key: value for key, value in described(name).items() if key in KEYS}
        port, environment = ports.get(name, data["port"]), environments.get(name, data["environment"])
        found[name] = Service(**{**data, "name": name, "port": int(port), "environment": environment})
    return found


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


def quoted(value: object) -> str:
    """A variable's value as systemd reads it from an EnvironmentFile, and start-as under supervisor: in double quotes."""
    return '"' + re.sub(r'(["\\`$])', r"\\\1", str(value)) + '"'


def url(stack: Stack, host: str, service: Service, *, port: int, path: str) -> str:
    """A URL of a service on this machine, with its token filled in where the path asks for it."""
    return f"http://127.0.0.1:{port}{filled(stack, host, service, port=port, text=path)}"


def filled(stack: Stack, host: str, service: Service, *, port: int, text: str) -> str:
    """A text of a service's data with its token, its port here and its host filled in."""
    if "{token}" in text:
        text = text.replace("{token}", token(stack.dir, host, service.name))
    return text.replace("{port}", str(port)).replace("{host}", host)
