"""The Task Scheduler of the simulated PC: definitions as XML, and when it starts what. The one program that it knows is the keeper."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from tests.windows.model import keeper
from tests.windows.model.pc import Machine, PowerShellError

NEVER_RUN, RUNNING, TERMINATED = 0x41303, 0x41301, 0x41306

NOT_GRANTED, WRONG_PASSWORD = 0x80070569, 0x8007052E

INVALID_XML = "0x8004131A"

BATCH = "SeBatchLogonRight"

SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def register(machine: Machine, path: str, xml: str, password: str) -> None:
    """Register-ScheduledTask -Force. Keeps a running instance of the same name."""
    machine.require_admin()
    root = _parsed(xml)
    logon = _text(root, "Principals/Principal/LogonType")
    sid = _text(root, "Principals/Principal/UserId")
    if sid not in {"S-1-5-18", *(user["sid"] for user in machine.data["users"].values())}:
        raise PowerShellError("No mapping between account names and security IDs was done.", hresult="0x80070534")
    if logon == "Password" and password != machine.data.get("passwords", {}).get(sid, password or None):
        raise PowerShellError("The user name or password is incorrect.", hresult="0x8007052E")
    before = machine.data["tasks"].get(path, {"state": "ready", "result": NEVER_RUN, "last_run": None})
    machine.data["tasks"][path] = {**before, "xml": xml, "password": password}


def exported(machine: Machine, path: str) -> str | None:
    """Export-ScheduledTask: with what Windows adds, in its own order."""
    task = machine.data["tasks"].get(path)
    if task is None:
        return None
    root = _parsed(task["xml"])
    ET.register_namespace("", SPACE.strip("{}"))
    ET.SubElement(_found(root, "RegistrationInfo"), f"{SPACE}URI").text = path
    settings = _found(root, "Settings")
    settings[:] = sorted(settings, key=lambda one: one.tag)
    for name, value in (("Hidden", "false"), ("Priority", "7")):
        ET.SubElement(settings, f"{SPACE}{name}").text = value
    idle = ET.SubElement(settings, f"{SPACE}IdleSettings")
    ET.SubElement(idle, f"{SPACE}StopOnIdleEnd").text = "true"
    for parent in root.iter():  # the export leaves out what is the schema's default
        for child in list(parent):
            if child.tag == f"{SPACE}AllowStartOnDemand" and child.text == "true":
                parent.remove(child)
    return '<?xml version="1.0" encoding="UTF-16"?>\r\n' + ET.tostring(root, encoding="unicode").replace("\n", "\r\n")


def start(machine: Machine, path: str) -> None:
    """Start a task now, by hand or by a trigger; one that runs already goes on (IgnoreNew)."""
    task = _task(machine, path)
    root = _parsed(task["xml"])
    if not enabled(machine, path):
        raise PowerShellError("The task is disabled.", hresult="0x80041326")
    if task["state"] == "running":
        return
    sid = _text(root, "Principals/Principal/UserId")
    task["last_run"] = machine.data["now"]
    if sid in machine.data.get("denied", {}).get(BATCH, []) and sid not in machine.data.get("rights", {}).get(
        BATCH, []
    ):
        task["result"] = NOT_GRANTED
    elif (
        _text(root, "Principals/Principal/LogonType") == "Password"
        and machine.data.get("passwords", {}).get(sid, task["password"]) != task["password"]
    ):
        task["result"] = WRONG_PASSWORD
    else:
        task["result"] = RUNNING
        task["state"] = "running"
        ended(task, keeper.begin(machine, sid, _text(root, "Actions/Exec/Arguments")))


def ended(task: dict[str, Any], code: int | None) -> None:
    """Note an exit code; None while the program goes on."""
    if code is not None:
        task["state"], task["result"] = "ready", code


def remove(machine: Machine, path: str) -> None:
    """Stop and unregister."""
    machine.require_admin()
    _task(machine, path)
    del machine.data["tasks"][path]


def enabled(machine: Machine, path: str) -> bool:
    """Whether its definition is switched on."""
    return _text(_parsed(_task(machine, path)["xml"]), "Settings/Enabled", "true") == "true"


def due(machine: Machine, path: str) -> bool:
    """Whether a trigger fires within this minute: some seconds after the start, or every so many minutes."""
    root = _parsed(_task(machine, path)["xml"])
    seconds = (datetime.fromisoformat(machine.data["now"]) - datetime.fromisoformat(machine.data["booted"])).seconds
    delay = _seconds(_text(root, "Triggers/BootTrigger/Delay", "PT0S"))
    if root.find(f"{SPACE}Triggers/{SPACE}BootTrigger") is not None and seconds - 60 <= delay < seconds:
        return True
    interval = _text(root, "Triggers/TimeTrigger/Repetition/Interval")
    minute = int(datetime.fromisoformat(machine.data["now"]).timestamp()) // 60
    return bool(interval) and minute % max(1, _seconds(interval) // 60) == 0


def _task(machine: Machine, path: str) -> dict[str, Any]:
    if path not in machine.data["tasks"]:
        raise PowerShellError(machine.words("file_not_found"), code="HRESULT 0x80070002", hresult="0x80070002")
    found: dict[str, Any] = machine.data["tasks"][path]
    return found


def _parsed(xml: str) -> ET.Element:
    try:
        root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", xml))  # noqa: S314  # written by the test itself
    except ET.ParseError as error:
        raise PowerShellError("The task XML is malformed.", hresult=INVALID_XML) from error
    if root.tag != f"{SPACE}Task":
        raise PowerShellError("The task XML contains an unexpected node.", hresult="0x80041316")
    return root


def _found(root: ET.Element, path: str) -> ET.Element:
    found = root.find("/".join(f"{SPACE}{part}" for part in path.split("/")))
    if found is None:
        raise PowerShellError(f"The task XML is missing a required element: {path}", hresult="0x80041319")
    return found


def _text(root: ET.Element, path: str, default: str = "") -> str:
    found = root.find("/".join(f"{SPACE}{part}" for part in path.split("/")))
    return default if found is None else (found.text or "").strip()


def _seconds(period: str) -> int:
    units = {"H": 3600, "M": 60, "S": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([HMS])", period))
