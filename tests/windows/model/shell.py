"""The program `PowerShell` of the simulated PC: takes what gpurig and ansible.windows send, and refuses all else."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from gpurig.windows import wire
from tests.windows.model import boot, twins
from tests.windows.model.pc import Machine, PowerLostError, PowerShellError

START = ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Unrestricted", "-EncodedCommand"]

TAIL = "; If (-not $?) { If (Get-Variable LASTEXITCODE -ErrorAction SilentlyContinue) { exit $LASTEXITCODE } Else { exit 1 } }"
"""What ansible.windows puts behind every command of win_reboot."""


def run(machine: Machine, arguments: Sequence[str], stdin: bytes) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors. Raises PowerLostError where nobody answers any more."""
    if list(arguments[:-1]) != START:
        return 1, b"", _clixml(f"The argument '{' '.join(arguments)}' is not recognized by the simulated PowerShell.")
    script = base64.b64decode(arguments[-1]).decode("utf-16-le")
    if script == wire.BOOTSTRAP:
        lines = stdin.decode("ascii").splitlines()
        said = drive(machine, json.loads("".join(lines)))
        packed = base64.b64encode(json.dumps(said, ensure_ascii=False).encode()).decode()
        return 0, f"<gpurig {packed}>\r\n".encode(), b""
    return _reboot(machine, script.removesuffix(TAIL))


def drive(machine: Machine, request: Mapping[str, Any]) -> dict[str, Any]:
    """The twin of driver.ps1."""
    assert request["driver"] == wire.script("driver")
    assert request["library"] == wire.script("library")
    scripts = request["scripts"]
    outcomes: list[dict[str, Any]] = []
    for action in request["actions"]:
        machine.step()
        outcome = {"kind": action["kind"], "ok": True, "changed": False, "data": None, "problem": None, "seconds": 0.0}
        outcomes.append(outcome)
        try:
            said = twins.call(machine, f"apply/{action['kind']}", scripts[action["kind"]], action["parameters"])
            outcome |= {"changed": said["changed"], "data": said["data"]}
            machine.data["done"].append(action["kind"])
        except PowerShellError as error:
            outcome |= {"ok": False, "problem": error.problem}
            break
        machine.step()
    state: dict[str, Any] = {}
    for section in request["sections"]:
        try:
            state[section["name"]] = twins.call(
                machine, f"collect/{section['name']}", scripts[section["name"]], section["parameters"]
            )
        except PowerShellError as error:
            state[section["name"]] = {"error": error.problem}
    return {"schema": 1, "outcomes": outcomes, "state": state}


def _reboot(machine: Machine, script: str) -> tuple[int, bytes, bytes]:
    """The three commands of ansible.windows.win_reboot."""
    if script.startswith("(Get-CimInstance -ClassName Win32_OperatingSystem -Property LastBootUpTime)"):
        filetime = int((datetime.fromisoformat(machine.data["booted"]).timestamp() + 11644473600) * 10**7)
        return 0, f"{filetime}\r\n".encode(), b""
    if "shutdown.exe /r" in script:
        machine.require_admin()
        boot.boot(machine)
        raise PowerLostError
    tested = re.fullmatch(r"Get-Item -LiteralPath '[^']+' -ErrorAction Stop; '(success-[0-9a-f-]+)'", script)
    if tested:
        return 0, f"{tested[1]}\r\n".encode(), b""
    return 1, b"", _clixml(f"The simulated PC does not know this command: {script[:80]}")


def _clixml(message: str) -> bytes:
    lines = f"{escape(message)}_x000D__x000A_"
    objects = f'<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><S S="Error">{lines}</S></Objs>'
    return f"#< CLIXML\r\n{objects}".encode()
