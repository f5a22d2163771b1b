"""Whether a host lets us in, and if not, why, in words that say what to do."""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from gpurig import access, keys, records
from gpurig.errors import RigError
from gpurig.host import Endpoint, Host
from gpurig.stack import Stack, home

PRIVILEGE = {"root": "true", "sudo": "sudo -n true"}
"""What must work on a host, by its privilege capability."""


NO_ANSWER = (
    *("Connection refused", "timed out", "No route to host", "Network is unreachable", "Connection reset"),
    *("Could not resolve hostname", "Connection closed by"),
)
"""Words of ssh where nothing answers at the endpoint, the most telling first."""

UNKNOWN = ("HOST IDENTIFICATION HAS CHANGED", "Host key verification failed")
"""Words of ssh for a host key that is not the pinned one."""

NO_SYSTEMD = "gpurig-finds-no-systemd"


class UnreachableError(RigError):
    """SSH does not let us in. `lasting` is true where waiting cannot help."""

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


def wait(stack: Stack, host: Host, *, seconds: float, report: Callable[[str], None], settling: bool = False) -> None:
    """Return once a command runs on the host's machine. Raises UnreachableError after `seconds` of wall time.

    A guest is not waited for: site.yml makes it. settling: the machine is new, and may show another host key until its start-up script has put ours in; it is not
    entered before. The host need not be recorded yet.
    """
    deadline = time.monotonic() + seconds
    others = [other for name, other in records.load(stack).items() if name != host.name]
    config = access.write(stack, [*others, host], stack.dir / "probe" / host.name)
    name, endpoint, _ = host.machines()[0]
    told = ""
    while True:
        try:
            check(stack, host, name, config)
            break
        except UnreachableError as error:
            if (error.lasting and not settling) or time.monotonic() > deadline:
                raise
            if str(error) != told:
                told = str(error)
                report(f"{name}: waiting for SSH at {endpoint.address}:{endpoint.port}")
            time.sleep(0.3)


def check(stack: Stack, host: Host, name: str, config: Path) -> None:
    """One try to log in anew and to become root. Raises UnreachableError that says what is wrong."""
    key = f"{stack.file.name}: gpurig:hosts.{host.name}"
    _, endpoint, capabilities = next(machine for machine in host.machines() if machine[0] == name)
    if endpoint.jump is None:
        probe_port(endpoint, key, "port" if name == host.machines()[0][0] else "wsl.port")
    probe = "exit 0" if endpoint.shell == "powershell" else PRIVILEGE[capabilities.privilege]
    if endpoint.shell == "sh" and capabilities.init == "systemd":
        probe += f" && {{ test -d /run/systemd/system || {{ echo {NO_SYSTEMD} >&2; exit 1; }}; }}"
    anew = ("-o", "ControlMaster=no", "-o", "ControlPath=none")
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", *anew, name, probe]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise explained(stack, host, name, endpoint, answer.stderr)


def explained(stack: Stack, host: Host, name: str, endpoint: Endpoint, said: str) -> UnreachableError:
    """What ssh's words about a host, or one machine of it, mean for the user."""
    public = keys.login_key(stack.home).with_suffix(".pub")
    return diagnose(said, name, endpoint, f"{stack.file.name}: gpurig:hosts.{host.name}", public)


def told(host: Host, name: str, said: str) -> UnreachableError:
    """What a failed connection of a playbook's to a recorded machine means for the user. said: ssh's words, among others."""
    endpoint = next(endpoint for machine, endpoint, _ in host.machines() if machine == name)
    public = keys.login_key(home()).with_suffix(".pub")
    return diagnose(said, name, endpoint, f"Pulumi.{host.stack}.yaml: gpurig:hosts.{host.name}", public)


def probe_port(endpoint: Endpoint, key: str, port: str = "port") -> None:
    """Raise UnreachableError unless something accepts connections at the endpoint. port: the key that names its port."""
    where = f"{endpoint.address}:{endpoint.port}"
    try:
        socket.create_connection((endpoint.address, endpoint.port), timeout=5).close()
    except socket.gaierror as error:
        raise UnreachableError(
            f"{key}.address: the name {endpoint.address!r} cannot be resolved; write the right name or an IP address.",
            lasting=True,
        ) from error
    except ConnectionRefusedError as error:
        raise UnreachableError(
            f"{key}.{port}: nothing listens at {where}; is sshd running there, and on that port?", lasting=False
        ) from error
    except OSError as error:
        raise UnreachableError(
            f"{key}.address: no answer from {where} ({error}); is the machine on, and does a firewall allow the port?",
            lasting=False,
        ) from error


