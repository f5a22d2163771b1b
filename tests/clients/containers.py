"""Podman containers that a test makes by hand, found and removed by a label of their own."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from gpurig.providers.container.client import File, Podman
from gpurig.stack import home

Files = Mapping[str, tuple[str, int]]
"""Path → content and permission bits."""

ADDRESS = "127.0.0.1"

SSH_PORT = 22


class Containers:
    """Containers of one image. What they publish is on this machine's loopback."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.label = secrets.token_hex(8)
        self.podman = Podman(home() / "containers.conf")

    def start(
        self,
        command: Sequence[str],
        *,
        files: Files | None = None,
        environment: Mapping[str, str] | None = None,
        systemd: bool = False,
        ssh: Sequence[tuple[str, int]] = (),
    ) -> str:
        """Start one with these files in it; returns its id. ssh: addresses and ports of this machine that are its port 22."""
        options = [f"--publish={address}:{port}:22" for address, port in ssh]
        options += [f"--env={name}={value}" for name, value in (environment or {}).items()]
        options += [f"--systemd={'always' if systemd else 'false'}", f"--label=gpurig.test={self.label}"]
        options += [
            "--shm-size=2g"
        ]  # as vendors give it; Podman's 64 MB are too little for training, as verification says
        made = self.podman.run("create", "--pull=never", *options, self.image, *command).strip()
        if files:
            self.podman.put(made, [File(path, content, mode) for path, (content, mode) in files.items()])
        self.podman.run("start", made)
        return made

    def run(self, container: str, script: str, data: str = "") -> str:
        """Run a shell script inside as root, with data as its input; returns what it says."""
        return self.podman.run("exec", "--interactive", container, "bash", "-euc", script, data=data.encode())

    def runs(self, container: str) -> bool:
        """Whether it does."""
        return bool(self.podman.inspect(container)["State"]["Running"])

    def remove(self, *containers: str) -> None:
        """Remove them, whatever they do."""
        if containers:
            self.podman.run("rm", "--force", "--volumes", "--time=0", *containers)

    def clean(self) -> None:
        """Remove all of them."""
        self.remove(*(found["Id"] for found in self.podman.containers({"gpurig.test": self.label})))


@contextmanager
def containers(image: str) -> Iterator[Containers]:
    """Containers that are gone when the context ends."""
    made = Containers(image)
    try:
        yield made
    finally:
        made.clean()


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses now."""
    held = [socket.create_server((ADDRESS, 0)) for _ in range(count)]
    try:
        return [server.getsockname()[1] for server in held]
    finally:
        for server in held:
            server.close()


def free_address() -> str:
    """A loopback address of this machine whose SSH port nobody uses. Skips where this user may not use such ports."""
    while True:
        address = f"127.{secrets.randbelow(200) + 10}.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        try:
            socket.create_server((address, SSH_PORT)).close()
        except PermissionError:
            pytest.skip(f"only root may use port {SSH_PORT} here")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                pytest.skip(f"{address} cannot be used here: {error.strerror}")
        else:
            return address
