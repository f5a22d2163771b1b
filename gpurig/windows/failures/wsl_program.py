"""Failures of WSL itself: its program, its user, virtualisation, its installation and updates."""

from __future__ import annotations

from typing import cast

from gpurig.windows import packages
from gpurig.windows.actions import Action
from gpurig.windows.failures.case import DISTRIBUTION, WSL, Case, Failure, version
from gpurig.windows.failures.names import NAMES
from gpurig.windows.failures.starting import start
from gpurig.windows.state import MachineSection
from gpurig.windows.topics.wsl import BROKEN, INBOX, PLATFORM, SERVICE, WINDOWS_11

OLDEST = (2, 2, 4)
"""The first WSL whose own wsl.exe works where nobody is logged on (WSL issue 11627)."""

SYSTEM = "S-1-5-18"
VIRTUAL_MACHINES = "S-1-5-83-0"
"""NT VIRTUAL MACHINE\\Virtual Machines: the account as which WSL's VM runs."""

CANNOT_ACCESS = ("0x80070780", "ERROR_CANT_ACCESS_FILE")
NO_HYPERVISOR = ("0x80370102", "HCS_E_HYPERV_NOT_INSTALLED", "WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED")
NO_RIGHT = ("0x80070569", "ERROR_LOGON_TYPE_NOT_GRANTED")


def stub(case: Case) -> Failure | None:
    """1. System32's wsl.exe is a stub of the Store's and fails in session 0 (WSL issues 9231, 11627)."""
    wsl = case.section("wsl")
    if not wsl:
        return None
    found = ""
    if wsl["path"] is None and wsl["stub"]:
        found = "only C:\\Windows\\System32\\wsl.exe is there, which is a stub"
    elif (old := version(wsl["msi_version"])) and old < OLDEST:
        found = f"WSL {wsl['msi_version']} is older than {'.'.join(map(str, OLDEST))}"
    elif code := case.says(*CANNOT_ACCESS):
        found = f"WSL says {code}"
    if not found:
        return None
    meaning = (
        "The stub says “The file cannot be accessed by the system” wherever nobody is logged on: over SSH and in tasks."
    )
    return Failure(1, NAMES[1], WSL, found, meaning, _again(case))


def other_user(case: Case) -> Failure | None:
    """4. Distributions and .wslconfig belong to one Windows user (Microsoft's troubleshooting page)."""
    wsl, machine = case.section("wsl"), case.section("machine")
    if not wsl or not machine or wsl["path"] is None:
        return None
    user, owner = machine["user"], case.task("UserId")
    others = [name for name in machine["owners"] if name.lower() != user["name"].lower()]
    theirs = [sid for sid, names in (wsl.get("elsewhere") or {}).items() if case.name in names]
    found = ""
    if case.distribution is None and theirs:
        found = f"{case.name} belongs to another user of this PC ({theirs[0]}), not to {user['name']}"
    elif case.distribution is None and user["sid"].endswith("-500"):
        found = f"we are logged in as the built-in Administrator ({user['name']}), who has no {case.name}"
    elif case.distribution is None and others:
        found = f"{user['name']} has no {case.name}; other people on this PC: {', '.join(others)}"
    elif owner and owner.startswith("S-1-5-21-") and owner != user["sid"]:
        found = f"the keeper's task belongs to another user ({owner}) than the one who logs in ({user['sid']})"
    if not found:
        return None
    meaning = "Each Windows user has own distributions and an own .wslconfig; nobody sees those of another."
    fix = f"Write the owner of the distribution as `user` in the entry of {case.host}, run its bootstrap script as that user, or let {case.site()} install it for this one."
    return Failure(4, NAMES[4], DISTRIBUTION, found, meaning, fix)


def as_system(case: Case) -> Failure | None:
    """5. WSL refuses LocalSystem (WSL's LxssUserSessionFactory.cpp)."""
    machine, owner = case.section("machine"), case.task("UserId") or ""
    found = ""
    if owner.upper() in (SYSTEM, "SYSTEM", "NT AUTHORITY\\SYSTEM"):
        found = "the keeper's task runs as SYSTEM"
    elif machine and machine["user"]["sid"] == SYSTEM:
        found = "we are logged in as SYSTEM"
    elif case.says("WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED"):
        found = "WSL says WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED"
    if not found:
        return None
    fix = f"{case.site('win_keeper')} makes the task run as the user who owns the distribution."
    actions = (*case.planned("keeper"), Action("task_start", {"name": "\\gpurig\\keeper"}, says="start the keeper"))
    meaning = "WSL never runs for SYSTEM: distributions belong to people."
    return Failure(5, NAMES[5], WSL, found, meaning, fix, actions if case.planned("keeper") else ())


