"""Failures of starting WSL, and of keeping it up without anybody logged on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from gpurig.errors import ConfigError
from gpurig.windows import topics
from gpurig.windows.actions import Action
from gpurig.windows.failures.case import DISTRIBUTION, KEEPER, Case, Failure
from gpurig.windows.failures.names import NAMES
from gpurig.windows.topics import keeper as topic

TASK = "\\gpurig\\keeper"

RESULTS = {
    1: "it failed",
    3: "it found no WSL",
    4: "the distribution did not start",
    5: "it ran as SYSTEM",
    0x80070569: "its user lacks the right to log on as a batch job",
    0x8007052E: "Windows does not accept the task's password",
    0x80070005: "access is denied",
    0x80070002: "its program is not there",
    0x41306: "it was ended",
}
"""LastTaskResult → what it means."""

WELL = {0, 0x41301, 0x41303, 0x41325, 0x800710E0}
"""It ended, runs, never ran, waits; and a second start was refused while it runs, which is as it shall be."""

OWN = range(1, 6)
"""Results of keeper.ps1."""

OF_WSL = {3, 4}
"""Results that another failure explains, as long as WSL does not start."""

LATE = timedelta(minutes=10)
"""After which a keeper that does not run should have been started again."""

DEFINED = {
    "Settings/Enabled": "the task is disabled",
    "Settings/DisallowStartIfOnBatteries": "it does not start on battery",
    "Settings/StopIfGoingOnBatteries": "it ends on battery",
    "Principals/Principal/RunLevel": "it runs without an administrator's rights, which the portproxy needs",
    "Triggers/BootTrigger/Enabled": "it does not start with Windows",
    "Triggers/BootTrigger/Delay": "it does not start with Windows",
}
"""Element of the task that differs → what that means; where it is not here, the element itself is told."""

OWNED = re.compile(r"Principals/Principal/UserId: (S-1-5-|SYSTEM\b|NT AUTHORITY\\SYSTEM\b)", re.IGNORECASE)
"""Another account's task, which failures 4 and 5 tell."""

BATCH_DENIED = 0x80070569

TIMERS = (("general", "instanceIdleTimeout"), ("wsl2", "vmIdleTimeout"))


def idle(case: Case) -> Failure | None:
    """2. The instance ends 15 s after its last client, the VM 60 s later (WSL issues 8654, 8854, 9968).

    systemd's services do not count as clients.
    """
    if case.distribution is None:
        return None
    timers = [name for section, name in TIMERS if not _never(case.setting(section, name))]
    kept = bool(case.section("keeper").get("xml")) and bool(case.section("keeper").get("enabled"))
    if not timers or (kept and case.running is not False):
        return None
    stopped = "is stopped" if case.running is False else "runs only as long as somebody uses it"
    found = f"{case.name} {stopped}; .wslconfig lacks {' and '.join(f'{name}=-1' for name in timers)}"
    if not kept:
        found += ", and there is no keeper"
    meaning = "WSL stops a distribution 15 s after its last shell, whatever services run in it, and the virtual machine a minute later."
    fix = f"{case.site('win_wslconfig', 'win_keeper')} sets the timers and installs the keeper."
    actions = case.planned("wslconfig", "file_write") + case.planned("keeper")
    return Failure(2, NAMES[2], DISTRIBUTION, found, meaning, fix, (*actions, start()) if kept or actions else ())


def session(case: Case) -> Failure | None:
    """3. WSL ends with the Windows session of whoever started it first; session 0 never ends (WSL's LxssUserSessionFactory.cpp)."""
    # The doctor's own questions at the PC start WSL too.
    symptoms, keeper = case.section("symptoms"), case.section("keeper")
    found = ""
    ours = case.running is False and symptoms.get("session") == case.section("machine").get("user", {}).get("session")
    if symptoms.get("session") and not ours:
        found = f"WSL was started from Windows session {symptoms['session']}, by somebody at the PC"
    elif case.running is False and symptoms.get("logoff") and symptoms["logoff"] > (keeper.get("last_run") or ""):
        found = f"{case.name} is stopped, and somebody logged off at {symptoms['logoff']}, after the keeper last ran"
    if not found:
        return None
    fix = f"`wsl --shutdown` on the PC, then `Start-ScheduledTask {TASK}`: session 0, which never logs off, must be the first to start it."
    meaning = "When that person logs off, Windows ends WSL and everything in it, services and runs too."
    actions = (Action("wsl_shutdown", says="shut WSL down"), start())
    return Failure(3, NAMES[3], DISTRIBUTION, found, meaning, fix, actions, "FAIL" if case.running is False else "WARN")


