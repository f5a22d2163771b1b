"""The twin of the bootstrap's script: the same steps in the same order, done to the simulated PC.

Settings are read out of the script's own text; its steps are held against STEPS by a test.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gpurig.windows.ranges import same
from tests.windows.model import firewall
from tests.windows.model.fresh_network import rule
from tests.windows.model.fresh_sshd import ADMIN_KEYS, CONFIG, HOST_KEY, POWERSHELL, SSHD
from tests.windows.model.pc import Machine

FOLDER = "C:\\ProgramData\\gpurig"
NOTED, KEPT = f"{FOLDER}\\bootstrap.json", f"{FOLDER}\\sshd_config.before"
OPENSSH = "HKLM:\\SOFTWARE\\OpenSSH"
WIDE = "OpenSSH-Server-In-TCP"
CLOSED = {"owner": "S-1-5-32-544", "sids": ["S-1-5-18", "S-1-5-32-544"], "inherited": False}
OWN = re.compile(r"^# gpurig: begin\r?\n(.*\r?\n)*?# gpurig: end(\r?\n|\Z)", re.MULTILINE)
DEFAULT = "# This is the sshd server system-wide configuration file.\r\nMatch Group administrators\r\n  AuthorizedKeysFile x\r\n"

STEPS = {
    "undo": (
        "rule removed",
        "wide enabled",
        "shell back",
        "key removed",
        "lines removed",
        "sshd removed",
        "service back",
        "notes removed",
    ),
    "do": ("folder", "install", "wide disabled", "service", "config", "key", "acl", "shell", "rule"),
}
"""The steps of the two halves of the script, in order."""


@dataclass(slots=True)
class Bootstrap:
    """One run. said: what it would do, or did."""

    machine: Machine
    script: str
    what_if: bool = False
    said: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)

    def run(self, *, undo: bool = False) -> list[str]:
        """Returns the names of the steps. Raises PowerShellError without an administrator's rights."""
        self.machine.require_admin()
        self.before = json.loads(self._text(NOTED) or "{}")
        (self._undo if undo else self._do)()
        return self.said

    def _do(self) -> None:
        data, rules = self.machine.data, firewall.host(self.machine)
        if data["acls"].get(FOLDER) != CLOSED:
            self._step("folder", lambda: data["acls"].update({FOLDER: CLOSED}))
        if "sshd" not in data["services"]:
            self._step("install", self._install, installed=True)
        wide = [name for name, one in rules.items() if name == WIDE and one["enabled"]]
        if wide:
            self._step("wide disabled", lambda: [rules[name].update(enabled=False) for name in wide], wide=wide)
        service = dict(data["services"].get("sshd", {}))
        if service != {"state": "running", "start": "auto"}:
            self._step("service", self._start, **service)
        self._configure()
        there = [line for line in self._text(ADMIN_KEYS).split("\r\n") if line]
        if not any(self._key.split()[1] in line for line in there if not line.startswith("#")):
            self._step(
                "key",
                lambda: self._write(ADMIN_KEYS, "".join(f"{one}\r\n" for one in [*there, self._key])),
                key=self._key,
            )
        if data["acls"].get(ADMIN_KEYS) != CLOSED:
            self._step("acl", lambda: data["acls"].update({ADMIN_KEYS: CLOSED}))
        shell = self.machine.value(OPENSSH, "DefaultShell")
        if shell != POWERSHELL:
            self._step(
                "shell", lambda: self.machine.registry(OPENSSH).update(DefaultShell=POWERSHELL), shell=shell or ""
            )
        wanted = rule(str(self._port), "", display="gpurig: SSH", group="gpurig") | {"remote": self._allowed}
        found = rules.get("gpurig-ssh")
        if found is None or not (same(found["remote"], self._allowed) and {**found, "remote": self._allowed} == wanted):
            self._step("rule", lambda: self._open(wanted), rule=True)

    def _configure(self) -> None:
        text = self._text(CONFIG)
        rest = OWN.sub("", text)
        port = [f"Port {self._port}"] if self._port != 22 else []
        lines = [
            "# gpurig: begin",
            *port,
            *("PubkeyAuthentication yes", "PasswordAuthentication no"),
            "KbdInteractiveAuthentication no",
            "# gpurig: end",
        ]
        wanted = "".join(f"{line}\r\n" for line in lines) + rest
        if not re.search(r"(?im)^\s*Match\s+Group\s+\"?administrators", rest):
            wanted += "" if wanted.endswith("\n") else "\r\n"
            path = "    AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys"
            wanted += "".join(
                f"{line}\r\n" for line in ("# gpurig: begin", "Match Group administrators", path, "# gpurig: end")
            )
        if text != wanted:

            def write() -> None:
                if not self._text(KEPT):
                    self._write(KEPT, text)
                self.machine.step()
                self._write(CONFIG, wanted)

            self._step("config", write)

    def _undo(self) -> None:
        data, rules, before = self.machine.data, firewall.host(self.machine), self.before
        if not before:
            return
        if "rule" in before:
            self._step("rule removed", lambda: rules.pop("gpurig-ssh", None))
        if before.get("wide"):
            self._step("wide enabled", lambda: [rules[name].update(enabled=True) for name in before["wide"]])
        if "shell" in before:
            values = self.machine.registry(OPENSSH)
            self._step(
                "shell back",
                lambda: (
                    values.update(DefaultShell=before["shell"]) if before["shell"] else values.pop("DefaultShell", None)
                ),
            )
        if "key" in before:
            left = [
                line for line in self._text(ADMIN_KEYS).split("\r\n") if line and line not in (before["key"], self._key)
            ]
            self._step(
                "key removed",
                lambda: (
                    self._write(ADMIN_KEYS, "".join(f"{line}\r\n" for line in left))
                    if left
                    else data["files"].pop(ADMIN_KEYS, None)
                ),
            )
        if "sshd" in data["services"] and OWN.search(self._text(CONFIG)):
            self._step("lines removed", lambda: self._write(CONFIG, OWN.sub("", self._text(CONFIG))))
        if before.get("installed"):
            self._step(
                "sshd removed",
                lambda: (data["services"].pop("sshd", None), rules.pop(WIDE, None), data.update(sshd={})),
            )
        elif "start" in before:
            self._step(
                "service back", lambda: data["services"]["sshd"].update(start=before["start"], state=before["state"])
            )
        self._step("notes removed", lambda: [data["files"].pop(path, None) for path in (NOTED, KEPT)])

    def _step(self, name: str, change: Callable[[], object], **note: Any) -> None:
        self.said.append(name)
        if self.what_if:
            return
        if note:
            self.before = {**note, **self.before}
            self._write(NOTED, json.dumps(self.before))
        self.machine.step()
        change()
        self.machine.step()

    def _open(self, wanted: dict[str, Any]) -> None:
        rules = firewall.host(self.machine)
        rules.pop("gpurig-ssh", None)
        firewall.new(self.machine, rules, "gpurig-ssh", wanted)

    def _install(self) -> None:
        self.machine.data["services"]["sshd"] = {"state": "stopped", "start": "manual"}
        self.machine.data["sshd"] = dict(SSHD["sshd"])
        firewall.host(self.machine)[WIDE] = rule("22", "any", display="OpenSSH SSH Server (sshd)")

    def _start(self) -> None:
        self.machine.data["services"]["sshd"] = {"state": "running", "start": "auto"}
        self.machine.data["files"].setdefault(HOST_KEY, SSHD["files"][HOST_KEY])
        if not self._text(CONFIG):
            self._write(CONFIG, DEFAULT)

    def _text(self, path: str) -> str:
        return base64.b64decode(self.machine.data["files"].get(path, "")).decode("latin-1")

    def _write(self, path: str, text: str) -> None:
        self.machine.data["files"][path] = base64.b64encode(text.encode("latin-1")).decode()

    @property
    def _key(self) -> str:
        return re.findall(r"^\$key = '(.*)'$", self.script, re.MULTILINE)[0]  # type: ignore[no-any-return]  # of text, text

    @property
    def _allowed(self) -> list[str]:
        return re.findall(r"'([^']+)'", re.findall(r"^\$allowed = (.*)$", self.script, re.MULTILINE)[0])

    @property
    def _port(self) -> int:
        return int(re.findall(r"^\$port = (\d+)$", self.script, re.MULTILINE)[0])
