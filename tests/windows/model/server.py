"""The simulated PC on the network: a real sshd in a container, whose program `PowerShell` is answered by the model.

A real connection, real keys, real jumps; what PowerShell would do is done to the model in this process. The Linux inside WSL is
another container in the same network namespace, so 127.0.0.1:2222 on the PC is its sshd, as Windows' localhost relay makes it.
"""

from __future__ import annotations

import json
import socketserver
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpurig.providers.container.client import File
from tests.clients.containers import Containers
from tests.windows.model import shell
from tests.windows.model.pc import Machine, PowerLostError

STUB = '''\
#!/usr/bin/python3 -I
"""Stands for PowerShell on the simulated PC: hands everything to the model."""
import base64, json, os, socket, struct, sys
link = socket.socket(socket.AF_UNIX)
link.connect("/run/pc/socket")
script = base64.b64decode(sys.argv[-1]).decode("utf-16-le") if sys.argv[-2:-1] == ["-EncodedCommand"] else ""
stdin = sys.stdin.buffer.read() if "$input" in script else b""  # which may never end
body = json.dumps({"arguments": sys.argv[1:], "user": os.environ.get("USER", "")}).encode()
link.sendall(struct.pack(">II", len(body), len(stdin)) + body + stdin)
answer = b""
while chunk := link.recv(65536):
    answer += chunk
if not answer:  # the current went off: ssh sees the connection end
    sys.exit(255)
code, size = struct.unpack(">iI", answer[:8])
sys.stdout.buffer.write(answer[8:8 + size])
sys.stdout.buffer.flush()
sys.stderr.buffer.write(answer[8 + size:])
sys.exit(code & 255)
'''

SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding yes
AuthorizedKeysFile .ssh/authorized_keys
Subsystem sftp internal-sftp
"""

SETUP = """\
id "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$1"
usermod --password '*' "$1"  # a locked account may not log in with a key either
install -d -m 700 -o "$1" "/home/$1/.ssh"
cat > "/home/$1/.ssh/authorized_keys"
chown "$1": "/home/$1/.ssh/authorized_keys"
chmod 600 "/home/$1/.ssh/authorized_keys"
"""


@dataclass(slots=True)
class Pc:
    """A PC that answers. host_key: `type base64`; container: its id, whose network WSL's Linux shares."""

    machine: Machine
    address: str
    port: int
    user: str
    host_key: str
    container: str
    made: Containers
    rounds: int = 0

    def new_host_key(self) -> None:
        """As after Windows was set up anew."""
        again = "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; kill -HUP 1"
        self.made.run(self.container, again)
        public = self.made.run(self.container, "cat /etc/ssh/ssh_host_ed25519_key.pub")
        self.host_key = " ".join(public.split()[:2])


def listen(machine: Machine, port: int) -> None:
    """Windows' sshd is at this port, as the bootstrap was told."""
    machine.data["ssh_port"] = port
    machine.data["firewall"]["rules"]["gpurig-ssh"]["ports"] = [str(port)]


@contextmanager
def serving(made: Containers, machine: Machine, *, public_key: str, host_key: tuple[str, str]) -> Iterator[Pc]:
    """Put the PC on loopback. public_key: may log in, as the bootstrap would have said. host_key: private and public half."""
    with tempfile.TemporaryDirectory(prefix="pc") as folder:
        Path(folder).chmod(0o755)
        pc = Pc(machine, "127.0.0.1", 0, machine.data["login"]["user"], " ".join(host_key[1].split()[:2]), "", made)
        server = _Server(str(Path(folder) / "socket"), pc)
        (Path(folder) / "socket").chmod(0o666)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            pc.container, pc.port = _container(made, Path(folder), pc.user, public_key, host_key)
            listen(machine, pc.port)
            yield pc
        finally:
            server.shutdown()
            server.server_close()


def _container(
    made: Containers, folder: Path, user: str, public_key: str, host_key: tuple[str, str]
) -> tuple[str, int]:
    options = ["--publish=127.0.0.1::22", f"--volume={folder}:/run/pc", f"--label=gpurig.test={made.label}"]
    command = ("sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e")
    container = made.podman.run("create", "--pull=never", *options, made.image, *command).strip()
    made.podman.put(
        container,
        [
            File("/usr/local/bin/PowerShell", STUB, 0o755),
            File("/etc/ssh/sshd_config", SSHD, 0o600),
            File("/etc/ssh/ssh_host_ed25519_key", host_key[0], 0o600),
            File("/etc/ssh/ssh_host_ed25519_key.pub", host_key[1], 0o644),
        ],
    )
    made.podman.run("start", container)
    made.run(container, f"set -- {user}\n{SETUP}", public_key + "\n")
    port = made.podman.run("port", container, "22/tcp").split(":")[-1].strip()
    return container, int(port)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path: str, pc: Pc) -> None:
        self.pc = pc
        self.lock = threading.Lock()
        super().__init__(path, _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        head, size = struct.unpack(">II", self.rfile.read(8))
        asked: dict[str, Any] = json.loads(self.rfile.read(head))
        stdin = self.rfile.read(size)
        with self.server.lock:
            self.server.pc.rounds += 1
            _tell_time(self.server.pc.machine)
            try:
                code, out, err = shell.run(self.server.pc.machine, asked["arguments"], stdin)
            except PowerLostError:
                _tell_time(self.server.pc.machine)
                return
        self.wfile.write(struct.pack(">iI", code, len(out)) + out + err)


def _tell_time(machine: Machine) -> None:
    """The PC's clock goes with the real one, since the Linux inside has that; a restart takes no time."""
    machine.data["now"] = datetime.now(UTC).isoformat(timespec="seconds")
    machine.data["booted"] = min(machine.data["booted"], machine.data["now"])
