"""Pulumi's CLI as a program: where it is, the environment it needs, one run of it with its events and failures."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gpurig.catalogue import ROOT
from gpurig.errors import ConfigError, RigError, about
from gpurig.providers import Report
from gpurig.stack import Stack, private_dir, write_private

T = TypeVar("T")

ENGINE = "GPURIG_ENGINE"
"""Environment variable that forces an engine: `pulumi` or `embedded`."""

PUBLIC_PASSPHRASES = {"demo": "demo"}
"""Stacks that hold no secret, whose encryption salt is in the repository."""

LOCK_SECONDS = 10.0
"""How long another run of Pulumi may go on holding the stack before we give up."""

SHOWN = ("create", "update", "delete", "replace")
"""Pulumi's operations that are told; the others are steps of these, or change nothing."""

_LOCK = re.compile(r"created by \S*@(?P<machine>\S+) \(pid (?P<pid>\d+)\)")
_OUR_TYPE = re.compile(r"^gpurig\.[\w.]+Error: ")
_BACKEND = re.compile(r"^backend:", re.MULTILINE)
_SALT = re.compile(r"^encryptionsalt:", re.MULTILINE)


class PulumiError(RigError):
    """Pulumi failed; the message is in its own words."""


class LockedError(PulumiError):
    """Another run of Pulumi holds the stack, or was killed while it did."""

    @property
    def left_over(self) -> bool:
        """Whether every lock is held by a process of this machine that is no more."""
        locks = list(_LOCK.finditer(str(self)))
        here = socket.gethostname()
        return bool(locks) and all(lock["machine"] == here and not _is_pulumi(lock["pid"]) for lock in locks)


def find() -> Path | None:
    """Pulumi's CLI, or None where the embedded engine is to be used. Raises ConfigError where a forced one is missing."""
    forced = os.environ.get(ENGINE, "")
    if forced not in ("", "pulumi", "embedded"):
        raise ConfigError(f"{ENGINE}={forced!r}: write `pulumi` or `embedded`, or unset it.")
    if forced == "embedded":
        return None
    on_path = shutil.which("pulumi")
    places = [Path(on_path)] if on_path else []
    places += [Path.home() / ".pulumi/bin/pulumi", ROOT / ".tools/pulumi/bin/pulumi"]
    found = next((place for place in places if os.access(place, os.X_OK)), None)
    if found is None and forced:
        raise ConfigError(f"{ENGINE}=pulumi, but Pulumi's CLI is not found; install it with `make setup-pulumi`.")
    return found