def no_virtualization(case: Case) -> Failure | None:
    """6. Virtualisation is off in the firmware, as a feature, or at boot (Microsoft's troubleshooting page)."""
    machine, features = case.section("machine"), case.section("features")
    if not machine or not features:
        return None
    meaning = "WSL2 is a virtual machine; without the hypervisor it cannot start."
    if machine["firmware_virtualization"] is False and not machine["hypervisor_present"]:
        fix = "Restart the PC into its firmware's settings (BIOS) and switch on Intel VT-x or AMD SVM, then run the playbook again."
        return Failure(6, NAMES[6], WSL, "virtualisation is switched off in the PC's firmware", meaning, fix)
    if machine["hypervisor_launch"] == "off":
        fix = "`bcdedit /set hypervisorlaunchtype auto` in an elevated PowerShell, then restart Windows."
        action = Action(
            "bcd_set", {"name": "hypervisorlaunchtype", "value": "auto"}, "let Windows start its hypervisor"
        )
        found = "Windows is told not to start its hypervisor (hypervisorlaunchtype off)"
        return Failure(6, NAMES[6], WSL, found, meaning, fix, (action,))
    platform = features["features"].get(PLATFORM)
    if platform != "enabled" and not case.says(*BROKEN):
        waits = PLATFORM in features["pending"]
        found = f"feature VirtualMachinePlatform is {'waiting for a restart of Windows' if waits else platform}"
        restart = (
            f"restart Windows, or let {case.site('win_wsl')} do it (`allow_reboot: true` in the entry of {case.host})"
        )
        fix = f"{restart[0].upper()}{restart[1:]}." if waits else f"{case.site('win_wsl')} enables it; then {restart}."
        return Failure(6, NAMES[6], WSL, found, meaning, fix, () if waits else (_enable(),))
    code = case.says(*NO_HYPERVISOR)
    if code and not _lacks_inbox(case):
        fix = f"Restart Windows; if that does not help, {case.site('win_preflight', 'win_wsl')} says what is missing."
        return Failure(6, NAMES[6], WSL, f"WSL says {code}", meaning, fix)
    return None


def bad_state(case: Case) -> Failure | None:
    """7. A Windows update disabled a feature or left WSL half there (Microsoft's troubleshooting page)."""
    features, wsl = case.section("features"), case.section("wsl")
    if not features or not wsl or wsl["path"] is None:
        return None
    code = case.says(*BROKEN)
    gone = SERVICE not in features["services"]
    lacks_inbox = _lacks_inbox(case)
    if not code and not gone and not lacks_inbox:
        return None
    off = features["features"].get(PLATFORM) != "enabled"
    found = f"WSL says {code}" if code else "WSL's service is not registered, though its program is there"
    if lacks_inbox:
        found = f"feature {INBOX} is not enabled, which Windows 10 needs"
    fix = _again(case)
    meaning = "After a Windows update a feature that WSL needs may be off, or WSL's own service not registered."
    actions = (*((_enable(),) if off else ()), *((_enable(INBOX),) if lacks_inbox else ()))
    return Failure(7, NAMES[7], WSL, found, meaning, fix, actions)


def no_logon_right(case: Case) -> Failure | None:
    """8. WSL's VM may not log on as a service (WSL issues 5401, 13420)."""
    code = case.says(*NO_RIGHT)
    if code is None:
        return None
    meaning = "The account of virtual machines has lost its right to log on as a service, often by a group policy."
    fix = "`Restart-Service vmcompute` on the PC; if it comes back, the policy “Log on as a service” must name NT VIRTUAL MACHINE\\Virtual Machines."
    actions = (
        Action(
            "logon_right_grant",
            {"right": "SeServiceLogonRight", "sid": VIRTUAL_MACHINES},
            "let virtual machines log on as a service",
        ),
        Action("service_restart", {"name": "vmcompute"}, "restart Windows' service for virtual machines"),
        start(),
    )
    return Failure(8, NAMES[8], WSL, f"WSL says {code}", meaning, fix, actions)


