"""The way from the laptop to CUDA in WSL, step by step from outside in, judged from what was read and seen. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from gpurig import drivers
from gpurig.doctor import Finding, Level
from gpurig.errors import RigError
from gpurig.windows import failures, front, guard, recording, wire
from gpurig.windows.failures import case as steps
from gpurig.windows.failures import network
from gpurig.windows.failures.case import STEPS, Case, Failure

VERSION_OF_WSL = 2
INSTALLED = 1
SAID = re.compile(r"CUDA Version:\s*([0-9.]+)")

Told = front.Told

BEFORE_LOGIN, BEFORE_GUEST = STEPS[: STEPS.index(steps.SSHD)], STEPS[: STEPS.index(steps.GUEST)]
"""Steps that are known before anybody logs in to Windows, and to the Linux inside."""


def findings(case: Case, only: Sequence[str] | None = None) -> Iterator[Finding]:
    """One line for each step that can be judged, and below it what explains that it is broken. only: these steps."""
    found = failures.detect(case)
    yield from unread(case)
    for step in STEPS if only is None else only:
        here = [failure for failure in found if failure.at == step]
        told = _STEPS[step](case)
        if told is None and not here:
            continue
        level, text, advice = told or ("OK", "see below", "")
        if level == "OK" and (worse := [one.name for one in here if one.level != "OK"]):
            text = "; ".join(worse)  # what is well here says nothing beside what is not
        # Of the way to Windows no failure says it all.
        kept = advice if step in (steps.REACHABLE, steps.SSHD) or not here else ""
        yield Finding(_gravest([level, *(one.level for one in here)]), step, text, kept)
        yield from map(explained, [replace(one, actions=()) for one in here] if case.pinned else here)


def explained(failure: Failure) -> Finding:
    """A failure as a line of the doctor's."""
    mended = " `--fix` does it." if failure.actions else ""
    return Finding(
        failure.level,
        f"{failure.at}: failure {failure.number}, {failure.name}",
        f"{failure.found}. {failure.meaning}",
        f"{failure.fix}{mended}",
    )


def unread(case: Case) -> Iterator[Finding]:
    """Sections of the state that PowerShell could not read."""
    every: dict[str, dict[str, dict[str, str]]] = dict(case.state)  # type: ignore[arg-type]  # a section may be an error
    for name, section in every.items():
        if section and "error" in section:
            problem = section["error"]
            advice = f"Log in as an administrator of the PC, as the entry of {case.host} names one."
            if problem["id"] == recording.SPOILT:
                advice = "It was changed after it was written, or another version of gpurig wrote it."
            yield Finding(
                "WARN", f"state: {name}", f"could not be read: {problem['message']} ({problem['hresult']})", advice
            )


def _gravest(levels: Sequence[Level]) -> Level:
    return "FAIL" if "FAIL" in levels else "WARN" if "WARN" in levels else "OK"


def _wsl(case: Case) -> Told | None:
    wsl = case.section("wsl")
    if not wsl:
        return None
    if wsl["path"] is None:
        return "FAIL", "WSL is not installed", f"{case.site('win_wsl')} installs it."
    return "OK", f"version {case.version_said or wsl['msi_version'] or 'unknown'}", ""


def _distribution(case: Case) -> Told | None:
    if not case.section("wsl") or case.section("wsl")["path"] is None:
        return None
    found, facts = case.distribution, case.facts
    if found is None:
        return "FAIL", f"{case.name} is not installed for this user", f"{case.site('win_distribution')} installs it."
    if found["wsl"] != VERSION_OF_WSL:
        return "FAIL", f"{case.name} runs as WSL 1, which has no GPU", f"`wsl --set-version {case.name} 2` on the PC."
    if found["state"] != INSTALLED:
        advice = f"{case.site('win_distribution')} says what can be done."
        return "FAIL", f"the installation of {case.name} did not end", advice
    if facts.problem:
        return "FAIL", facts.problem, "`wsl --shutdown` on the PC, and look again; then restart Windows."
    if facts.systemd not in ("running", "degraded", "starting", None):
        advice = f"{case.site('win_linux')} writes systemd=true into wsl.conf."
        return "FAIL", f"{case.name} runs without systemd ({facts.systemd})", advice
    stopped = ", started by this question" if case.running is False else ""
    return "OK", f"{case.name} ({facts.os_id} {facts.os_version}), systemd {facts.systemd}{stopped}", ""


def _address(case: Case) -> Told | None:
    facts = case.facts
    if facts.problem:
        return None
    mode = facts.networking_mode or ("mirrored" if case.mirrored else "nat")
    return ("OK", f"{facts.address}, {mode}", "") if facts.address else ("FAIL", "none", "")


def _portproxy(case: Case) -> Told | None:
    if not case.section("network") or case.mirrored:
        return None
    there = network.entries(case)
    missing = [port for port in case.opened if not any(one.endswith(f"/{port}") for one in there)]
    if missing:
        advice = f"{case.site('win_network')} makes it."
        if case.facts.networking_mode not in (None, "nat"):
            advice = f"It leads nowhere while WSL runs with {case.facts.networking_mode}: see settings below."
        return "FAIL", f"no entry for port {', '.join(map(str, missing))}", advice
    if not there:
        return None
    return "OK", ", ".join(f"{listen} → {connect}" for listen, connect in sorted(there.items())), ""


