"""Services: run now and after each start, answer whoever has their token and nobody else, where they should and nowhere else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gpurig import probe, services
from gpurig.listeners import Listener
from gpurig.services import Header, Service
from gpurig.verification import Target

ROLE = "services"

FOLDER = "/etc/gpurig/services"
ENVIRONMENTS = "/opt/gpurig/environments"
KERNEL = Path(__file__).parent / "probes" / "kernel.py"

REFUSALS = (401, 403, 404)
SETTLED_SECONDS = 60
"""Whatever failed more than once and has run for less than that is not trusted to go on running."""

SILENT = "nothing answers at its port"


class State(NamedTuple):
    """What the init system says of a service. restarts: after failures, without a person's; seconds: since its last start."""

    running: str
    at_boot: bool
    restarts: int
    seconds: int


def test_runs(wanted: dict[str, Service], target: Target, host: Any, check: Any, fix: str) -> None:
    """Now, and after the next start of the host."""
    state = _systemd if target.capabilities.init == "systemd" else _supervisor
    for name in wanted:
        running, at_boot, restarts, seconds = state(host, name)
        loops = restarts > 1 and seconds < SETTLED_SECONDS
        check(
            f"{name}: runs",
            running in ("active", "RUNNING") and not loops,
            value=f"{running}, failed {restarts} times, last start {seconds} s ago" if loops else running,
            expected="running",
            reason="It was stopped, or it ends again and again.",
            advice=f"Read `rig connect {target.host.name} -- {_log_command(target, name)}`. {fix}",
        )
        check(
            f"{name}: starts with the host",
            at_boot,
            value="yes" if at_boot else "no",
            expected="yes",
            reason="After the next start it would be missing.",
            advice=fix,
        )


@pytest.mark.usefixtures("wanted")
def test_memory(target: Target, host: Any, check: Any, fix: str) -> None:
    """Without systemd, a listener of supervisor's ends whoever holds more than its limit."""
    if target.capabilities.init == "systemd":
        check.skip("memory limits", "systemd itself keeps services to them")
        return
    running = _supervisor(host, "memory").running
    check(
        "memory limits",
        running == "RUNNING",
        value=running,
        expected="RUNNING",
        reason="A service that grows takes the memory of all others.",
        advice=f"Read `rig connect {target.host.name} -- {_log_command(target, 'memory')}`. {fix}",
    )


def test_answers(wanted: dict[str, Service], target: Target, check: Any, fix: str) -> None:
    """Through SSH, as `rig open` does: with the token in every way that it may be shown, without it, and with a wrong one."""
    for name, service in wanted.items():
        if not service.listens:
            continue
        token = services.token(target.stack.dir, target.name, name)

        def answer(path: str, token: str, header: Header = "", port: int = service.port) -> probe.Answer:
            path = path.replace("{token}", token)
            return probe.get(target.stack, target.name, port, path, probe.shown(header, token))

        opened = answer(service.open, token)
        check(
            f"{name}: answers with its token",
            opened.status == 200 and opened.path == probe.path_of(service.open.replace("{token}", token)),
            value=opened,
            expected="HTTP 200",
            reason="`rig open` cannot show it.",
            advice=f"Read `rig services {target.host.name} --log {name}`. {fix}",
        )
        if not opened.status:
            check.skip(f"{name}: refuses without its token", SILENT)
            continue
        bare, wrong = answer(service.refuse, token=""), answer(service.open, token="wrong")
        let_in = wrong.status == 200 and wrong.path == probe.path_of(service.open.replace("{token}", "wrong"))
        if service.header:
            by_header = answer(service.refuse, token, service.header)
            check(
                f"{name}: answers programs that show its token",
                by_header.status == 200,
                value=by_header,
                expected="HTTP 200",
                reason=f"Programs log in by HTTP's Authorization ({service.header}).",
                advice=f"Read `rig services {target.host.name} --log {name}`. {fix}",
            )
            let_in = let_in or answer(service.refuse, "wrong", service.header).status not in REFUSALS
        check(
            f"{name}: refuses without its token",
            bare.status in REFUSALS and not let_in,
            value=f"without: {bare}; with a wrong one: {'let in' if let_in else 'refused'}",
            expected=f"HTTP {', '.join(map(str, REFUSALS))}",
            reason="Whoever gets onto this host, as any user, can use it, and what it runs runs as its user.",
            advice=fix,
        )


def test_addresses(
    wanted: dict[str, Service], sockets: Callable[[], frozenset[Listener]], check: Any, fix: str
) -> None:
    listening = sockets()
    for name, service in wanted.items():
        if not service.listens:
            continue
        found = sorted(socket for socket in listening if socket.protocol == "tcp" and socket.port == service.port)
        if not found:
            check.skip(f"{name}: on loopback only", SILENT)
            continue
        check(
            f"{name}: on loopback only",
            all(socket.on_loopback for socket in found),
            value=", ".join(map(str, found)),
            expected=f"127.0.0.1:{service.port}",
            reason="Whoever reaches this host can reach it, past SSH.",
            advice=fix,
        )


