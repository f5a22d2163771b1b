"""What stands for the Linux inside WSL: a simulated one in a dict, or a container in which the scripts run for real."""

from __future__ import annotations

import base64
import copy
import re
from typing import Any

from gpurig.windows import inside, wslconf
from tests.clients.containers import Containers
from tests.windows.model.linux_scripts import SCRIPTS, ScriptFailedError, facts

Said = tuple[int, bytes, bytes]

IMAGES: dict[str, dict[str, Any]] = {
    "ubuntu-24.04": {
        "os": ("ubuntu", "24.04"),
        "files": {"/etc/wsl.conf": "[boot]\nsystemd=true\n"},
        "packages": ["python3", "sudo"],
        "socket": True,
    },
    "debian-12": {"os": ("debian", "12"), "files": {}, "packages": ["sudo"], "socket": False},
}
"""What a distribution's file brings. socket: its openssh-server lets systemd hold the port."""


class SimulatedLinux:
    """A distribution as plain data. It knows gpurig's own scripts by their text, and nothing else.

    data: files (path → text), packages, users (name → uid, keys, sudo), units (name → enabled, active), busy (words), online (apt
    works), facts (further lines of facts.sh, such as dxg). None before it is made.
    """

    def __init__(self, image: str = "ubuntu-24.04", **changes: Any) -> None:
        self.image, self.changes = image, changes
        self.data: dict[str, Any] | None = None
        self.running = False

    def create(self) -> None:
        """Unpacked from its file."""
        blank = {"users": {}, "units": {}, "busy": [], "online": True, "systemd": False, "facts": {}, "starts": 0}
        self.data = {**blank, **copy.deepcopy(IMAGES[self.image]), **copy.deepcopy(self.changes)}

    def destroy(self) -> None:
        """Unregistered: its disk is gone."""
        self.stop()
        self.data = None

    def start(self) -> None:
        """wsl.conf counts from here on, and what is enabled runs."""
        data = self._made()
        self.running = True
        data["starts"] += 1
        data["systemd"] = wslconf.parse(data["files"].get("/etc/wsl.conf", "")).get("boot.systemd", "") in ("true", "1")
        for unit in data["units"].values():
            unit["active"] = data["systemd"] and unit["enabled"]

    def stop(self) -> None:
        """All that runs ends."""
        self.running = False
        if self.data is not None:
            self.data["busy"] = []
            for unit in self.data["units"].values():
                unit["active"] = False

    def run(self, script: str, arguments: list[str], stdin: bytes) -> Said:
        """`/bin/sh -s` as root."""
        assert self.running, "WSL starts a distribution before it runs anything"
        assert not stdin, "a script's input comes with it"
        if script == inside.script("facts"):
            return 0, facts(self._made(), *arguments).encode(), b""
        found = re.fullmatch(
            r"\n?(# gpurig: inside/(\w+)\. .*)\nmain \"\$@\" <<'GPURIG'\n(.*)\nGPURIG\n", script, re.DOTALL
        )
        if found is None or found[2] not in SCRIPTS or found[1] != inside.script(found[2]):
            return 127, b"", f"the simulated Linux does not know this script: {script[:60]}".encode()
        before = copy.deepcopy(self.data)
        try:
            SCRIPTS[found[2]](self._made(), base64.b64decode(found[3]), *arguments)
        except ScriptFailedError as error:
            return 1, b"", str(error).encode()
        return 0, b"changed\n" if self.data != before else b"", b""

    def _made(self) -> dict[str, Any]:
        assert self.data is not None, "not made yet"
        return self.data


class ContainerLinux:
    """A real Debian with systemd in a container. network: the container whose addresses and ports it shares, as WSL shares the PC's."""

    def __init__(self, containers: Containers, network: str = "") -> None:
        self.containers, self.network = containers, network
        self.container = ""
        self.starts = 0

    def create(self) -> None:
        """A container, not started; without anything that the image already brings of ours."""
        made = self.containers
        options = [f"--network=container:{self.network}"] if self.network else []
        options += ["--systemd=always", f"--label=gpurig.test={made.label}", "--shm-size=2g"]
        command = ["create", "--pull=never", *options, made.image, "/sbin/init"]
        self.container = made.podman.run(*command).strip()

    def start(self) -> None:
        """systemd boots, and it is waited for."""
        self.starts += 1
        self.containers.podman.run("start", self.container)
        self.containers.run(self.container, BOOTED)

    def stop(self) -> None:
        """As the VM does it: at once."""
        if self.container:
            self.containers.podman.run("stop", "--time=0", self.container)

    def destroy(self) -> None:
        """Gone, with its files."""
        if self.container:
            self.containers.remove(self.container)
        self.container = ""

    def run(self, script: str, arguments: list[str], stdin: bytes) -> Said:
        """`/bin/sh -s` as root, with its script by its input."""
        command = ["exec", "--interactive", self.container, "/bin/sh", "-c", RUN, "sh", *arguments]
        code, out, err = self.containers.podman.run(*command, data=script.encode() + stdin).split("\n")[:3]
        return int(code), base64.b64decode(out), base64.b64decode(err)


BOOTED = """\
for try in $(seq 300); do  # at first nobody is there who could be asked
    case $(systemctl is-system-running --wait 2>/dev/null) in running | degraded) exit 0 ;; esac
    sleep 0.1
done
exit 1
"""
"""As WSL does it before it lets a program in."""

RUN = """\
folder=$(mktemp -d)
/bin/sh -s "$@" >"$folder/out" 2>"$folder/err"
echo $?
base64 -w 0 "$folder/out" && echo
base64 -w 0 "$folder/err" && echo
rm -r "$folder"
"""
"""What a program says apart from how it ended: Podman's own client tells them apart only where all went well."""