def keeper(case: Case) -> Failure | None:
    """25. Defaults of scheduled tasks: ended after 72 hours, not on battery, no right to start (WSL issue 8835)."""
    section = case.section("keeper")
    if not section or case.distribution is None or case.variables.get("win_keeper_enabled") is False:
        return None
    wrong = list(dict.fromkeys(_wrong(case))) if section["xml"] else ["there is no task " + TASK]
    if not wrong:
        return None
    meaning = "The keeper starts WSL with Windows, keeps it up, and lets the portproxy follow its address."
    fix = f"{case.site('win_keeper')} registers it as it must be; `Start-ScheduledTask {TASK}` starts it."
    actions: tuple[Action, ...] = case.planned("keeper")
    if section["result"] is not None and section["result"] & 0xFFFFFFFF == BATCH_DENIED:
        right = {"right": "SeBatchLogonRight", "sid": case.section("machine")["user"]["sid"]}
        actions = (Action("logon_right_grant", right, "let the keeper's user log on as a batch job"), *actions)
    started = (start(),) if actions or section["xml"] else ()
    dead = case.running is False or not section["xml"] or not section["enabled"]
    return Failure(
        25, NAMES[25], KEEPER, "; ".join(wrong), meaning, fix, (*actions, *started), "FAIL" if dead else "WARN"
    )


def start() -> Action:
    """Start the keeper."""
    return Action("task_start", {"name": TASK}, "start the keeper")


def _wrong(case: Case) -> Iterator[str]:
    section = case.section("keeper")
    if not section["enabled"]:
        yield DEFINED["Settings/Enabled"]
    if case.section("machine"):
        yield from filter(None, map(_meant, _differences(case)))
        yield from _files(case)
    if section["state"] == "running":
        return
    code = None if section["result"] is None else section["result"] & 0xFFFFFFFF
    if code is not None and code not in WELL and not (code in OF_WSL and case.facts.problem):
        meaning = f" ({RESULTS[code]})" if code in RESULTS else ""
        said = f"; its log ends with {section['log'][-1].strip()}" if section["log"] else ""
        yield f"its last run ended with {code if code in OWN else f'0x{code:08X}'}{meaning}{said}"
    elif section["enabled"] and code in WELL and _late(case):
        yield f"it does not run, and was last started {section['last_run'] or 'never'}"


def _differences(case: Case) -> list[str]:
    try:
        wanted = topics.wanted("keeper", case.variables)
    except ConfigError:  # the playbook tells it
        return []
    return topic.differences(case.state["keeper"], case.state["machine"], wanted)


def _meant(difference: str) -> str:
    """What a difference of the definition means; empty where another failure tells it."""
    path, _, values = difference.partition(": ")
    there = values.partition(", wanted ")[0]
    if OWNED.match(difference):
        return ""
    if path == "Settings/ExecutionTimeLimit":
        return f"Windows ends it after {'72 hours' if there in ('missing', 'PT72H') else there}"
    if path == "Principals/Principal/LogonType" and there == "InteractiveToken":
        return "it runs only while its user is logged on"
    return DEFINED.get(path, difference)


def _files(case: Case) -> Iterator[str]:
    """Its script and settings, and who may change them."""
    plan = case.decided("keeper")
    yield from (refusal.text for refusal in plan.refusals if not refusal.key)
    for action in plan.actions:
        if action.kind not in ("file_write", "acl_set"):
            continue
        path = action.parameters["path"]
        if action.kind == "file_write":
            yield f"{path} is {'not that of this gpurig' if action.parameters['before'] else 'not there'}"
        elif not action.before.endswith(": new"):
            yield f"others than administrators may change {path}"


def _late(case: Case) -> bool:
    machine, last = case.section("machine"), case.section("keeper")["last_run"]
    if not machine:
        return False
    return last is None or datetime.fromisoformat(machine["now"]) - datetime.fromisoformat(last) > LATE


def _never(value: str | None) -> bool:
    return bool(re.fullmatch(r"-\d+", (value or "").strip()))
