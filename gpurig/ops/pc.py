"""`rig doctor` for a Windows PC: mend what is safe, record what it says, judge what was brought from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig import records
from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.capture import recording_path
from gpurig.ops.doctor import shown
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.doctor import Finding
    from gpurig.doctor.windows import Patient
    from gpurig.windows.failures import Case


def doctor(c: Context, name: str, *, fix: bool, capture: str, brought: str, yes: bool) -> list[Finding]:
    """Look at the PC, or at what was brought from it; then record, or mend and look again. Returns the last look's findings.

    Raises ConfigError where that host is no Windows PC, or the options do not go together.
    """
    from gpurig.windows import chain

    if fix and (brought or capture):
        raise ConfigError("rig doctor: --fix mends the PC itself; it goes with neither --from nor --capture.")
    path = recording_path(capture) if capture else None
    patient = _patient(c, name)
    case = patient.judged(Path(brought)) if brought else patient.case()
    if path:
        _record(patient, case, path, yes=yes)
        return []
    found = shown(c, chain.findings(case))
    if case.link.ssh and not brought:
        found += shown(c, [patient.visit()])
    return _mended(c, patient, case, yes=yes) or found if fix else found


def _patient(c: Context, name: str) -> Patient:
    from gpurig.doctor.windows import Patient

    stack = stack_of(c)
    if not name:
        raise ConfigError("rig doctor: name the Windows PC that --fix, --capture or --from is about.")
    host = records.holding(stack, name) or records.require(stack, name)
    if host.guest is None or host.endpoint.shell != "powershell":
        raise ConfigError(
            f"{name}: --fix, --capture and --from are for Windows PCs (`os: windows-wsl2`); this host is none."
        )
    return Patient(stack, host)


def _mended(c: Context, patient: Patient, case: Case, *, yes: bool) -> list[Finding]:
    """Do what is safe, as far as the user agrees. Returns the findings after it; none where nothing was done."""
    from gpurig.doctor import windows
    from gpurig.windows import chain, failures

    todo = windows.todo(case)
    for number in todo.held:
        working = "; ".join(todo.working)
        console.say(f"Failure {number} is left, since mending it restarts WSL, and work there may be lost: {working}.")
    if not todo.actions:
        console.say("There is nothing that can safely be mended from here.")
        return []
    console.say("What would be done:")
    for action in todo.actions:
        console.say(f"  {action.says}")
    console.confirm(f"Do this on {case.host}?", yes=yes)
    before = {failure.number for failure in failures.detect(case)}
    with console.working(f"Mending {case.host}"):
        after, problem = windows.mend(patient, todo)
    if problem:
        console.say(f"Windows refused a step, and the later ones were not tried: {problem}")
    left = {failure.number for failure in failures.detect(after)}
    for number in sorted(before - left):
        console.say(f"Mended: failure {number}, {failures.NAMES[number]}.")
    return shown(c, chain.findings(after))


def _record(patient: Patient, case: Case, path: Path, *, yes: bool) -> None:
    """Show the recording, then write it if the user agrees."""
    from gpurig.stack import write_private
    from gpurig.windows import recording

    if not case.state:
        raise ConfigError(f"{case.host} does not answer, so nothing can be recorded: {case.link.ssh}")
    host = patient.host
    names = (host.name, host.project, host.endpoint.user, host.endpoint.address, host.work()[1].user)
    found = recording.recorded(case, names)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    console.say(json.dumps(recording.readable(found), indent=1, ensure_ascii=False))
    console.say(f"This is all that would be written, with bytes shown as text, to {path}.")
    console.say("Names, addresses and secrets were taken out. Look through it: what else is private, only you know.")
    console.confirm(f"Write {path}?", yes=yes)
    write_private(path, text)
    console.say(f"Written: {path}")
