"""Real hosts behind a simulated vendor: what it rents out is a Podman container that runs the start-up script of its rental.

The vendor's own part of a start (its launcher, cloud-init) is simulated, and so is the GPU.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.clients import simulated_gpu
from tests.clients.containers import ADDRESS, SSH_PORT, Containers, Files, free_address, free_ports
from tests.clients.fake import Rented, Reply, Request, Vendor
from tests.clients.fake_digitalocean import Digitalocean
from tests.clients.fake_lambdalabs import Lambdalabs
from tests.clients.fake_paperspace import Paperspace
from tests.clients.fake_runpod import Runpod
from tests.clients.fake_vastai import Vastai

LAUNCHER = """\
#!/bin/bash
# Simulated: how Vast.ai starts a container. Its sshd has a host key of its own, and may start before the script or after it.
# -r: it keeps the keys that it read at its start, as OpenSSH 9.8 and later do.
mkdir -p /run/sshd
ssh-keygen -A >/dev/null
sshd='/usr/sbin/sshd -r -E /var/log/sshd.log'
case $SSHD_STARTS in
  before) $sshd && bash /root/onstart.sh ;;
  after) bash /root/onstart.sh && sleep 3 && $sshd ;;
  beside) bash /root/onstart.sh & $sshd ;;
  anew) bash /root/onstart.sh && rm /etc/ssh/ssh_host_* && ssh-keygen -A && $sshd ;;
esac >/var/log/onstart.log 2>&1
exec sleep infinity
"""

INSTANCE_KEY = "key-of-this-instance-alone"
"""What vendors put into a container so that it can end itself."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine really is. memory: MiB of each GPU. loses_script: its start-up script never arrives."""

    gpu: str = "NVIDIA GeForce RTX 4090"
    memory: int = 24564
    count: int = 1
    driver: str = "580.95.05"
    loses_script: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """How a container is started. machine: it stands for a virtual machine, which has an address of its own, and systemd."""

    command: Sequence[str]
    files: Files
    environment: Mapping[str, str] = field(default_factory=dict)
    machine: bool = False


class RealHosts(Vendor):
    """Put before a simulated vendor: its machines are containers. A machine that starts again has another port.

    hardware: what the next machines are; the usual kind where it is empty. seen: what sshd noted on machines that are gone.
    """

    def __init__(self, containers: Containers) -> None:
        super().__init__()
        self.containers = containers
        self.hardware: list[Hardware] = []
        self.seen: dict[str, str] = {}
        self._made: dict[str, tuple[str, list[tuple[str, int]]]] = {}

    def start_of(self, machine: Rented, hardware: Hardware) -> Start:
        """How the vendor starts a machine, from what its request carried."""
        raise NotImplementedError

    def container(self, machine: Rented) -> str:
        """The container that is a machine."""
        return self._made[machine.id][0]

    def rent(self, mark: str, **facts: Any) -> Rented:
        made = super().rent(mark, **facts)
        hardware = self.hardware.pop(0) if self.hardware else Hardware()
        start = self.start_of(made, hardware)
        gpu = simulated_gpu.files(hardware.gpu, hardware.memory, hardware.count, hardware.driver)
        ssh = [(free_address(), SSH_PORT)] if start.machine else [(ADDRESS, port) for port in free_ports(2)]
        container = self.containers.start(
            start.command,
            files={**gpu, **start.files},
            environment=start.environment,
            systemd=start.machine,
            ssh=ssh,
        )
        self._made[made.id] = (container, ssh)
        made.address, made.port = ssh[0]
        return made

    def end(self, machine: Rented) -> None:
        if machine.ended is None:
            container = self.container(machine)
            if self.containers.runs(container):
                self.seen[machine.id] = self.containers.run(container, "cat /var/log/sshd.log 2>/dev/null || true")
            self.containers.remove(container)
        super().end(machine)

    def answer(self, request: Request) -> Reply:
        reply = super().answer(request)
        with self.lock:
            for machine in self.living():
                self._follow(machine)
        return reply

    def _follow(self, machine: Rented) -> None:
        """Let the container be in the state that the machine is in by now."""
        container, ssh = self._made[machine.id]
        runs = self.containers.runs(container)
        if runs and machine.state != "running":
            self.containers.podman.run("stop", "--time=1", container)
        elif machine.state == "running" and not runs:
            ssh.reverse()
            machine.address, machine.port = ssh[0]
            self.containers.podman.run("start", container)


