"""Topic keeper: a scheduled task that starts WSL without a log-on, keeps it up, and our port proxies at its address."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from gpurig.windows import task, wire
from gpurig.windows.actions import Action
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.questions import FOLDER, TASK
from gpurig.windows.state import Acl, KeeperSection, MachineSection, State

SECTIONS = ("machine", "keeper")

SCRIPT, SETTINGS = f"{FOLDER}\\keeper.ps1", f"{FOLDER}\\keeper.json"

SYSTEM, ADMINISTRATORS = "S-1-5-18", "S-1-5-32-544"

LOOK_SECONDS = 60
"""Between two looks of the keeper at WSL's address."""

LOGON_RIGHT, LOGON_FAILED = 0x80070569, 0x8007052E
"""LastTaskResult where the account may not run tasks, and where its password is not the stored one."""

LONGEST_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """distribution: to hold up. every_minutes: at most so long it stays down. enabled: False takes task and files out.

    logon: s4u needs no password; password is for a Windows that does not start WSL that way, and then `password` is the account's.
    """

    enabled: bool = True
    distribution: str = "Ubuntu-24.04"
    every_minutes: int = 2
    logon: Literal["s4u", "password"] = "s4u"
    password: str = field(default="", repr=False)


def plan(state: State, wanted: Wanted) -> Plan:
    """Install the script, register the task, start it."""
    if wrong := unread(state, SECTIONS):
        return Plan(refusals=wrong)
    found, machine = state["keeper"], state["machine"]
    if not wanted.enabled:
        return Plan(actions=tuple(_removed(found)))
    registered = _registered(found, machine, wanted)
    refusals = (*_refusals(machine, wanted, registered), *_strangers(found, machine))
    if refusals:
        return Plan(refusals=refusals)
    return Plan(actions=(*_files(found, wanted), *registered, *_started(found, machine)))


def differences(found: KeeperSection, machine: MachineSection, wanted: Wanted) -> list[str]:
    """What the task that is there has otherwise than wanted, as `task.differences`."""
    user = machine["user"]
    names = {user["name"], f"{machine['computer']}\\{user['name']}"}
    different = task.differences(found["xml"] or "", _definition(machine, wanted), names)
    if found["result"] == LOGON_FAILED and wanted.logon == "password":
        different.append("its password is no longer the account's")
    return different


def script() -> str:
    """The keeper's text as it is installed: it brings its library along."""
    return wire.script("library") + "\n" + wire.script("keeper")


def _refusals(machine: MachineSection, wanted: Wanted, registered: list[Action]) -> Iterator[Refusal]:
    if machine["user"]["sid"] == SYSTEM:
        yield Refusal("user", "WSL does not run as SYSTEM: name the Windows account whose WSL it is")
    if not wanted.distribution:
        yield Refusal("wsl.distribution", "names no distribution for the keeper to hold up")
    if not 1 <= wanted.every_minutes <= LONGEST_MINUTES:
        text = f"win_keeper_every_minutes is {wanted.every_minutes}: write 1 to {LONGEST_MINUTES}"
        yield Refusal("variables", text)
    if wanted.logon == "password" and registered and not wanted.password:
        text = f"win_keeper_logon is password: put that of {machine['user']['name']} into GPURIG_WINDOWS_PASSWORD"
        yield Refusal("variables", text)


def _strangers(found: KeeperSection, machine: MachineSection) -> Iterator[Refusal]:
    paths = {"folder": FOLDER, "script": SCRIPT, "settings": SETTINGS}
    for name, acl in found["acls"].items():
        if acl is not None and acl["owner"] not in {SYSTEM, ADMINISTRATORS, machine["user"]["sid"]}:
            text = f"{paths[name]} belongs to {acl['owner']}, who could change what runs with an administrator's rights"
            yield Refusal("", f"{text}: delete it on the PC and run this again")