@dataclass(frozen=True, slots=True)
class Cli:
    """Pulumi's CLI for one stack. Where a killed run of this machine left its lock, that is removed."""

    program: Path
    stack: Stack
    environment: Mapping[str, str] = field(repr=False)
    report: Report

    @classmethod
    def open(cls, program: Path, stack: Stack, *, report: Report) -> Cli:
        """The CLI with what it needs. A user who is not logged in to any backend gets one of ours, on this machine."""
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
        environment["PATH"] = os.pathsep.join([str(program.parent), environment.get("PATH", "")])
        ours = not _has_backend(stack)
        if ours:
            environment["PULUMI_BACKEND_URL"] = private_dir(stack.home / "pulumi").as_uri()
        return cls(program, stack, environment | _passphrase(stack, make=ours), report)

    def ask(self, *arguments: str, data: str = "") -> str:
        """Run a command that is done at once; returns its output. Raises PulumiError."""
        return self._patiently(lambda: self._ask(*arguments, data=data))

    def work(self, verb: str, *arguments: str) -> None:
        """Run a command that works on resources, reporting progress. Raises PulumiError with what Pulumi said."""
        self._patiently(lambda: self._work(verb, *arguments))

    def _patiently(self, action: Callable[[], T]) -> T:
        """Run an action, past the lock of a run that was killed, or whose `rig` was and which therefore soon ends."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                return action()
            except LockedError as error:
                if error.left_over:
                    self.report(f"Removing Pulumi's lock on stack {self.stack.name}: the run that held it was killed.")
                    self._ask("cancel", "--yes")
                elif time.monotonic() > deadline:
                    raise
                else:
                    time.sleep(0.5)

    def _ask(self, *arguments: str, data: str = "") -> str:
        done = subprocess.run(
            self._command(*arguments), input=data, capture_output=True, text=True, check=False,
            cwd=self.stack.root, env=dict(self.environment),
        )  # fmt: skip
        if done.returncode:
            raise self._failure(_error_in(done.stderr))
        return done.stdout

    def _work(self, verb: str, *arguments: str) -> None:
        transcript = _Transcript(self.report)
        with subprocess.Popen(
            self._command(verb, "--json", *arguments),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            cwd=self.stack.root, env=dict(self.environment),
        ) as process:  # fmt: skip
            lines = iter(process.stdout or ())
            try:
                transcript.write(lines)
            except KeyboardInterrupt:
                self.report("Waiting for Pulumi to finish what it is doing; press Ctrl-C again to give up on it.")
                transcript.write(lines)
                process.wait()
                raise
        if process.returncode < 0:
            raise PulumiError(f"Pulumi was ended by signal {-process.returncode}; run this again, and it continues.")
        if process.returncode:
            raise self._failure(transcript.errors())

    def _command(self, *arguments: str) -> list[str]:
        return [str(self.program), *arguments, "--stack", self.stack.name, "--non-interactive", "--color=never"]

    def _failure(self, errors: list[str]) -> PulumiError:
        text = "\n".join(filter(None, errors)) or "Pulumi failed without a word; run it yourself to see more."
        if "currently locked by" not in text:
            return PulumiError(text)
        return LockedError(
            f"Another run of Pulumi is working on stack {self.stack.name}. Wait for it; if it was killed, remove its "
            f"lock with `pulumi cancel --stack {self.stack.name}`. Pulumi said: {text}"
        )


class _Transcript:
    """What one run of Pulumi says, as its stream of JSON events: progress is reported as it comes, errors are kept."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._of_resources: list[str] = []
        self._of_the_rest: list[str] = []
        self._plain: list[str] = []

    def write(self, lines: Iterator[str]) -> None:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                self._plain.append(line)
                continue
            if "diagnosticEvent" in event:
                self._diagnose(event["diagnosticEvent"])
            step = event.get("resourcePreEvent", {}).get("metadata", {})
            if step.get("op") in SHOWN:
                self._report(f"{step['urn'].rsplit('::', 1)[1]}: {step['op']}")

    def errors(self) -> list[str]:
        """The causes: what failed resources said, and not that the program failed because of them."""
        return list(dict.fromkeys(self._of_resources or self._of_the_rest or _error_in("".join(self._plain))))

    def _diagnose(self, diagnostic: Mapping[str, Any]) -> None:
        message = _OUR_TYPE.sub("", diagnostic["message"].strip())
        if diagnostic["severity"] == "error":
            urn = diagnostic.get("urn", "")
            if not urn or "pulumi:pulumi:Stack" in urn:
                self._of_the_rest.append(message)
            else:
                self._of_resources.append(about(urn.rsplit("::", 1)[1], message))
        elif diagnostic["severity"] != "debug" and message:
            self._report(message)


def _error_in(text: str) -> list[str]:
    """The error in a command's plain output; all of it where none is marked."""
    before, mark, error = text.strip().partition("error: ")
    return [error if mark else before]


def _is_pulumi(pid: str) -> bool:
    """Whether this process of this machine is there and is Pulumi: a number may have been given out again."""
    done = subprocess.run(["ps", "-o", "comm=", "-p", pid], capture_output=True, text=True, check=False)
    return "pulumi" in done.stdout


def _has_backend(stack: Stack) -> bool:
    """Whether the user has chosen where Pulumi keeps state: by environment, project or `pulumi login`."""
    if os.environ.get("PULUMI_BACKEND_URL") or os.environ.get("PULUMI_ACCESS_TOKEN"):
        return True
    if _BACKEND.search((stack.root / "Pulumi.yaml").read_text(encoding="utf-8")):
        return True
    home = os.environ.get("PULUMI_CREDENTIALS_PATH") or os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"
    try:
        login = json.loads((Path(home) / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(login.get("current"))


def _passphrase(stack: Stack, *, make: bool) -> dict[str, str]:
    """How Pulumi gets the passphrase that encrypts this stack's secrets, where the user does not say it.

    make: write one for this stack, once. Raises ConfigError where the stack was encrypted with one that is not here.
    """
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in os.environ:
        return {}
    encrypted = stack.file.exists() and bool(_SALT.search(stack.file.read_text(encoding="utf-8")))
    if encrypted and stack.name in PUBLIC_PASSPHRASES:
        return {"PULUMI_CONFIG_PASSPHRASE": PUBLIC_PASSPHRASES[stack.name]}
    if not make:
        return {}
    path = stack.dir / "passphrase"
    if not path.exists():
        if encrypted:
            raise ConfigError(
                f"{stack.file.name}: encryptionsalt: made with a passphrase that is not on this machine; set "
                "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE. Where nothing in the file is encrypted, "
                "delete that line instead."
            )
        write_private(path, secrets.token_urlsafe(24))
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(path)}
