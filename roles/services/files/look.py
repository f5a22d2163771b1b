"""Runs on the host as root: which TCP ports listen, which of our services run and at which ports, what is installed. Prints JSON.

Python 3.8 or later, nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

SERVICES, ENVIRONMENTS = Path("/etc/gpurig/services"), Path("/opt/gpurig/environments")


def main() -> None:
    active = running()
    ports = {
        path.stem: re.findall(r"^GPURIG_PORT=(\d+)$", path.read_text(), re.MULTILINE) for path in SERVICES.glob("*.env")
    }
    if "exposure" in active:
        ports["exposure"] = re.findall(r"^ *bind \S*:(\d+)", (SERVICES / "exposure.cfg").read_text(), re.MULTILINE)
    found = {
        "listening": listening(),
        "active": {name: [int(port) for port in ports.get(name, ())] for name in active},
        "environments": [path.parent.name for path in ENVIRONMENTS.glob("*/.installed")],
    }
    print(json.dumps(found))


def listening() -> dict[str, str]:
    """Port → the program that listens there, as far as it can be seen."""
    found: dict[str, str] = {}
    for line in output("ss", "-H", "-ltnp").splitlines():
        port = line.split()[3].rpartition(":")[2]
        program = re.search(r'users:\(\("([^"]*)"', line)
        found[port] = found.get(port) or (program.group(1) if program else "")
    return found


def running() -> list[str]:
    """Our services that run at this moment, with systemd or supervisor."""
    units = output("systemctl", "list-units", "--plain", "--no-legend", "--state=active", "gpurig-*.service")
    names: list[str] = re.findall(r"^gpurig-(\w+)\.service ", units, re.MULTILINE)
    return names or re.findall(r"^gpurig-(\w+) +RUNNING", output("supervisorctl", "status"), re.MULTILINE)


def output(*command: str) -> str:
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    main()