def diagnose(stderr: str, name: str, endpoint: Endpoint, key: str, public: object) -> UnreachableError:
    """What OpenSSH's message means for the user."""
    last = stderr.strip().splitlines()[-1] if stderr.strip() else "no message"
    own = key.rpartition(".")[2]
    windows, inside = endpoint.shell == "powershell", endpoint.jump is not None
    if inside and any(sign in stderr for sign in (*UNKNOWN, "Permission denied")):
        return UnreachableError(
            f"{name}: the Linux inside {own} does not have gpurig's keys, or Windows in front of it does not ({last}). "
            f"`ansible-playbook playbooks/site.yml --limit {own}` puts them in, `rig doctor {own}` tells which it is.",
            lasting=True,
        )
    if any(sign in stderr for sign in UNKNOWN):
        console = (
            f"run the script of `rig bootstrap {own}` there once more, and what its last line says"
            if windows
            else "compare its fingerprint at its own console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), "
            f"then run `rig register {own} --fingerprint SHA256:…`, or `rig rebuild {own}` for a host that gpurig made"
        )
        return UnreachableError(
            f"{name}: refused, since the host key at {endpoint.address}:{endpoint.port} is not the pinned one "
            f"({keys.fingerprint(endpoint.host_key)}). Somebody may be in between. If the machine was legitimately "
            f"set up anew, {console}.",
            lasting=True,
        )
    if "no matching host key type" in stderr:
        return UnreachableError(
            f"{name}: the machine offers no host key of the pinned type {endpoint.host_key.split()[0]}; "
            f"if it was set up anew, run `rig register {own} --fingerprint SHA256:…`.",
            lasting=True,
        )
    if "Permission denied" in stderr and windows:
        return UnreachableError(
            f"{key}.user: Windows does not let {endpoint.user} in with our key. Write another `user` or `identity`, or run the "
            f"script of `rig bootstrap {own}` on the PC once more: it puts the key, and its file's permissions, right.",
            lasting=False,
        )
    if "Permission denied" in stderr:
        return UnreachableError(
            f"{key}.user: {endpoint.user}@{endpoint.address} does not accept our key. Add the line in {public} to "
            f"~{endpoint.user}/.ssh/authorized_keys there, or write another `user` or `identity`.",
            lasting=False,
        )
    if NO_SYSTEMD in stderr:
        return UnreachableError(
            f"{key}.init: systemd does not run on {endpoint.address}; write `init: none`.", lasting=False
        )
    if "sudo:" in stderr:
        return UnreachableError(
            f"{key}.user: {endpoint.user}@{endpoint.address} may not use sudo without a password ({last}). On that machine, "
            f"as root: {shlex.quote(f'{endpoint.user} ALL=(ALL) NOPASSWD: ALL')} in /etc/sudoers.d/gpurig.",
            lasting=False,
        )
    if inside and "open failed" in stderr:
        return UnreachableError(
            f"{name}: Windows of {own} lets us in, but the Linux inside does not answer ({_line(stderr, 'open failed')}). "
            f"`rig doctor {own}` tells why.",
            lasting=False,
        )
    if any(sign in stderr for sign in NO_ANSWER):
        return _silent(stderr, name, endpoint, key)
    return UnreachableError(f"{name}: SSH to {endpoint.address}:{endpoint.port} failed: {last}", lasting=False)


def _silent(stderr: str, name: str, endpoint: Endpoint, key: str) -> UnreachableError:
    """Nothing answers: the machine itself, or Windows in front of it."""
    own, last = key.rpartition(".")[2], _line(stderr, *NO_ANSWER)
    if endpoint.jump is not None and "connect to host" not in stderr and "Could not resolve" not in stderr:
        return UnreachableError(
            f"{key}: {name} cannot be reached, since the way through Windows ends before the Linux inside ({last}). "
            f"`rig doctor {own}` tells at which step.",
            lasting=False,
        )
    if endpoint.shell == "powershell" or endpoint.jump is not None:
        front = "Windows" if endpoint.jump is None else "Windows in front of it"
        return UnreachableError(
            f"{key}.address: {name} cannot be reached, since {front} does not answer ({last}). Is the PC on, awake and at "
            f"this address? `rig doctor {own}` looks for the reason.",
            lasting=False,
        )
    return UnreachableError(
        f"{name}: no SSH at {endpoint.address}:{endpoint.port} ({last}). `rig doctor {own}` looks for the reason; `rig up` "
        "starts a stopped host and makes one anew that is gone.",
        lasting=False,
    )


def _line(stderr: str, *signs: str) -> str:
    """The first line with the first of these signs that there is: of a way through another machine, the last says nothing."""
    lines = [line.strip() for line in stderr.splitlines()]
    found = next(line for sign in signs for line in lines if sign in line)
    return found.rpartition("ssh: ")[2]
