"""The way to a Windows PC with WSL2: what the laptop sees, one round of questions to the PC, one real log-in to the Linux inside."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpurig import access, keys, reach
from gpurig.doctor import Finding, ports
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.remote import SSH_FAILED
from gpurig.stack import Stack
from gpurig.windows import at_the_pc, chain, failures, mending, packages, questions, recording, variables, wire
from gpurig.windows.actions import Action
from gpurig.windows.failures import Case, Link
from gpurig.windows.failures.case import Pinned
from gpurig.windows.mending import Mending
from gpurig.windows.session import Session

PROBE = """\
echo ssh=1
echo "smi=$(command -v nvidia-smi)"
code='import ctypes; print(ctypes.CDLL("libcuda.so.1").cuInit(0))'
echo "cuda=$(python3 -c "$code" 2>&1 | tail -n 1)"
/sbin/ldconfig -N -X 2>&1 | sed 's/^/ldconfig=/'
"""
"""What is asked over SSH, as any program of the user's would find it."""

ROUND_SECONDS, LOGIN_SECONDS = 90.0, 20.0
"""To wait for PowerShell, which gives WSL 60 s to start; and for the Linux inside."""

FRESH = (
    *("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ConnectTimeout=5"),
    *("-o", "ServerAliveInterval=3", "-o", "ServerAliveCountMax=2"),
)
"""Options of ssh: a shared connection may lead to a PC that is gone, and answers nobody for minutes."""

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
        """Everything about it."""
        *_, case = self.looks()
        return case

    def looks(self) -> Iterator[Case]:
        """What is known of it, more and more: its ports; all of Windows, in one round, a second one only where something is not
        installed; the log-in to the Linux inside. Ends early where there is no use in going on.
        """
        case = self.empty()
        case = replace(case, link=ports.seen(self.host, case))
        if silent := ports.silent(case.link, self.host):
            yield replace(case, link=replace(case.link, ssh=silent))
            return
        yield case
        try:
            answer = self.session.round(questions.sections(case.variables), seconds=ROUND_SECONDS)
        except RigError as error:
            yield replace(case, link=replace(case.link, ssh=str(error)))
            return
        case = replace(case, state=answer.state, link=replace(case.link, ssh=""))
        if urls := _urls(case):
            asked = self.session.round({"symptoms": {"urls": urls}}).state
            case = replace(case, state={**answer.state, **asked})
        yield case
        if not case.section("wsl") or case.distribution is not None:
            yield replace(case, link=self._guest(case.link))

    def judged(self, path: Path) -> Case:
        """What the script brought that ran at the PC, or a recording. Raises ConfigError where the file is neither."""
        try:
            text = path.read_bytes()
            body = json.loads(text.decode("utf-16" if text.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"))
            case = recording.read(body, self._brought())
            list(chain.findings(case))
        except OSError as error:
            raise ConfigError(f"--from {path}: cannot be read ({error.strerror}).") from error
        except Exception as error:  # whatever may be in such a file
            name = at_the_pc.file_name("HOST")
            raise ConfigError(f"--from {path}: is not what {name} writes at the PC, nor --capture: {error}.") from error
        return case

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
        return Session(self.stack, self.host, FRESH)

    def empty(self) -> Case:
        """What is known before anything is asked."""
        own = variables.of_host(self.stack, self.host)
        connection = str(self.host.spec.get("connection", "ssh"))
        guest, _, capabilities = self.host.work()
        gpu = capabilities.gpu_driver != "none"
        return Case({}, own, connection=connection, gpu=gpu, host=self.host.name, guest=guest)

    def _brought(self) -> Case:
        """What is known of a PC of which only a file says more."""
        endpoint = self.host.endpoint
        login = Path(endpoint.identity).expanduser() if endpoint.identity else keys.login_key(self.stack.home)
        try:
            own = keys.public_half(login)
        except OSError:
            own = ""
        there = ports.addresses(endpoint.address)
        pinned = Pinned(endpoint.address, there, " ".join(endpoint.host_key.split()[:2]), own)
        return replace(self.empty(), link=Link(source=ports.source(endpoint.address)), pinned=pinned)

    def _guest(self, link: Link) -> Link:
        """Log in to the Linux inside, and look around as a program would that came that way."""
        name = self.host.work()[0]
        command = [*access.ssh(self.stack, name, *FRESH, *self._through()), "sh"]
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

    def _through(self) -> tuple[str, ...]:
        """Options for a way through Windows that shares no connection either; ssh does not hand its own to a ProxyJump."""
        jump = self.host.work()[1].jump
        if jump is None:
            return ()
        command = shlex.join(access.ssh(self.stack, jump, *FRESH)).replace("%", "%%")
        return ("-o", f"ProxyCommand={command.removesuffix(jump)}-W '[%h]:%p' {jump}")

    def _said(self, name: str, stderr: str) -> str:
        """Why ssh did not get in, in one line: of a jump, not only that it closed."""
        if any(sign in stderr for sign in KNOWN):
            return str(reach.explained(self.stack, self.host, name, self.host.work()[1], stderr))
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        return next((line for line in lines if "open failed" in line), lines[-1] if lines else "")


def examine(stack: Stack, host: Host) -> Generator[Finding, None, bool]:
    """Walk to CUDA in WSL from outside in. Returns whether the Linux inside answers, so that one can go on there."""
    patient = Patient(stack, host)
    case = yield from walk(patient)
    if case.link.ssh:
        yield patient.visit()
    return case.link.guest == ""


def walk(patient: Patient) -> Generator[Finding, None, Case]:
    """Tell each step as soon as it is known: what a later look adds, or sees otherwise, is told then. Returns the last look."""
    told: list[Finding] = []
    case = patient.empty()
    for case in patient.looks():
        whole = case.link.ssh or case.link.guest is not None or (case.section("wsl") and case.distribution is None)
        steps = None if whole else chain.BEFORE_GUEST if case.state else chain.BEFORE_LOGIN
        new = [finding for finding in chain.findings(case, steps) if finding not in told]
        yield from new
        told += new
    return case


def mend(patient: Patient, todo: Mending) -> tuple[Case, str]:
    """Do it, then look again. Returns what is seen then, and what could not be done, empty where all was."""
    failed = patient.apply(todo.actions).failed()
    said = f"{failed.kind}: {failed.words()}" if failed else ""
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
