"""What the doctor judges: a PC's state, what shall be, what the laptop saw; and what it finds."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

from gpurig.doctor import Level
from gpurig.windows import inside, questions, topics, wire, wslconfig
from gpurig.windows.actions import Action
from gpurig.windows.busy import busy
from gpurig.windows.inside import Facts
from gpurig.windows.plan import Plan
from gpurig.windows.state import Distribution, State

REACHABLE, SSHD, WSL, DISTRIBUTION = "reachable", "Windows sshd", "WSL", "distribution"
ADDRESS, PORTPROXY, LISTENER, FIREWALL = "address", "portproxy", "listener", "firewall"
GUEST, GPU, CUDA, KEEPER, SETTINGS, ROOM = "WSL sshd", "GPU", "CUDA", "keeper", "settings", "room"

STEPS = (
    *(REACHABLE, SSHD, WSL, DISTRIBUTION, ADDRESS, PORTPROXY, LISTENER, FIREWALL, GUEST, GPU, CUDA),
    *(KEEPER, SETTINGS, ROOM),
)
"""Where something can be broken: the way from outside in, then what keeps it so."""

RESTARTS = frozenset({"wsl_shutdown", "wsl_terminate"})
"""Actions that end what runs inside WSL, or may."""

FIRST_MIRRORED = 22621
"""Windows 11 22H2: the first build with mirrored networking and the Hyper-V firewall."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One of the 32 that was found. fix: what the user can do, with the command. actions: what `--fix` does, if it is safe.

    level: WARN where all still works, OK where it only looks wrong. at: the step of the way that it breaks.
    """

    number: int
    name: str
    at: str
    found: str
    meaning: str
    fix: str
    actions: tuple[Action, ...] = ()
    level: Level = "FAIL"


@dataclass(frozen=True, slots=True)
class Link:
    """What can be seen from the laptop. None is not tried.

    ports: TCP port of the PC → open, refused, silent, or mute: it takes connections, but its sshd says nothing. ssh, guest: what ssh said when it could not log in to Windows, to the
    Linux inside; empty where it could. smi: where a program started over SSH finds nvidia-smi, empty where it does not.
    ldconfig: its complaints there. cuda: what cuInit said there, 0 is well. source: the laptop's address on the way to the PC.
    """

    ports: Mapping[int, Literal["open", "mute", "refused", "silent"]] = field(default_factory=dict)
    ssh: str | None = None
    guest: str | None = None
    smi: str | None = None
    ldconfig: str = ""
    cuda: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Pinned:
    """What the laptop goes by. address: of the entry; addresses: to which it leads. Keys are public: `type base64`, empty if not known."""

    address: str
    addresses: tuple[str, ...]
    host_key: str = ""
    login_key: str = ""


@dataclass(frozen=True)
class Case:
    """A PC to judge. state may lack any section; variables: the host's. connection: how playbooks come to it.
    gpu: one is expected.

    host, guest: names of the record, and of the Linux inside for ssh. pinned: only where the state was brought from the PC, since
    nobody came in to it.
    """

    state: State
    variables: Mapping[str, Any] = field(default_factory=dict)
    link: Link = field(default_factory=Link)
    connection: str = "ssh"
    gpu: bool = True
    host: str = "home"
    guest: str = "home-wsl"
    pinned: Pinned | None = None

    def section(self, name: str) -> dict[str, Any]:
        """A section of the state; empty where it was not asked for or could not be read."""
        found = cast("dict[str, Any]", self.state.get(name) or {})
        return {} if "error" in found else found

    @cached_property
    def facts(self) -> Facts:
        """What the distribution says of itself."""
        return inside.facts(self.state.get("inside"))

    @property
    def name(self) -> str:
        """The wanted distribution's name."""
        return str(self.variables.get("win_distribution_name") or "Ubuntu-24.04")

    @property
    def port(self) -> int:
        """Where the sshd inside listens."""
        return int(self.variables.get("win_linux_port") or questions.WSL_PORT)

    @property
    def ssh_port(self) -> int:
        """Where Windows' own sshd listens."""
        return int(self.variables.get("win_network_ssh_port") or questions.SSH_PORT)

    @property
    def mirrored(self) -> bool:
        """Whether mirrored networking is wanted."""
        return self.variables.get("win_network_networking") == "mirrored"

    @property
    def direct(self) -> bool:
        """Whether the laptop goes to the portproxy instead of through Windows' sshd."""
        return self.variables.get("win_network_reach") == "direct"

    @property
    def opened(self) -> list[int]:
        """Ports inside WSL that other machines shall reach."""
        return sorted({*([self.port] if self.direct else []), *map(int, self.variables.get("win_network_ports") or {})})

    @property
    def distribution(self) -> Distribution | None:
        """The wanted distribution as it is registered for our user."""
        entries = self.section("wsl").get("distributions") or []
        return next((one for one in entries if one["name"].lower() == self.name.lower()), None)

    @property
    def running(self) -> bool | None:
        """Whether the distribution ran before anybody asked it; None where that is not known."""
        native = self.section("wsl").get("running")
        if native is None or native["code"] is None:
            return None
        return self.name.lower() in wire.text_of(native).lower().split()

    @property
    def version_said(self) -> str:
        """What `wsl --version` names first; empty where it says nothing."""
        first = wire.text_of(self.section("wsl").get("version")).strip().partition("\n")[0]
        return ".".join(map(str, version(first)))

    @property
    def busy(self) -> list[str]:
        """Who would lose work if WSL were restarted, in words; that it is not known counts too."""
        if not self.section("wsl") or not self.section("inside"):
            return ["what runs inside WSL could not be read"]
        return busy(self.state)

    @property
    def config(self) -> str:
        """The text of .wslconfig."""
        found = self.section("wsl").get("config")
        return wire.decoded(base64.b64decode(found)) if found else ""

    def setting(self, section: str, key: str) -> str | None:
        """What counts for a key of .wslconfig; None where it is not set."""
        return self._settings.get(f"{section}.{key}")

    @cached_property
    def _settings(self) -> dict[str, str]:
        return wslconfig.parse(self.config)

    def task(self, element: str) -> str | None:
        """What an element of the keeper's task says, such as ExecutionTimeLimit; None where the task has no such element."""
        found = re.search(rf"<{element}>\s*(.*?)\s*</{element}>", self.section("keeper").get("xml") or "", re.DOTALL)
        return found[1] if found else None

    @cached_property
    def said(self) -> str:
        """Everything that WSL said about itself: error codes are looked for in it, which no language changes."""
        wsl, asked = self.section("wsl"), self.section("inside").get("facts")
        natives = [wsl.get("version"), wsl.get("running"), asked]
        spoken = [wire.text_of(native, stream) for native in natives if native for stream in ("out", "err")]
        every = cast("dict[str, dict[str, Any]]", self.state)
        errors = [json.dumps(section["error"]) for section in every.values() if section and "error" in section]
        return "\n".join([*spoken, *errors, *_last(self.section("keeper").get("log") or [])])

    def says(self, *codes: str) -> str | None:
        """The first of these error codes that WSL named, if any."""
        return next((code for code in codes if code.lower() in self.said.lower()), None)

    def site(self, *tags: str) -> str:
        """The command that configures these roles again."""
        only = f" --tags {','.join(tags)}" if tags else ""
        return f"`ansible-playbook playbooks/site.yml --limit {self.host}{only}`"

    def planned(self, topic: str, *kinds: str) -> tuple[Action, ...]:
        """What the role of a topic would do about it now, of these kinds of actions; nothing where it refuses."""
        plan = self.decided(topic)
        if plan.refusals:
            return ()
        return tuple(action for action in plan.actions if not kinds or action.kind in kinds)

    def decided(self, topic: str) -> Plan:
        """The plan of a topic's role; an empty one where none can be made."""
        try:
            return topics.decide(topic, self.state, self.variables)
        except Exception:  # noqa: BLE001 (state of a broken PC: then there is just nothing that can be done by itself)
            return Plan()


def version(text: str | None) -> tuple[int, ...]:
    """A version's numbers, to compare; empty where there are none."""
    found = re.search(r"\d+(?:\.\d+)+", text or "")
    return tuple(map(int, found[0].split("."))) if found else ()


def _last(log: Sequence[str]) -> list[str]:
    """The last words of the keeper's log: older troubles are over."""
    return [str(line) for line in log[-1:]]
