"""The way to a Windows PC with WSL2: what the laptop sees, one round of questions to the PC, one real log-in to the Linux inside."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gpurig import access, keys, reach
from gpurig.doctor import Finding
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.stack import Stack
from gpurig.windows import at_the_pc, chain, failures, mending, packages, questions, variables, wire
from gpurig.windows.actions import Action
from gpurig.windows.failures import Case, Link
from gpurig.windows.mending import Mending
from gpurig.windows.session import SSH_FAILED, Session
from gpurig.windows.state import State

PROBE = """\
echo ssh=1
echo "smi=$(command -v nvidia-smi)"
code='import ctypes; print(ctypes.CDLL("libcuda.so.1").cuInit(0))'
echo "cuda=$(python3 -c "$code" 2>&1 | tail -n 1)"
/sbin/ldconfig -N -X 2>&1 | sed 's/^/ldconfig=/'
"""
"""What is asked over SSH, as any program of the user's would find it."""

SECONDS = 3.0
"""To wait for a port."""

LOGIN_SECONDS = 30.0

LOOKS, LOOK_SECONDS = 4, 5.0
"""More looks after something was mended, while the Linux inside does not let us in."""

KNOWN = ("HOST IDENTIFICATION HAS CHANGED", "Host key verification failed", "Permission denied")
"""Words of ssh that have an explanation."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A recorded PC."""

    stack: Stack
    host: Host

    def case(self) -> Case:
        """Everything about it, in one round; a second one only where something is not installed."""
        case = self._empty()
        case = replace(case, link=_ports(self.host, case))
        if silent := _silent(case.link, self.host):
            return replace(case, link=replace(case.link, ssh=silent))
        try:
            answer = self.session.round(questions.sections(case.variables))
        except RigError as error:
            return replace(case, link=replace(case.link, ssh=str(error)))
        case = replace(case, state=_state(answer.state), link=replace(case.link, ssh=""))
        if urls := _urls(case):
            asked = self.session.round({"symptoms": {"urls": urls}}).state
            case = replace(case, state=_state({**answer.state, **asked}))
        if case.section("wsl") and case.distribution is None:
            return case
        return replace(case, link=self._guest(case.link))

    def judged(self, path: Path) -> Case:
        """What the script brought that ran at the PC, or a recording. Raises ConfigError where the file is neither."""
        return replace(self._empty(), state=read(path))

    def apply(self, actions: Sequence[Action]) -> wire.Answer:
        """Do what mends. Raises RigError where the PC does not answer."""
        return self.session.round({}, actions, seconds=600.0)

    def visit(self) -> Finding:
        """Write the script for the PC itself, which answers nobody, into the present folder; say what to do with it."""
        name, brought = at_the_pc.file_name(self.host.name), at_the_pc.answer_name(self.host.name)
        text = at_the_pc.script(self.host.name, questions.sections(self.host.variables))
        try:
            Path(name).write_text(text, encoding="ascii", newline="\r\n")
        except OSError as error:
            return Finding(
                "WARN", "at the PC", f"{name} cannot be written here: {error.strerror}", "Go to another folder."
            )
        advice = (
            f"Take {name} to the PC and run it there in an elevated PowerShell: `powershell -ExecutionPolicy Bypass -File "
            f".\\{name}`. Bring {brought} back; `rig doctor {self.host.name} --from {brought}` says what is wrong."
        )
        return Finding(
            "WARN", "at the PC", f"more can only be seen there; the questions are in {Path(name).absolute()}", advice
        )

    @property
    def session(self) -> Session:
        """How the PC is asked."""
        return Session(self.stack, self.host)

    def _empty(self) -> Case:
        own = variables.of_host(self.stack, self.host)
        connection = str(self.host.spec.get("connection", "ssh"))
        guest, _, capabilities = self.host.work()
        gpu = capabilities.gpu_driver != "none"
        return Case({}, own, connection=connection, gpu=gpu, host=self.host.name, guest=guest)

    def _guest(self, link: Link) -> Link:
        """Log in to the Linux inside, and look around as a program would that came that way."""
        name = self.host.work()[0]
        anew = ("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ConnectTimeout=10")
        command = [*access.ssh(self.stack, name, *anew), "sh"]
        try:
            done = subprocess.run(
                command,
                input=PROBE,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=LOGIN_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return replace(link, guest=f"{name}: no answer within {LOGIN_SECONDS:.0f} s")
        if done.returncode == SSH_FAILED or "ssh=1" not in done.stdout:
            return replace(link, guest=self._said(name, done.stderr) or f"ssh ended with {done.returncode}")
        lines = [line.partition("=") for line in done.stdout.splitlines()]
        told = {key: value for key, _, value in lines}
        complaints = "\n".join(value for key, _, value in lines if key == "ldconfig")
        return replace(link, guest="", smi=told.get("smi", ""), cuda=told.get("cuda"), ldconfig=complaints)

    def _said(self, name: str, stderr: str) -> str:
        """Why ssh did not get in, in one line: of a jump, not only that it closed."""
        if any(sign in stderr for sign in KNOWN):
            public = keys.login_key(self.stack.home).with_suffix(".pub")
            return str(reach.diagnose(stderr, name, self.host.work()[1], f"gpurig:hosts.{self.host.name}", public))
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        return next((line for line in lines if "open failed" in line), lines[-1] if lines else "")


def examine(stack: Stack, host: Host) -> Generator[Finding, None, bool]:
    """Walk to CUDA in WSL from outside in. Returns whether the Linux inside answers, so that one can go on there."""
    patient = Patient(stack, host)
    case = patient.case()
    yield from chain.findings(case)
    if case.link.ssh:
        yield patient.visit()
    return case.link.guest == ""


def mend(patient: Patient, todo: Mending) -> tuple[Case, str]:
    """Do it, then look again. Returns what is seen then, and what could not be done, empty where all was."""
    failed = patient.apply(todo.actions).failed()
    problem = failed.problem if failed else None
    said = f"{failed.kind}: {problem['message']} ({problem['hresult']})" if failed and problem else ""
    case = patient.case()
    for _ in range(LOOKS):
        if not case.link.guest:
            break
        time.sleep(LOOK_SECONDS)  # WSL has just started anew, and its sshd with it
        case = patient.case()
    return case, said


def todo(case: Case) -> Mending:
    """What --fix would do."""
    return mending.mending(case, failures.detect(case))


def read(path: Path) -> State:
    """The state in a file of the script at the PC, or in a recording. Raises ConfigError."""
    try:
        text = path.read_bytes()
        body = json.loads(text.decode("utf-16" if text.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"))
        found = body["state"]
    except OSError as error:
        raise ConfigError(f"--from {path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--from {path}: is not what {at_the_pc.file_name('HOST')} writes at the PC.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"--from {path}: is not what {at_the_pc.file_name('HOST')} writes at the PC.")
    return _state(found)


def _state(found: Mapping[str, Any]) -> State:
    return dict(found)  # type: ignore[return-value]  # what the scripts answer has the form of State


def _ports(host: Host, case: Case) -> Link:
    ports = [host.endpoint.port, *case.opened]
    answers: dict[int, Literal["open", "refused", "silent"]] = {}
    source = None
    for port in ports:
        try:
            with socket.create_connection((host.endpoint.address, port), timeout=SECONDS) as link:
                source = str(link.getsockname()[0])
                answers[port] = "open"
        except ConnectionRefusedError:
            answers[port] = "refused"
        except OSError:
            answers[port] = "silent"
    return Link(ports=answers, source=source)


def _silent(link: Link, host: Host) -> str:
    """Why there is no use in logging in; empty where there may be."""
    words = {"refused": "nothing listens at", "silent": "no answer from"}
    answer = link.ports.get(host.endpoint.port, "open")
    return f"{words[answer]} {host.endpoint.address}:{host.endpoint.port}" if answer in words else ""


def _urls(case: Case) -> list[str]:
    """Where what is missing would be fetched from."""
    wsl = case.section("wsl")
    if not wsl or not case.section("machine") or (wsl["path"] is not None and case.distribution is not None):
        return []
    machine = case.state["machine"]
    pinned = packages.distribution(case.name, machine)
    given = case.variables
    chosen = {
        "msi": "" if wsl["path"] else str(given.get("win_wsl_msi_url") or packages.msi(machine)[1].url),
        "distribution": ""
        if case.distribution
        else str(given.get("win_distribution_url") or (pinned.url if pinned else "")),
    }
    return [url for url in chosen.values() if url.startswith("http")]