def _files(found: KeeperSection, wanted: Wanted) -> list[Action]:
    settings = json.dumps({"distribution": wanted.distribution, "seconds": LOOK_SECONDS}, indent=1) + "\n"
    asked = _file("settings", SETTINGS, settings, found["settings"])
    text = _file("script", SCRIPT, script(), found["script"])
    # The folder is shut before the script is in it: it runs with an administrator's rights.
    return [
        *asked,
        *_access(FOLDER, found["acls"].get("folder")),
        *text,
        *_access(SETTINGS, None if asked else found["acls"].get("settings")),
        *_access(SCRIPT, None if text else found["acls"].get("script")),
    ]


def _file(name: str, path: str, text: str, present: str | None) -> list[Action]:
    data = text.encode("ascii")
    if hashlib.sha256(data).hexdigest() == present:
        return []
    parameters = {"path": path, "content": base64.b64encode(data).decode("ascii"), "before": present or ""}
    before = f"{path}: {'another one' if present else 'none'}"
    return [Action("file_write", parameters, f"the keeper's {name}", before, f"{path}: {len(text.splitlines())} lines")]


def _access(path: str, acl: Acl | None) -> list[Action]:
    if acl is not None and _shut(acl):
        return []
    before = f"{path}: " + (", ".join(acl["sids"]) if acl else "new")
    parameters = {"path": path, "sids": [SYSTEM, ADMINISTRATORS]}
    says = f"only administrators change {path}"
    return [Action("acl_set", parameters, says, before, f"{path}: {SYSTEM}, {ADMINISTRATORS}")]


def _shut(acl: Acl) -> bool:
    return not acl["inherited"] and set(acl["sids"]) == {SYSTEM, ADMINISTRATORS}


def _closed(path: str, acl: Acl | None) -> Action:
    before = f"{path}: " + (", ".join(acl["sids"]) if acl else "not there")
    parameters = {"path": path, "sids": [SYSTEM, ADMINISTRATORS]}
    return Action(
        "acl_set", parameters, f"only administrators change {path}", before, f"{path}: {SYSTEM}, {ADMINISTRATORS}"
    )


def _registered(found: KeeperSection, machine: MachineSection, wanted: Wanted) -> list[Action]:
    user = machine["user"]
    different = ["none"] if found["xml"] is None else differences(found, machine, wanted)
    if not different:
        return []
    password = wanted.password if wanted.logon == "password" else ""
    parameters = {"name": TASK, "xml": _definition(machine, wanted), "password": password}
    says = f"the task {TASK} runs as {user['name']} at start, every {wanted.every_minutes} minutes and after sleep"
    return [Action("task_register", parameters, says, f"{TASK}: {'; '.join(different)}", f"{TASK}: as {user['name']}")]


def _definition(machine: MachineSection, wanted: Wanted) -> str:
    logon = {"s4u": "S4U", "password": "Password"}[wanted.logon]
    return task.render(task.Task(SCRIPT, machine["user"]["sid"], logon, wanted.every_minutes))


def _started(found: KeeperSection, machine: MachineSection) -> Iterator[Action]:
    if found["result"] == LOGON_RIGHT:
        parameters = {"right": "SeBatchLogonRight", "sid": machine["user"]["sid"]}
        yield Action("logon_right_grant", parameters, f"{machine['user']['name']} may run scheduled tasks")
    if found["state"] not in {"running", "queued"}:
        yield Action(
            "task_start", {"name": TASK}, "the keeper runs", f"{TASK}: {found['state'] or 'none'}", f"{TASK}: running"
        )


def _removed(found: KeeperSection) -> Iterator[Action]:
    if found["xml"] is not None:
        yield Action("task_remove", {"name": TASK}, f"the task {TASK} is taken out", f"{TASK}: {found['state']}", "")
    for path, present in ((SCRIPT, found["script"]), (SETTINGS, found["settings"])):
        if present:
            yield Action("file_remove", {"path": path, "before": present}, f"{path} is taken out", path, "")