def test_secrets(wanted: dict[str, Service], target: Target, host: Any, check: Any, fix: str) -> None:
    """The token's file is root's alone, `ps` does not show it to every user, and the log has it not. Its own user can read it anyway."""
    shown = host.check_output("ps -ewwo args")
    for name, service in wanted.items():
        token = services.token(target.stack.dir, target.name, name)
        file = host.file(f"{FOLDER}/{name}.env")
        if not file.exists:
            check.skip(f"{name}: token is secret", "it is not installed")
            continue
        log = host.run(_log_command(target, name)).stdout
        if not service.auth:
            continue
        places = {
            f"{file.path} is not for root alone": file.user != "root" or file.mode & 0o077,
            "ps shows it": token in shown,
            "the log has it": token in log,
        }
        leaks = [place for place, leaks in places.items() if leaks]
        check(
            f"{name}: token is secret",
            not leaks,
            value=", ".join(leaks) or "in a file for root alone",
            expected="in a file for root alone; neither `ps` nor the log shows it",
            reason="Other users of this host could use the service.",
            advice=f"Give it another one: remove {target.stack.dir / 'secrets' / target.name / name}. {fix}",
        )
        check(
            f"{name}: log",
            bool(log.strip()),
            value=f"{len(log.splitlines())} last lines" if log.strip() else "empty or missing",
            expected=f"`{_log_command(target, name)}` shows it",
            reason="When it fails, nobody can see why.",
            advice=fix,
        )


@pytest.mark.slow
def test_jupyter_kernel(wanted: dict[str, Service], target: Target, host: Any, check: Any, fix: str) -> None:
    """Jupyter starts a kernel that computes and cannot be talked to over TCP, where it would open five ports more."""
    if "jupyter" not in wanted:
        pytest.skip("this host runs no Jupyter")
    service = wanted["jupyter"]
    if not probe.get(target.stack, target.name, service.port, service.health).status:
        pytest.skip(SILENT)
    environment = target.host.variables.get("services_environments", {}).get("jupyter", service.environment)
    user, program = shlex.quote(target.endpoint.user), shlex.quote(KERNEL.read_text(encoding="utf-8"))
    python = f"{ENVIRONMENTS}/{environment}/.venv/bin/python"
    start = f"/usr/sbin/runuser -u {user} -- timeout 90 {python} -I -c {program} {service.port}"
    answer = host.run(f"set -a; . {FOLDER}/jupyter.env; cd /; {start}")
    found = json.loads(answer.stdout) if answer.rc == 0 else {}
    said = (answer.stderr.strip().splitlines() or [f"exit code {answer.rc}"])[-1]
    check(
        "jupyter: a kernel computes",
        found.get("answer") == "42",
        value=f"6 * 7 = {found['answer']}" if found else said,
        expected="6 * 7 = 42",
        reason="Notebooks do not run.",
        advice=f"Read `rig connect {target.host.name} -- {_log_command(target, 'jupyter')}`. {fix}",
    )
    if not found:
        check.skip("jupyter: ports of a kernel", "no kernel started")
        return
    check(
        "jupyter: ports of a kernel",
        len(found["tcp"]) <= 1,
        value=", ".join(map(str, found["tcp"])) or "none",
        expected="at most ipykernel's own one for output of forked processes",
        reason="Every user of this host could talk to the kernel.",
        advice=fix,
    )


def _systemd(host: Any, name: str) -> State:
    shown = host.run(f"systemctl show gpurig-{name} --property=ActiveState,UnitFileState,NRestarts,MainPID").stdout
    facts = dict(line.partition("=")[::2] for line in shown.splitlines())
    seconds = host.run("ps -o etimes= -p %s", facts.get("MainPID", "0")).stdout
    return State(
        facts.get("ActiveState", "unknown"),
        facts.get("UnitFileState") == "enabled",
        int(facts.get("NRestarts") or 0),
        int(seconds.strip() or 0),
    )


def _supervisor(host: Any, name: str) -> State:
    """Supervisor counts no failures, but start-as does: it keeps the time of the last start, and how many came in a row."""
    said = host.run(f"supervisorctl status gpurig-{name}").stdout.split()
    starts = "test -x /etc/gpurig/boot.d/10-supervisor && grep -qx autostart=true /etc/supervisor/conf.d/gpurig-%s.conf"
    last, failures, now = (*host.run(f"cat /run/gpurig/{name}.starts; date +%s").stdout.split(), "0", "0", "0")[:3]
    return State(
        said[1] if len(said) > 1 else "unknown",
        host.run(starts, name).rc == 0,
        int(failures),
        max(0, int(now) - int(last)),
    )


def _log_command(target: Target, name: str) -> str:
    if target.capabilities.init == "systemd":
        return f"journalctl --unit gpurig-{name} --no-pager --lines 50"
    return f"tail -n 50 /var/log/gpurig/{name}.log"
