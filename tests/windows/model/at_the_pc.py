"""The twin of doctor-home.ps1: what it writes when it runs at the simulated PC."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.windows import powershell
from tests.windows.model import shell, wsl_vm
from tests.windows.model.pc import Machine

TEXTS = re.compile(r"^\$scripts\['([a-z]+)'\] = @'\n(.*?)\n'@$", re.DOTALL | re.MULTILINE)
SECTIONS = re.compile(r"^\$sections = @'\n(.*?)\n'@$", re.DOTALL | re.MULTILINE)


def run(machine: Machine, script: str) -> dict[str, Any]:
    """Its strings are taken apart and given to the driver, at the desk: no SSH_CLIENT, and not the services' session.

    WSL that did not run before is shut down again.
    """
    script = script.replace("\r\n", "\n")
    assert powershell.mistakes(script) == []
    texts = {name: f"{text}\n" for name, text in TEXTS.findall(script)}
    sections = SECTIONS.search(script)
    assert sections
    request = {"driver": texts.pop("driver"), "library": texts.pop("library"), "scripts": texts, "actions": []}
    over_ssh = machine.data["login"]["session"], machine.data["network"]["client"]
    machine.data["login"]["session"], machine.data["network"]["client"] = 1, None
    said = shell.drive(machine, {**request, "sections": json.loads(sections[1])})
    machine.data["login"]["session"], machine.data["network"]["client"] = over_ssh
    wsl = said["state"]["wsl"]
    if wsl["path"] and wsl["running"] and not wsl["running"]["out"]:
        wsl_vm.shutdown(machine)
    return said