def no_source(case: Case) -> Failure | None:
    """9. WSL or the distribution cannot be fetched: the Store, a proxy or a policy is in the way (WSL issues 41412, 9476)."""
    answers = case.section("symptoms").get("answers") or {}
    refused = {url: answer for url, answer in answers.items() if not str(answer).startswith(("2", "3"))}
    code = case.says("0x80240066", "0x80072ee7", "0x80072efd", "0x80190193", "0x801901")
    if not refused and not code:
        return None
    url, answer = next(iter(refused.items()), ("the Store", code))
    meaning = (
        "What is to be installed cannot be fetched by the PC; the Store does not work at all where nobody is logged on."
    )
    fix = (
        f"Fetch the file elsewhere, copy it to the PC, and write in the entry of {case.host} where it lies there: `wsl: "
        f"{_file_at_the_pc(case)}`; its SHA-256 is still checked."
    )
    at = WSL if case.section("wsl").get("path") is None else DISTRIBUTION
    return Failure(9, NAMES[9], at, f"{url} answers the PC with {answer}", meaning, fix)


def updated(case: Case) -> Failure | None:
    """10. An update of WSL stopped it, or did not finish (WSL issues 12204, 12700, 13138, 41394)."""
    wsl, features = case.section("wsl"), case.section("features")
    if not wsl or not features or wsl["path"] is None or "WSLService" not in features["services"]:
        return None
    service = features["services"]["WSLService"]
    spoken = version(case.version_said)
    found = ""
    if service["state"] != "running" and not case.running:
        found = f"WSL's service is {service['state']}"
    elif spoken and version(wsl["msi_version"]) and spoken[:3] != version(wsl["msi_version"])[:3]:
        found = f"WSL {wsl['msi_version']} is installed, but {case.version_said} runs"
    elif code := case.says("0x80070652", "0x80070643"):
        found = f"the update says {code}"
    if not found:
        return None
    meaning = "Windows or the Store updates WSL without asking, which ends all that runs in it; now and then that does not finish."
    fix = "`Start-Service WSLService; Start-ScheduledTask \\gpurig\\keeper` on the PC; if that does not help, restart Windows."
    actions = (
        Action(
            "service_set",
            {"name": "WSLService", "start": "auto", "running": True},
            "start WSL's service, now and always",
        ),
        Action("task_start", {"name": "\\gpurig\\keeper"}, "start the keeper"),
    )
    stopped = service["state"] != "running"
    return Failure(10, NAMES[10], WSL, found, meaning, fix, actions if stopped else ())


def _again(case: Case) -> str:
    """How WSL comes to be installed, or installed again: what the role would do about it now."""
    command, plan = case.site("win_wsl"), case.decided("wsl")
    if plan.refusals:
        said = "; ".join(f"{one.key + ': ' if one.key else ''}{one.text.rstrip('.')}" for one in plan.refusals)
        return f"{command} mends it, once this is settled in the entry of {case.host}: {said}."
    if any(action.kind == "msi_install" for action in plan.actions):
        return f"{command} installs WSL from its MSI; then restart Windows if it still does not start."
    if any(action.kind == "feature_enable" for action in plan.actions) or plan.reboot:
        return f"{command} enables the feature; then restart Windows, and look again."
    pinned = packages.msi(cast("MachineSection", case.section("machine")))[1].url if case.section("machine") else ""
    path = packages.File(str(case.variables.get("win_wsl_msi_url") or pinned or "wsl.msi"), "").path
    return (
        "Restart Windows. If that does not help, have WSL's package repaired in an elevated PowerShell on the PC, which leaves "
        f"distributions as they are: `msiexec /i {path} REINSTALL=ALL REINSTALLMODE=vamus`."
    )


def _file_at_the_pc(case: Case) -> str:
    """What is missing, as it is written in the host's entry."""
    if not case.section("machine"):
        return "{msi: {version: …, url: 'C:\\…', sha256: …}}"
    machine = cast("MachineSection", case.section("machine"))
    if case.section("wsl").get("path") is None:
        release, file = packages.msi(machine)
        return f"{{msi: {{version: {release}, url: 'C:\\wsl.msi', sha256: {file.sha256}}}}}"
    pinned = packages.distribution(case.name, machine)
    digest = pinned.sha256 if pinned else "…"
    return f"{{distribution: {{name: {case.name}, url: 'C:\\{case.name}.wsl', sha256: {digest}}}}}"


def _lacks_inbox(case: Case) -> bool:
    """Windows 10 needs a second feature."""
    old = case.section("machine").get("build", WINDOWS_11) < WINDOWS_11
    return bool(old and case.section("features")["features"].get(INBOX) != "enabled")


def _enable(name: str = PLATFORM) -> Action:
    return Action("feature_enable", {"name": name}, f"enable {name} (needs a restart)")
