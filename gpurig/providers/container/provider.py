"""From a container's spec to a running machine and its endpoint."""

from __future__ import annotations

import os
import random
import socket
import subprocess

from gpurig import keys
from gpurig.catalogue import ROOT
from gpurig.errors import ConfigError, RigError
from gpurig.host import Capabilities, Endpoint
from gpurig.providers import Machine, Order, Owner
from gpurig.providers.container.client import File, Podman, PodmanError
from gpurig.providers.container.spec import Spec
from gpurig.stack import Stack, home, locked, write_private

ADDRESS = "127.0.0.1"
DEV_UID = 1000

SHARED_MEMORY = "1g"
"""Size of /dev/shm: Podman's default of 64 MB is too little for the workers of a DataLoader."""

PORTS = range(20_000, 30_000)
"""Where free ports are chosen: below those that systems give to outgoing connections, so that a stopped host keeps its own."""


class Provider:
    """Podman containers on this machine."""

    destroys = True
    rents = False

    def __init__(self) -> None:
        self._podman = Podman(home() / "containers.conf")

    def machines(self, stack: Stack, owner: Owner) -> list[Machine]:
        return [
            Machine(
                id=found["Id"],
                owner=owner,
                generation=int(found["Labels"]["gpurig.generation"]),
                fingerprint=found["Labels"]["gpurig.fingerprint"],
                running=found["State"] == "running",
            )
            for found in self._podman.containers(_labels(owner))
        ]

    def create(self, order: Order) -> str:
        spec: Spec = order.spec
        image = spec.image or _image()
        # One at a time: between choosing a port and podman's knowing of it, nobody else may choose.
        with locked(order.stack.home / "locks" / "container-port", wait=True, busy=""):
            arguments = [f"--name={order.label}", f"--hostname={order.owner.host}", "--pull=never"]
            arguments += [f"--publish={ADDRESS}:{self._port(order)}:22", f"--shm-size={SHARED_MEMORY}"]
            labels = {**_labels(order.owner), "gpurig.generation": str(order.generation)}
            labels["gpurig.fingerprint"] = spec.fingerprint()
            arguments += [f"--label={key}={value}" for key, value in labels.items()]
            if spec.init == "systemd":
                command = ["--systemd=always", image, "/sbin/init"]
            else:
                command = ["--systemd=false", image, "/usr/local/sbin/gpurig-start"]
            try:
                return self._podman.run("create", *arguments, *_limits(spec), *command).strip()
            except PodmanError as error:
                if "image not known" in error.stderr:
                    raise ConfigError(
                        f"{order.stack.file.name}: gpurig:hosts.{order.owner.host}.image: there is no local image "
                        f"{spec.image!r}; `podman images` lists them. Without the key, gpurig builds its own."
                    ) from error
                if "already in use" not in error.stderr:  # a podman that outlived its killed parent was faster
                    raise
                return ""

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        spec: Spec = order.spec
        details = self._podman.inspect(machine.id)
        if not machine.running:
            self._podman.put(machine.id, _files(order, spec))
            self._start(machine, order, fresh=details["State"]["Status"] == "created")
        self._apply_limits(machine.id, order)
        port = int(details["HostConfig"]["PortBindings"]["22/tcp"][0]["HostPort"])
        return Endpoint(
            address=ADDRESS,
            port=port,
            user="dev" if spec.init == "systemd" else "root",
            host_key=keys.public_half(order.host_key),
        )

    def end(self, stack: Stack, machine: Machine) -> None:
        try:
            self._podman.run("rm", "--force", "--volumes", "--time=0", machine.id)
        except PodmanError as error:
            if "no such container" not in error.stderr.lower() and "no container with" not in error.stderr.lower():
                raise

    def capabilities(self, spec: Spec) -> Capabilities:
        return Capabilities(
            init=spec.init,
            kernel="shared",
            privilege="sudo" if spec.init == "systemd" else "root",
            can_stop=True,
        )

    def _start(self, machine: Machine, order: Order, *, fresh: bool) -> None:
        """Start it. One that cannot start is made anew by the next run, but never at the cost of a machine that ran."""
        try:
            self._podman.run("start", machine.id)
        except PodmanError as error:
            if "address already in use" not in error.stderr and fresh:
                # Podman's settings are fixed when a container is made: this one would fail again with mended ones.
                self.end(order.stack, machine)
                raise RigError(
                    f"{order.owner.host}: {error}\nWhat was made of the host is removed; when this is mended, run this "
                    "again and it is made anew."
                ) from error
            if "address already in use" not in error.stderr:
                raise
            if order.spec.port:
                raise _port_taken(order) from error
            if not fresh:
                raise RigError(
                    f"{order.owner.host}: the port that it had is in use on {ADDRESS} now. End the program that has it, "
                    f"and run this again; `rig rebuild {order.owner.host}` makes the host anew, with another port."
                ) from error
            self.end(order.stack, machine)
            raise RigError(f"{order.owner.host}: its port was taken meanwhile; run this again for another.") from error

    def _apply_limits(self, container: str, order: Order) -> None:
        """Set the limits, and lift those of earlier: Podman 4 reports, and after a restart uses, only the first ones."""
        noted = order.stack.dir / "limited" / order.owner.host
        limited = order.spec.cpus or order.spec.memory
        if limited:
            write_private(noted, order.label)
        elif not (noted.exists() and noted.read_text(encoding="utf-8") == order.label):
            return
        self._podman.run("update", *_limits(order.spec, all_of_them=True), container)

    def _port(self, order: Order) -> int:
        """The port that the spec names, else the one this host had before if it is free, else a free one."""
        if order.spec.port:
            if not _free(order.spec.port):
                raise _port_taken(order)
            return int(order.spec.port)
        taken = {
            binding["host_port"]
            for found in self._podman.containers({"gpurig.project": order.owner.project})
            for binding in found.get("Ports") or []
        }
        kept = order.stack.dir / "ports" / order.owner.host
        port = int(kept.read_text(encoding="utf-8")) if kept.exists() else 0
        while port == 0 or port in taken or not _free(port):
            port = random.choice(PORTS)  # noqa: S311 (not a secret)
        write_private(kept, str(port))
        return port


