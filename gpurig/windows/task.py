"""The definition of the keeper's scheduled task, and whether one that Windows exported means the same.

Windows adds what is default and orders elements anew, so only what we set is compared, and by its meaning.
Form: https://learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"

POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"

RESUMED = """<QueryList><Query Id="0" Path="System">\
<Select Path="System">*[System[Provider[@Name='Microsoft-Windows-Power-Troubleshooter'] and EventID=1]]</Select>\
<Select Path="System">*[System[Provider[@Name='Microsoft-Windows-Kernel-Power'] and EventID=107]]</Select>\
</Query></QueryList>"""
"""What the System log says when the PC wakes."""

# The time trigger repeats from its registration on: the boot trigger's own repetition would only begin with the next start.
_FORM = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.3" xmlns="{namespace}">
  <RegistrationInfo>
    <Description>Keeps WSL running without a log-on, and gpurig's portproxy entries at its address.</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
      <Delay>PT30S</Delay>
    </BootTrigger>
    <TimeTrigger>
      <Repetition>
        <Interval>PT{minutes}M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <StartBoundary>2024-01-01T00:00:00</StartBoundary>
      <Enabled>true</Enabled>
    </TimeTrigger>
    <EventTrigger>
      <Enabled>true</Enabled>
      <Subscription>{resumed}</Subscription>
    </EventTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{sid}</UserId>
      <LogonType>{logon}</LogonType>
      <RunLevel>HighestAvailable</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""

_DEFAULTS = {
    "Enabled": "true",
    "Delay": "PT0S",
    "StopAtDurationEnd": "false",
    "LogonType": "InteractiveToken",
    "RunLevel": "LeastPrivilege",
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "true",
    "StopIfGoingOnBatteries": "true",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "false",
    "RunOnlyIfNetworkAvailable": "false",
    "AllowStartOnDemand": "true",
    "RunOnlyIfIdle": "false",
    "WakeToRun": "false",
    "ExecutionTimeLimit": "PT72H",
}
"""What an element means that is left out, by the schema above."""

_PERIOD = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


@dataclass(frozen=True, slots=True)
class Task:
    """script: path of a PowerShell file on the PC. sid: of its owner, as whom it runs, logged on or not.

    logon: S4U, which needs no password, or Password. minutes: between two starts; it is not started twice.
    """

    script: str
    sid: str
    logon: str = "S4U"
    minutes: int = 2


def render(task: Task) -> str:
    """The definition as Register-ScheduledTask takes it."""
    return _FORM.format(
        namespace=NAMESPACE,
        minutes=task.minutes,
        resumed=escape(RESUMED),
        sid=escape(task.sid),
        logon=escape(task.logon),
        command=escape(POWERSHELL),
        arguments=escape(
            f'-NoProfile -NonInteractive -ExecutionPolicy Bypass -WindowStyle Hidden -File "{task.script}"'
        ),
    )


def differences(present: str, wanted: str, names: Collection[str] = ()) -> list[str]:
    """What means something else in the present definition, as `Settings/ExecutionTimeLimit: PT72H, wanted PT0S`.

    names: of the wanted task's owner; Windows may show them where we gave the SID. A definition that is no XML differs.
    """
    try:
        there, here = _leaves(present), _leaves(wanted)
    except ET.ParseError as error:
        return [f"no XML: {error}"]
    owner = {name.lower() for name in names}
    found = []
    for path, value in here.items():
        leaf = path.rpartition("/")[2]
        other = there.get(path, _DEFAULTS.get(leaf, "") if path.rpartition("/")[0] in _folders(there) else "")
        if leaf == "UserId" and other.lower() in owner:
            continue
        if _meaning(other) != _meaning(value):
            found.append(f"{path}: {other or 'missing'}, wanted {value}")
    more = {path.split("/")[1] for path in there if path.startswith("Triggers/")} - {
        path.split("/")[1] for path in here if path.startswith("Triggers/")
    }
    return found + [f"Triggers/{name}: not ours" for name in sorted(more)]


def read(xml: str, path: str) -> str:
    """The text of one element, such as Principals/Principal/UserId, empty where it is missing; ET.ParseError if no XML."""
    return _leaves(xml).get(path, "")


def _leaves(xml: str) -> dict[str, str]:
    """Path → text of every element without children; a second one of a name has [2] behind it."""
    root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", xml))  # noqa: S314  # the PC's own task, by its admin
    found: dict[str, str] = {}

    def walk(element: ET.Element, path: str) -> None:
        counted: dict[str, int] = {}
        for child in element:
            name = child.tag.rpartition("}")[2]
            counted[name] = counted.get(name, 0) + 1
            here = f"{path}{name}" + (f"[{counted[name]}]" if counted[name] > 1 else "")
            if len(child):
                walk(child, f"{here}/")
            else:
                found[here] = (child.text or "").strip()

    walk(root, "")
    return found


def _folders(leaves: Collection[str]) -> set[str]:
    return {"/".join(path.split("/")[:depth]) for path in leaves for depth in range(1, path.count("/") + 1)}


def _meaning(text: str) -> str:
    period = _PERIOD.fullmatch(text)
    if period and text not in {"", "P", "PT"}:
        days, hours, minutes, seconds = (int(part or 0) for part in period.groups())
        return f"{((days * 24 + hours) * 60 + minutes) * 60 + seconds} s"
    return " ".join(text.split()).lower()