def _listener(case: Case) -> Told | None:
    if not case.section("network") or case.mirrored or not network.entries(case):
        return None
    ports = sorted(listen.rpartition("/")[2] for listen in network.entries(case))
    return "OK", f"Windows listens at {', '.join(ports)}", ""


def _firewall(case: Case) -> Told | None:
    rules = case.section("network").get("firewall_rules")
    if rules is None:
        return None
    ours = [rule for rule in rules if rule["group"] == "gpurig" and rule["enabled"]]
    told = "; ".join(f"{', '.join(map(str, rule['ports']))} from {', '.join(rule['remote'])}" for rule in ours)
    with suppress(RigError):  # of a recording with variables that mean nothing
        if wide := guard.wide(case.state, case.variables):
            return "WARN", "; ".join(wide), guard.HOW
    if differing := [one.says for topic in ("network", "rdp") for one in case.planned(topic, *guard.KINDS)]:
        return "WARN", f"not as wanted: {'; '.join(differing)}", f"{case.site('win_network', 'win_rdp')} puts it right."
    return "OK", told or "no rule of ours", ""


def _guest(case: Case) -> Told | None:
    said, facts = case.link.guest, case.facts
    if case.section("wsl") and case.distribution is None:
        return None
    if said and facts.systemd == "starting":
        return "WARN", f"{case.name} is still starting", "Look again in a minute."
    if said and network.listens_inside(case):
        advice = "The sshd inside listens: what is broken on the way to it stands above, or in what ssh says."
        return "FAIL", said, advice
    if said:
        return "FAIL", said, f"{case.site('win_linux', 'sshd')} sets it up."
    if said is None and facts.problem:
        return None
    if said is None and not network.listens_inside(case):
        return (
            "FAIL",
            f"nothing listens for us on port {case.port} inside",
            f"{case.site('win_linux', 'sshd')} sets it up.",
        )
    if facts.password_login:
        return "WARN", "takes passwords, which anybody may guess", f"{case.site('sshd')} switches them off."
    return "OK", "the host key is the pinned one; keys only" if said == "" else f"listens on port {case.port}", ""


def _gpu(case: Case) -> Told | None:
    facts, windows = case.facts, case.section("gpu")
    if facts.problem or not case.gpu:
        return None
    if facts.nvidia_smi_code == 0:
        cards = [line.split(",")[0].strip() for line in wire.text_of(windows.get("smi")).splitlines() if line.strip()]
        return "OK", f"{', '.join(cards) or 'there'}; {facts.nvidia_smi_path} answers", ""
    if windows and not windows.get("system"):
        known = [one["name"] for one in windows["adapters"]]
        if not any("nvidia" in name.lower() for name in known):
            return "WARN", f"Windows shows no NVIDIA GPU, but {', '.join(known) or 'none'}", ""
        return "FAIL", "Windows has no NVIDIA driver", "Install NVIDIA's driver on Windows; never one inside WSL."
    return "FAIL", "nvidia-smi inside WSL does not answer", "Update NVIDIA's driver on Windows, then `wsl --shutdown`."


def _cuda(case: Case) -> Told | None:
    facts = case.facts
    if facts.problem or facts.nvidia_smi_code != 0:
        return None
    known = SAID.search(facts.nvidia_smi_out or "")
    toolkit = str(case.variables.get("cuda_toolkit_version") or "")
    advice = "Update NVIDIA's driver on Windows, then `wsl --shutdown` there."
    if known and toolkit and drivers.parts(known[1])[0] < drivers.parts(toolkit)[0]:
        return "FAIL", f"the driver knows CUDA {known[1]}, the toolkit is {toolkit}", advice
    if case.link.cuda not in (None, "0"):
        return "FAIL", f"libcuda says {case.link.cuda}", advice
    works = "; libcuda starts" if case.link.cuda == "0" else ""
    return "OK", f"the driver knows CUDA {known[1] if known else 'of an unknown version'}{works}", ""


def _keeper(case: Case) -> Told | None:
    keeper = case.section("keeper")
    if not keeper or not keeper["xml"]:
        return None
    said = f"; its log ends with {keeper['log'][-1].strip()}" if keeper["log"] and keeper["state"] != "running" else ""
    return "OK", f"its task is {keeper['state']}, last run {keeper['last_run'] or 'never'}{said}", ""


def _settings(case: Case) -> Told | None:
    return ("OK", f"{case.section('wsl')['config_path']}: all in force", "") if case.config else None


def _room(case: Case) -> Told | None:
    free = case.facts.disk_free_bytes
    return None if free is None else ("OK", f"{case.name} has {free / 10**9:.0f} GB free", "")


_STEPS: dict[str, Callable[[Case], Told | None]] = {
    steps.REACHABLE: front.reachable,
    steps.SSHD: front.sshd,
    steps.WSL: _wsl,
    steps.DISTRIBUTION: _distribution,
    steps.ADDRESS: _address,
    steps.PORTPROXY: _portproxy,
    steps.LISTENER: _listener,
    steps.FIREWALL: _firewall,
    steps.GUEST: _guest,
    steps.GPU: _gpu,
    steps.CUDA: _cuda,
    steps.KEEPER: _keeper,
    steps.SETTINGS: _settings,
    steps.ROOM: _room,
}
