"""Failures of starting WSL, and of keeping it up without anybody logged on."""

from __future__ import annotations

import re

from gpurig.windows.actions import Action
from gpurig.windows.failures.case import DISTRIBUTION, KEEPER, Case, Failure
from gpurig.windows.failures.names import NAMES

TASK = "\\gpurig\\keeper"

RESULTS = {
    0x80070569: "its user lacks the right to log on as a batch job",
    0x8007052E: "Windows does not accept the task's password",
    0x80070005: "access is denied",
    0x80070002: "its program is not there",
    0x41306: "it was ended",
}
"""LastTaskResult → what it means. That a second start was refused while it runs (0x800710E0) is as it shall be."""

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
    if not section or case.distribution is None:
        return None
    wrong = list(_wrong(case)) if section["xml"] else ["there is no task " + TASK]
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


def _wrong(case: Case) -> list[str]:
    section = case.section("keeper")
    wrong = []
    if not section["enabled"]:
        wrong.append("the task is disabled")
    if (limit := case.task("ExecutionTimeLimit")) != "PT0S":
        wrong.append(f"Windows ends it after {limit or '72 hours'}")
    if case.section("machine").get("battery"):
        elements = {"DisallowStartIfOnBatteries": "does not start", "StopIfGoingOnBatteries": "ends"}
        wrong += [f"it {what} on battery" for element, what in elements.items() if case.task(element) != "false"]
    if case.task("LogonType") == "InteractiveToken":
        wrong.append("it runs only while its user is logged on")
    if "<BootTrigger" not in section["xml"]:
        wrong.append("it does not start with Windows")
    code = None if section["result"] is None else section["result"] & 0xFFFFFFFF
    if code in RESULTS and section["state"] != "running":
        wrong.append(f"its last run ended with 0x{code:08X}: {RESULTS[code]}")
    if section["script"] is None:
        wrong.append("its script is not there")
    return wrong


def _never(value: str | None) -> bool:
    return bool(re.fullmatch(r"-\d+", (value or "").strip()))
