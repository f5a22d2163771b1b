"""The Host record: the one thing that every provider returns and everything downstream reads.

Nothing downstream asks which provider made a host: what differs is data, mostly `Capabilities`.
Kept free of heavy imports, because the inventory and `rig status` load it on every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gpurig.errors import RigError

SCHEMA = 1
"""Version of the record's JSON form; raised when a reader of the old form would go wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a host can do, known when it is made.

    init: what starts services; rented containers have none.
    gpu_driver: `managed` by our role, `provided` by the host, `windows` through WSL2, or `none` without a GPU.
    kernel: `own`, or `shared` with other machines (then no driver or kernel setting may be changed).
    privilege: log in as `root`, or use password-less `sudo`.
    can_stop: it can be stopped and started again with its disk kept.
    stop_keeps: what of its disk outlasts a stop: `all`, or the one folder that does, so that it must be configured again.
    billed_stopped: what is paid while it is stopped.
    self_end: how the host can end its own rental, if at all.
    reach: `direct` by SSH, by `jump` through another host, or `outbound` only.
    """

    init: Literal["systemd", "none"]
    gpu_driver: Literal["none", "managed", "provided", "windows"] = "none"
    kernel: Literal["own", "shared"]
    privilege: Literal["root", "sudo"]
    can_stop: bool
    stop_keeps: str = "all"
    billed_stopped: Literal["nothing", "disk", "full"] = "nothing"
    self_end: Literal["no", "shutdown", "api"] = "no"
    reach: Literal["direct", "jump", "outbound"] = "direct"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where and how SSH reaches a host.

    host_key: the pinned public key, `ssh-ed25519 AAAA…`; a connection that shows another one is refused.
    identity: path of the private key to log in with; None means gpurig's own key.
    jump: name of the inventory host to go through.
    """

    address: str
    port: int
    user: str
    host_key: str
    identity: str | None = None
    jump: str | None = None
    shell: Literal["sh", "powershell"] = "sh"


@dataclass(frozen=True, kw_only=True, slots=True)
class Guest:
    """A second inventory host inside the first: the WSL2 side of a Windows PC."""

    name: str
    endpoint: Endpoint
    capabilities: Capabilities


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One host as it was stood up.

    label: unique to (project, stack, host, generation); what the provider's own listing shows.
    generation: raised each time the host is made anew, so that an old listing is never mistaken for the new host.
    environments, services: names of what shall run there.
    variables: Ansible host variables from the configuration.
    spec: the normalised configuration that the host was made from, to tell what a change asks for.
    """

    name: str
    project: str
    stack: str
    provider: str
    id: str
    label: str
    generation: int
    endpoint: Endpoint
    capabilities: Capabilities
    environments: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    guest: Guest | None = None
    schema: int = SCHEMA

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Host:
        """Read a record's JSON form. Raises RigError where it was written by a newer gpurig or is damaged."""
        found = data.get("schema")
        if found != SCHEMA:
            raise RigError(
                f"Host record {data.get('name', '?')}: schema {found!r} is not {SCHEMA}; "
                "it was written by another version of gpurig. Use that version, or run `rig refresh`."
            )
        try:
            host: Host = _build(cls, data)
        except (KeyError, TypeError, ValueError) as error:
            raise RigError(f"Host record {data.get('name', '?')} is damaged ({error}); run `rig refresh`.") from error
        return host

    def to_dict(self) -> dict[str, Any]:
        """The record's JSON form: plain dicts, lists, strings, numbers."""
        data = asdict(self)
        return {**data, "environments": list(self.environments), "services": list(self.services)}

    def machines(self) -> list[tuple[str, Endpoint, Capabilities]]:
        """Every inventory host of this record: itself and, where there is one, its guest.

        A PC with a guest is called `<name>-win`: the record's own name means the place where work is done.
        """
        if self.guest is None:
            return [(self.name, self.endpoint, self.capabilities)]
        return [
            (f"{self.name}-win", self.endpoint, self.capabilities),
            (self.guest.name, self.guest.endpoint, self.guest.capabilities),
        ]

    def work(self) -> tuple[str, Endpoint, Capabilities]:
        """Where environments, services and runs live: the guest where there is one, else the host itself."""
        return self.machines()[-1]


def _build(kind: type, data: Mapping[str, Any]) -> Any:
    """A frozen dataclass from its JSON form, checked against its own type hints."""
    hints = get_type_hints(kind)
    unknown = set(data) - set(hints)
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    return kind(**{f.name: _value(hints[f.name], data[f.name], f.name) for f in fields(kind) if f.name in data})


def _value(hint: Any, value: Any, name: str) -> Any:
    options = get_args(hint)
    origin = get_origin(hint)
    if origin is Literal:
        if value not in options:
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(map(repr, options))}")
        return value
    if origin is tuple:
        return tuple(_value(options[0], item, name) for item in value)
    if origin is Mapping:
        return dict(value)
    if NoneType in options:
        return None if value is None else _value(options[0], value, name)
    if hasattr(hint, "__dataclass_fields__"):
        return _build(hint, value)
    if isinstance(value, float) and value.is_integer() and hint is int:
        return int(value)  # Pulumi carries every number as a double
    if not isinstance(value, hint):
        raise TypeError(f"{name}: {value!r} is not {hint.__name__}")
    return value
