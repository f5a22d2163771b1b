"""Twins: the Linux inside WSL is asked, and scripts run in it."""

from __future__ import annotations

from typing import Any

from gpurig.windows import wire
from tests.windows.model import wsl_exe, wsl_vm
from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.model.twins import twin
from tests.windows.model.twins_files import digest
from tests.windows.model.twins_wsl import native


@twin("collect/inside")
def collect(
    machine: Machine,
    *,
    distribution: str = "",
    port: int = 2222,
    user: str = "-",
    script: str = "",
    note: str = "",
) -> dict[str, Any]:
    facts = None
    if machine.data["wsl"]["version"] is not None and wsl_vm.find(machine, distribution) is not None:
        facts = native(_shell(machine, distribution, script, [str(port), user]))
    known = None
    if note in machine.data["files"]:
        known = {"sha256": digest(machine, note), "time": machine.data["times"][note]}
    return {"distribution": distribution, "facts": facts, "note": known}


@twin("apply/inside_run")
def inside_run(
    machine: Machine,
    *,
    distribution: str,
    script: str,
    text: str,
    seconds: int,
    arguments: list[str] | None = None,
    stdin: str = "",
) -> dict[str, Any]:
    if machine.data["wsl"]["version"] is None:
        raise PowerShellError("WSL is not installed: there is no wsl.exe under Program Files.")
    body = f"\n{text}\nmain \"$@\" <<'GPURIG'\n{stdin}\nGPURIG\n"
    machine.step()
    done: Any = native(_shell(machine, distribution, body, arguments or []))
    if done["code"] != 0:
        problem = (wire.text_of(done, "err") or wire.text_of(done)).strip()
        ended = f"did not end within {seconds} s" if done["code"] is None else f"ended with {done['code']}"
        raise PowerShellError(f"{script} in {distribution} {ended}: {problem}")
    machine.step()
    return {"changed": "changed" in wire.text_of(done).splitlines(), "data": done}


def _shell(machine: Machine, distribution: str, body: str, words: list[str]) -> wsl_exe.Said:
    arguments = ["-d", distribution, "--cd", "/", "-u", "root", "--exec", "/bin/sh", "-s", *words]
    return wsl_exe.run(machine, arguments, body.encode(), {"WSL_UTF8": "1"})
