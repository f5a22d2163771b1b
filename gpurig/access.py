"""How SSH on the laptop reaches hosts: the include file and pinned host keys, written from the records."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gpurig import keys
from gpurig.catalogue import ROOT
from gpurig.host import Endpoint, Host
from gpurig.stack import Stack, private_dir, write_private

TEMPLATES = ROOT / "templates"

SOCKET_ROOM = 50
"""Bytes of a Unix socket's path (108 at most) that the folder may take; ssh needs the rest."""

_INCLUDE = re.compile(r"\s*Include[\s=]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One host of the SSH configuration. ports: its services' ports, for the aliases `<name>.tunnel`."""

    names: tuple[str, ...]
    label: str
    endpoint: Endpoint
    identity: str
    control: str
    ports: tuple[int, ...]


def config_file(stack: Stack) -> Path:
    """The stack's SSH configuration; `ssh -F` takes it, and the include file refers to it."""
    return stack.dir / "ssh_config"


def include_file(home: Path) -> Path:
    """The one file that `~/.ssh/config` includes: all stacks of this user."""
    return home / "ssh_config"


def known_hosts_file(stack: Stack) -> Path:
    """Pinned host keys, by label."""
    return stack.dir / "known_hosts"


def publish(stack: Stack, hosts: Iterable[Host]) -> None:
    """Let SSH know of these hosts, and of no others of this stack."""
    write(stack, hosts, stack.dir)
    write_private(include_file(stack.home), f'# Written by gpurig.\nInclude "{stack.home}/*/*/ssh_config"\n')


def write(stack: Stack, hosts: Iterable[Host], folder: Path) -> Path:
    """Write an SSH configuration for these hosts, with their pinned keys beside it. Returns its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    entries = [entry for host in hosts for entry in _entries(stack, host)]
    known = "".join(f"{entry.label} {entry.endpoint.host_key}\n" for entry in entries)
    write_private(folder / "known_hosts", known)
    environment = Environment(  # noqa: S701 (an SSH configuration is not HTML)
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    text = environment.get_template("ssh_config.j2").render(
        stack=stack.name, entries=entries, known_hosts=folder / "known_hosts"
    )
    write_private(folder / "ssh_config", text)
    return folder / "ssh_config"


def ssh(stack: Stack, alias: str, *options: str) -> list[str]:
    """The beginning of an ssh command line to a recorded host: append the remote command."""
    return ["ssh", "-F", str(config_file(stack)), "-o", "BatchMode=yes", *options, alias]


def hang_up(stack: Stack, alias: str) -> None:
    """Close the shared connection to a host, if there is one."""
    if config_file(stack).exists():
        subprocess.run(ssh(stack, alias, "-O", "exit"), capture_output=True, check=False)


def user_config() -> Path:
    """The user's own SSH configuration."""
    return Path.home() / ".ssh" / "config"


def include_line(home: Path) -> str:
    """The line in the user's own SSH configuration that makes `ssh HOST` work everywhere."""
    return f'Include "{include_file(home)}"'


def is_included(home: Path) -> bool:
    """Whether the user's own SSH configuration has that line, in whatever notation."""
    try:
        lines = user_config().read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    paths = [re.split(r"[\s=]+", line.strip(), maxsplit=1)[-1] for line in lines if _INCLUDE.match(line)]
    return any(Path(path.strip('"')).expanduser() == include_file(home) for path in paths)


def add_include(home: Path) -> None:
    """Put that line first in the user's own SSH configuration; what is in there stays as it is."""
    config = user_config().resolve()  # it may be a link into a folder of dotfiles
    private_dir(config.parent)
    before = config.read_text(encoding="utf-8") if config.exists() else ""
    mode = config.stat().st_mode if config.exists() else 0o600
    write_private(config, f"{include_line(home)}\n\n{before}" if before else f"{include_line(home)}\n")
    config.chmod(mode)


def _entries(stack: Stack, host: Host) -> list[Entry]:
    own = keys.login_key(stack.home)
    working = host.work()[0]
    return [
        Entry(
            names=tuple(dict.fromkeys((name, host.name))) if name == working else (name,),
            label=host.label if endpoint is host.endpoint else f"{host.label}.{name}",
            endpoint=endpoint,
            identity=str(Path(endpoint.identity).expanduser()) if endpoint.identity else str(own),
            control=str(_control_dir(stack) / hashlib.sha256(f"{host.label}/{name}".encode()).hexdigest()[:16]),
            ports=_ports(host) if name == working else (),
        )
        for name, endpoint, _ in host.machines()
    ]


def _ports(host: Host) -> tuple[int, ...]:
    if not host.services:
        return ()
    from gpurig import services

    return tuple(service.port for service in services.of_host(host).values() if service.listens)


def _control_dir(stack: Stack) -> Path:
    """Where shared connections have their sockets: with our files, or in a short place where that path is too long."""
    preferred = stack.home / "cm"
    if len(str(preferred)) <= SOCKET_ROOM:
        return private_dir(preferred)
    short = Path(tempfile.gettempdir()) / f"gpurig-{os.getuid()}"
    private_dir(short)
    if short.stat().st_uid != os.getuid() or short.stat().st_mode & 0o077:
        return private_dir(preferred)
    return short
