"""Failures of the Linux inside: clock, sshd, systemd, Docker."""

from __future__ import annotations

from datetime import datetime

from gpurig.windows import inside
from gpurig.windows.failures.case import DISTRIBUTION, GUEST, SETTINGS, Case, Failure
from gpurig.windows.failures.names import NAMES
from gpurig.windows.failures.network import listens_inside

SKEW = 60
"""Seconds that the clock may differ; TLS and apt fail only with much more."""


def clock(case: Case) -> Failure | None:
    """17. After sleep the clock lags, before WSL 2.1.1 (WSL issue 10006)."""
    machine, asked, clock = case.section("machine"), case.section("inside"), case.facts.clock
    if not machine or clock is None:
        return None
    took = float((asked.get("facts") or {}).get("seconds") or 0)
    behind = datetime.fromisoformat(machine["now"]).timestamp() - clock
    if -SKEW - took <= behind <= SKEW:
        return None
    word = "behind" if behind > 0 else "ahead"
    found = f"the clock of {case.name} is {abs(behind):.0f} s {word}"
    woke = case.section("symptoms").get("woke")
    if woke:
        found += f"; the PC last woke from sleep at {woke}"
    meaning = "With a wrong clock certificates look expired and apt refuses its lists. WSL before 2.1.1 forgot the time in sleep."
    fix = f"`rig connect {case.host} -- sudo hwclock -s`; {case.site('win_wsl')} installs a WSL that keeps it right."
    actions = (inside.run(case.name, "clock", says=f"set the clock of {case.name} by Windows'"),)
    return Failure(17, NAMES[17], DISTRIBUTION, found, meaning, fix, actions)


def sshd(case: Case) -> Failure | None:
    """19. ssh.socket holds the port, no host keys, a wrong configuration (systemd issue 36795, WSL issue 8853)."""
    facts = case.facts
    if facts.problem or facts.systemd == "starting" or listens_inside(case):
        return None
    if facts.sshd_installed is False:
        found, why = "no sshd is installed", ""
    elif facts.host_keys == ():
        found, why = "it has no host keys", " Ubuntu 22.04's image comes without; `ssh-keygen -A` makes them."
    elif facts.sshd_config_ok is False:
        found, why = f"its configuration is wrong: {facts.sshd_problem or 'sshd -t says so'}", ""
    elif facts.ssh_socket_active:
        found = "systemd's ssh.socket holds its place"
        why = " Its port is that of the socket, not of sshd_config."
    elif facts.sshd_active is False:
        found, why = "ssh.service does not run", " `journalctl -u ssh` there says why."
    elif any(one.endswith(f":{case.port}") for one in facts.sshd_ports or ()):
        found = f"it listens at {', '.join(facts.sshd_ports or ())} only, which no other machine reaches"
        meaning = f"With `reach: direct` whoever logs in comes to another address of {case.name} than 127.0.0.1."
        fix = (
            f"Take ListenAddress out of /etc/ssh/sshd_config and sshd_config.d there (`wsl -d {case.name} -u root` on the PC), then "
            f"`systemctl restart ssh`; or write `reach: jump` in the entry of {case.host}."
        )
        return Failure(19, NAMES[19], GUEST, found, meaning, fix)
    else:
        others = ", ".join(facts.sshd_ports or ()) or "nowhere"
        found, why = f"it listens at {others}, not on port {case.port}", ""
    meaning = f"The sshd of {case.name} must listen on port {case.port}; Windows has port 22.{why}"
    fix = f"{case.site('win_linux', 'sshd')} sets it up, through Windows."
    return Failure(19, NAMES[19], GUEST, found, meaning, fix, case.planned("linux", "inside_run"))


def degraded(case: Case) -> Failure | None:
    """26. Some unit of systemd failed (WSL issues 8853, 13826)."""
    if case.facts.systemd != "degraded":
        return None
    units = ", ".join(case.facts.failed_units or ()) or "unknown units"
    meaning = "Units that make no sense in WSL fail in many images, such as systemd-remount-fs; services of ours are looked at below."
    fix = f"`rig connect {case.host} -- systemctl --failed` shows them. Nothing needs to be done if what you use works."
    return Failure(26, NAMES[26], DISTRIBUTION, f"failed: {units}", meaning, fix, level="WARN")


def docker(case: Case) -> Failure | None:
    """32. autoMemoryReclaim=gradual takes cgroup v1 away, and Docker dies (WSL issue 10497)."""
    gradual = (case.setting("experimental", "autoMemoryReclaim") or "").lower() == "gradual"
    if case.facts.docker in (None, "", "active", "activating") or not gradual:
        return None
    found = f"docker.service is {case.facts.docker}, and .wslconfig has autoMemoryReclaim=gradual"
    meaning = "That setting leaves Docker without the control groups that it needs, and can hang systemd."
    fix = f"{case.site('win_wslconfig')} writes autoMemoryReclaim=dropCache and restarts WSL once nobody works in it."
    actions = case.planned("wslconfig")
    return Failure(32, NAMES[32], SETTINGS, found, meaning, fix, actions)