def _labels(owner: Owner) -> dict[str, str]:
    return {"gpurig.project": owner.project, "gpurig.stack": owner.stack, "gpurig.host": owner.host}


def _limits(spec: Spec, *, all_of_them: bool = False) -> list[str]:
    """Podman's options for the limits; `all_of_them` gives those that the spec does not name as the machine's own size.

    Swap is not limited: else Podman ties it to the first memory limit, which then could never rise.
    """
    memory, cpus = spec.memory and int(spec.memory * 10**9), spec.cpus
    if all_of_them:
        memory = memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        cpus = cpus or os.cpu_count()
    found = [f"--memory={memory}b", "--memory-swap=-1"] if memory else []
    return [*found, f"--cpus={cpus}"] if cpus else found


def _files(order: Order, spec: Spec) -> list[File]:
    """What must be in the machine before it first starts, so that its first connection is already checked."""
    private = order.host_key.read_text(encoding="utf-8")
    public = order.host_key.with_name(order.host_key.name + ".pub").read_text(encoding="utf-8")
    files = [
        File("/etc/ssh/ssh_host_ed25519_key", private, 0o600),
        File("/etc/ssh/ssh_host_ed25519_key.pub", public, 0o644),
    ]
    if spec.init == "systemd":
        files += [File("/home/dev/.ssh/authorized_keys", order.public_key + "\n", 0o600, DEV_UID)]
    else:
        script = (ROOT / "templates" / "start-without-init.sh").read_text(encoding="utf-8")
        files += [
            File("/root/.ssh/authorized_keys", order.public_key + "\n", 0o600),
            File("/usr/local/sbin/gpurig-start", script, 0o755),
        ]
    return files


def _image() -> str:
    """The tag of our host image, built if it is not there."""
    try:
        done = subprocess.run([ROOT / "scripts" / "host-image.sh"], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        last = "\n".join(error.stderr.strip().splitlines()[-5:])
        raise RigError(f"The host image could not be built: {last}\nRun `make setup` to try again.") from error
    return done.stdout.strip().splitlines()[-1]


def _free(port: int) -> bool:
    try:
        socket.create_server((ADDRESS, port)).close()
    except OSError:
        return False
    return True


def _port_taken(order: Order) -> ConfigError:
    return ConfigError(
        f"{order.stack.file.name}: gpurig:hosts.{order.owner.host}.port: {order.spec.port} is in use on {ADDRESS}; "
        "write another port, or remove the key and a free one is chosen."
    )