class RealVastai(RealHosts, Vastai):
    """Vast.ai with containers: its launcher starts sshd, then the script."""

    def start_of(self, machine: Rented, hardware: Hardware) -> Start:
        body = machine.facts["body"]
        script = "" if hardware.loses_script else body["onstart"]
        files = {"/launcher": (LAUNCHER, 0o755), "/root/onstart.sh": (script, 0o755)}
        environment = {"SSHD_STARTS": "before", "CONTAINER_ID": machine.id, "CONTAINER_API_KEY": INSTANCE_KEY}
        return Start(["/launcher"], files, {**environment, "CUDA_HOME": "/usr/local/cuda", **body.get("env", {})})


class RealRunpod(RealHosts, Runpod):
    """RunPod with containers: the request's own command is the first process."""

    def start_of(self, machine: Rented, hardware: Hardware) -> Start:
        body = machine.facts["body"]
        environment = {**body["env"], "RUNPOD_POD_ID": machine.id, "RUNPOD_API_KEY": INSTANCE_KEY}
        return Start(shlex.split(body["args"]), {}, environment)


class RealLambdalabs(RealHosts, Lambdalabs):
    """Lambda with containers, and a simulated cloud-init."""

    def start_of(self, machine: Rented, hardware: Hardware) -> Start:
        return _machine(cloud_init(machine.facts["body"]["user_data"], "ubuntu"), "Before=ssh.service", hardware)


class RealDigitalocean(RealHosts, Digitalocean):
    """DigitalOcean with containers, and a simulated cloud-init."""

    def start_of(self, machine: Rented, hardware: Hardware) -> Start:
        return _machine(cloud_init(machine.facts["body"]["user_data"], "root"), "Before=ssh.service", hardware)


class RealPaperspace(RealHosts, Paperspace):
    """Paperspace with containers: its start-up script runs when sshd runs already."""

    def start_of(self, machine: Rented, hardware: Hardware) -> Start:
        script = self.texts[self.scripts[machine.facts["body"]["startupScriptId"]]["name"]]
        template = "useradd --create-home --shell /bin/bash paperspace; usermod --password '*' paperspace\n"
        return _machine(template + script, "After=ssh.service", hardware)


def _machine(script: str, order: str, hardware: Hardware) -> Start:
    """A virtual machine that runs a script as root when it first boots. order: of its unit."""
    unit = f"[Unit]\nConditionPathExists=!/booted\n{order}\n[Service]\nType=oneshot\nExecStart=/bin/bash /first-boot\nExecStartPost=touch /booted\n"
    files = {
        "/first-boot": ("" if hardware.loses_script else script, 0o700),
        "/etc/systemd/system/first-boot.service": (unit, 0o644),
        "/etc/systemd/system/multi-user.target.d/first-boot.conf": ("[Unit]\nWants=first-boot.service\n", 0o644),
    }
    return Start(["/bin/sh", "-c", "ssh-keygen -A; exec /sbin/init"], files, machine=True)


KNOWN = {
    "ssh_deletekeys", "ssh_genkeytypes", "ssh_keys", "ssh_authorized_keys", "disable_root", "ssh_pwauth",
    "package_update", "package_upgrade",
}  # fmt: skip
"""The keys of user data that the simulated cloud-init understands."""

CLOSED = 'command="echo Please log in as {user}; exit 142" '


def cloud_init(user_data: str, user: str) -> str:
    """A simulated cloud-init: what the real one does with such user data on an image whose own user is `user`, as a script.

    The real one is tested with the same user data in tests/e2e/test_boot.py.
    """
    data = yaml.safe_load(user_data)
    assert user_data.startswith("#cloud-config\n"), "cloud-init takes it for something else"
    assert set(data) <= KNOWN, f"this simulation does not know {sorted(set(data) - KNOWN)}"
    key = "/etc/ssh/ssh_host_ed25519_key"
    lines = "\n".join(data["ssh_authorized_keys"])
    closed = CLOSED.format(user=user) if data["disable_root"] else ""
    return f"""
umask 077
{"rm -f /etc/ssh/ssh_host_*" if data["ssh_deletekeys"] else ""}
cat >{key} <<'END'
{data["ssh_keys"]["ed25519_private"].rstrip()}
END
echo '{data["ssh_keys"]["ed25519_public"]}' >{key}.pub
mkdir -p /root/.ssh
sed 's/^/{closed}/' >/root/.ssh/authorized_keys <<'END'
{lines}
END
[ {user} != root ] || exit 0
useradd --create-home --shell /bin/bash {user}
usermod --password '*' {user}
echo '{user} ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/90-cloud-init-users
install -d -m 700 -o {user} /home/{user}/.ssh
cat >/home/{user}/.ssh/authorized_keys <<'END'
{lines}
END
chown {user}: /home/{user}/.ssh/authorized_keys
"""
