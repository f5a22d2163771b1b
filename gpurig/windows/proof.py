"""What a user checks by hand after following a guide to WSL2, judged from the PC's state: the Windows half of `rig verify`.

The Linux half (PyTorch, environments, services) is checked by the same files as on any host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from gpurig import drivers
from gpurig.health import layers
from gpurig.health.finding import Finding
from gpurig.windows import front, guard, inside, topics
from gpurig.windows.failures import Case
from gpurig.windows.failures.network import listens_inside
from gpurig.windows.inside import Facts
from gpurig.windows.plan import Plan
from gpurig.windows.state import State
from gpurig.windows.topics.distribution import named

AT_START = timedelta(minutes=10)
"""Within which WSL must be up after Windows started; the keeper looks every two minutes."""

WHY = "`rig doctor` says why."

RUNNING = 0x41301
"""LastTaskResult of a task that goes on (SCHED_S_TASK_RUNNING)."""

CUDA = re.compile(r"CUDA Version:\s*([0-9.]+)")


def judge(state: State, variables: Mapping[str, Any], *, gpu: bool, toolkit: str) -> Iterator[Finding]:
    """The seven points that Windows or WSL answer for.

    variables: the host's own, win_*. gpu: one is expected. toolkit: the CUDA toolkit's version in WSL, empty without one.
    """
    unread = {
        name: section["error"] for name, section in state.items() if isinstance(section, dict) and "error" in section
    }
    if unread:
        reason = "; ".join(f"{name}: {error['message']}" for name, error in unread.items())
        yield Finding(
            name="state of the PC",
            verdict="FAIL",
            value="not all could be read",
            reason=reason,
            advice="`rig doctor` says more.",
        )
        return
    facts = inside.facts(state.get("inside"))
    yield _wsl2(state, facts, str(variables.get("win_distribution_name", "")))
    case = Case(state, variables)
    yield _sshd(case, facts)
    if variables.get("win_keeper_enabled") is False:
        reason = "win_keeper_enabled is false: WSL starts when somebody uses it, not with Windows."
        yield Finding(name="survives a restart", verdict="SKIP", reason=reason)
    else:
        yield _restart(state, topics.decide("keeper", state, variables))
    plan = topics.decide("network", state, variables)
    yield _planned(
        "portproxy is current", plan, ("portproxy_set", "portproxy_delete", "service_set", "service_restart"),
        expected="every entry of ours points at WSL's present address", tag="win_network",
        besides=_leading_nowhere(case, facts),
    )  # fmt: skip
    yield _firewall(state, variables, plan)
    yield _smi(facts, gpu=gpu)
    yield _toolkit(facts, toolkit)


def _wsl2(state: State, facts: Facts, name: str) -> Finding:
    what: dict[str, Any] = {"name": "WSL2 with systemd", "expected": f"{name} as WSL 2, systemd running"}
    advice = "Run `ansible-playbook playbooks/site.yml`; `rig doctor` says more."
    found = named(state, name)
    if found is None:
        return Finding(
            **what, verdict="FAIL", value="not there", reason=f"{name} is not installed for this user.", advice=advice
        )
    value = f"WSL {found['wsl']}, systemd {facts.systemd or facts.problem or 'unknown'}"
    if found["wsl"] != 2 or facts.systemd not in ("running", "degraded"):  # noqa: PLR2004 (of WSL)
        return Finding(**what, verdict="FAIL", value=value, reason="Services cannot run there.", advice=advice)
    if facts.systemd == "degraded":
        failed = ", ".join(facts.failed_units or ()) or "unknown units"
        reason = f"Failed there: {failed}. Some always fail in WSL and do no harm."
        return Finding(
            **what, verdict="WARN", value=value, reason=reason, advice="`systemctl --failed` inside shows them."
        )
    return Finding(**what, verdict="PASS", value=value)


def _sshd(case: Case, facts: Facts) -> Finding:
    what: dict[str, Any] = {"name": "sshd in WSL", "expected": f"listens on {case.port}, keys only"}
    listens = listens_inside(case)
    value = f"{'listens on' if listens else 'nothing for us on'} {case.port}, passwords {'taken' if facts.password_login else 'refused'}"
    if listens and facts.password_login is False:
        if not front.takes_passwords(case.state.get("sshd") or {}):
            return Finding(**what, verdict="PASS", value=value)
        reason = "Windows' own sshd takes passwords, which anybody may guess."
        return Finding(**what, verdict="FAIL", value=value, reason=reason, advice=WHY)
    reason = (
        "Anybody may guess passwords."
        if listens
        else facts.sshd_problem or "sshd does not run, or on another port, or only for the Linux itself."
    )
    return Finding(
        **what, verdict="FAIL", value=value, reason=reason, advice="site.yml with --tags win_linux,sshd sets it up."
    )


def _restart(state: State, plan: Plan) -> Finding:
    what: dict[str, Any] = {
        "name": "survives a restart",
        "expected": f"WSL up within {AT_START.seconds // 60} minutes of Windows, nobody logged on",
    }
    keeper, machine, wsl = state["keeper"], state["machine"], state["wsl"]
    if plan.refusals or plan.actions:
        wrong = "; ".join([*(one.text for one in plan.refusals), *(one.says for one in plan.actions)])
        advice = "site.yml with --tags win_keeper sets it up."
        return Finding(
            **what, verdict="FAIL", value="the keeper is not as wanted", reason=f"To do: {wrong}.", advice=advice
        )
    if keeper["result"] not in (0, RUNNING):
        value = f"the keeper ended with {keeper['result']}"
        return Finding(**what, verdict="FAIL", value=value, reason="So nothing starts WSL.", advice=WHY)
    booted = _time(machine["boot_time"])
    ups = sorted(map(_time, keeper["ups"]))
    if not any(time < booted for time in (*ups, *filter(None, map(_told, keeper["log"])))):
        reason = "The keeper's log knows of no start of Windows. Restart it once, and verify again."
        return Finding(**what, verdict="SKIP", value=f"Windows since {booted:%Y-%m-%d %H:%M} UTC", reason=reason)
    up = next((time for time in ups if time >= booted), None)
    if up is None or wsl["vm_started"] is None:
        reason = "The keeper did not bring it up since Windows started."
        return Finding(**what, verdict="FAIL", value="WSL does not run", reason=reason, advice=WHY)
    value = f"the keeper had WSL up {(up - booted).total_seconds():.0f} s after Windows started"
    if up - booted <= AT_START:
        return Finding(**what, verdict="PASS", value=value)
    reason = "Until then nobody reached the host."
    return Finding(
        **what, verdict="WARN", value=value, reason=reason, advice="C:\\ProgramData\\gpurig\\keeper.log says why."
    )


def _firewall(state: State, variables: Mapping[str, Any], plan: Plan) -> Finding:
    """Our rules, those for Remote Desktop too, and that nobody else's make them worth less."""
    rdp = topics.decide("rdp", state, variables)
    every = Plan(actions=(*plan.actions, *rdp.actions), refusals=tuple(dict.fromkeys([*plan.refusals, *rdp.refusals])))
    judged = _planned(
        "firewall as declared", every, guard.KINDS,
        expected="our rules, each limited to its range", tag="win_network,win_rdp",
        besides="; ".join(guard.wide(state, variables)), how=guard.HOW,
    )  # fmt: skip
    shut = guard.shut(state, variables)
    if judged.verdict != "PASS" or not shut:
        return judged
    reason = "Our rules are there, but they do not decide."
    return replace(judged, verdict="WARN", value="; ".join(shut), reason=reason, advice="See what is named.")


def _leading_nowhere(case: Case, facts: Facts) -> str:
    """Why wanted entries of the portproxy cannot be made; empty where they can, or none is wanted."""
    if case.mirrored or not case.opened or (facts.address and facts.networking_mode in (None, "nat")):
        return ""
    ports = ", ".join(map(str, case.opened))
    if not facts.address:
        return f"port {ports}: WSL's address is not known ({facts.problem or 'it has none'})"
    return f"port {ports}: WSL runs with {facts.networking_mode}, to which no portproxy leads"


def _planned(
    name: str, plan: Plan, kinds: tuple[str, ...], *, expected: str, tag: str, besides: str = "", how: str = WHY
) -> Finding:
    """A point that is fulfilled where a plan has none of these actions left. besides: what no plan can put right; how: what can."""
    left = [action.says for action in plan.actions if action.kind in kinds] + [one.text for one in plan.refusals]
    if not left and not besides:
        return Finding(name=name, verdict="PASS", value="nothing to change", expected=expected)
    advice = " ".join([*([f"site.yml with --tags {tag} puts it right."] if left else []), *([how] if besides else [])])
    value = "; ".join([*left, *filter(None, [besides])])
    return Finding(name=name, verdict="FAIL", value=value, expected=expected, reason="The PC differs.", advice=advice)


def _smi(facts: Facts, *, gpu: bool) -> Finding:
    what: dict[str, Any] = {"name": "nvidia-smi in WSL", "expected": "answers"}
    if not gpu:
        return Finding(**what, verdict="SKIP", reason=layers.NO_GPU)
    if facts.nvidia_smi_code == 0:
        return Finding(**what, verdict="PASS", value=f"{facts.nvidia_smi_path}: CUDA {_cuda(facts) or 'unknown'}")
    value = "not there" if facts.nvidia_smi_path is None else f"ended with {facts.nvidia_smi_code}"
    advice = "Update Windows' NVIDIA driver, then `wsl --shutdown`; `rig doctor` knows the usual reasons."
    return Finding(**what, verdict="FAIL", value=value, reason="WSL does not see the GPU.", advice=advice)


def _toolkit(facts: Facts, toolkit: str) -> Finding:
    what: dict[str, Any] = {
        "name": "CUDA toolkit against driver",
        "source": "NVIDIA, CUDA compatibility: minor versions of one major",
    }
    if not toolkit:
        return Finding(**what, verdict="SKIP", reason="no toolkit is installed; PyTorch brings its own")
    cuda = _cuda(facts)
    if cuda is None:
        return Finding(**what, verdict="SKIP", value=toolkit, reason="the driver does not say which CUDA it knows")
    fits = drivers.parts(cuda)[0] >= drivers.parts(toolkit)[0]
    value, expected = f"toolkit {toolkit}, driver knows {cuda}", f"driver of CUDA {drivers.parts(toolkit)[0]} or later"
    if fits:
        return Finding(**what, verdict="PASS", value=value, expected=expected)
    advice = "Update Windows' NVIDIA driver, or ask for an older `cuda_toolkit`."
    return Finding(
        **what, verdict="FAIL", value=value, expected=expected, reason="Its programs do not start.", advice=advice
    )


def _cuda(facts: Facts) -> str | None:
    found = CUDA.search(facts.nvidia_smi_out or "")
    return found[1] if found else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _told(line: str) -> datetime | None:
    """When a line of the keeper's log was written; None where it is no such line."""
    try:
        return _time(json.loads(line)["time"])
    except (ValueError, TypeError, KeyError):
        return None
