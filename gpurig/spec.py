"""What a user writes about a host: the keys that every provider shares.

Each provider adds its own keys in `gpurig/providers/<name>/spec.py`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Listener = Annotated[str, StringConstraints(pattern=r"^(\*|[0-9.]+|\[[0-9a-fA-F:]*\]):[0-9]{1,5}$")]
"""Address and port of a socket, as `ss` shows it: 127.0.0.1:9100, [::]:80, *:80."""


VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _is_there(path: str) -> str:
    if path != "auto" and not Path(path).expanduser().is_file():
        raise ValueError("there is no such file")
    return path


Bundle = Annotated[str, AfterValidator(_is_there)]
"""Path of a PEM file, or `auto` for this machine's own."""


class HostSpec(BaseModel):
    """One entry of `gpurig:hosts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fixed: ClassVar[frozenset[str]] = frozenset({"provider"})
    """Keys that cannot be changed on a living host: another value means another host."""

    in_program: ClassVar[bool] = False
    """Pulumi's program makes the machine, by `machine` of the provider's module `program`; the life cycle then finds it."""

    provider: str
    environments: tuple[str, ...] = Field(
        default=(), description="ML environments to install, by the names of the folders in environments/."
    )
    services: tuple[str, ...] = Field(default=(), description="Services to run, reached through SSH (`rig open`).")
    listeners: tuple[Listener, ...] = Field(
        default=(),
        description="Further sockets that may listen on this host, as address:port; verification fails others.",
    )
    ca_bundle: Bundle | None = Field(
        default=None,
        description="PEM file of certificates to trust besides the usual ones; `auto` takes this machine's own.",
    )
    variables: dict[VariableName, Any] = Field(
        default_factory=dict,
        description="Ansible variables for this host, such as base_time_zone; see roles/*/README.md.",
    )

    def host_variables(self) -> dict[str, Any]:
        """Ansible variables that follow from the entry, before the user's own."""
        return {"gpurig_ca_bundle": self.ca_bundle} if self.ca_bundle else {}

    def sources(self) -> tuple[str, ...]:
        """The providers that may have this host's machine, in order of preference."""
        return (self.provider,)

    def claims(self) -> dict[str, str]:
        """What only one host of a stack can have: key → value."""
        return {}

    def normalised(self) -> dict[str, Any]:
        """The entry as plain JSON data with every default filled in."""
        return self.model_dump(mode="json")

    def fingerprint(self) -> str:
        """A short hash of the keys that cannot be changed on a living host."""
        return fingerprint(self.normalised(), self.fixed)


def fingerprint(spec: dict[str, Any], fixed: frozenset[str]) -> str:
    """A short hash of a normalised spec's fixed keys."""
    text = json.dumps({key: spec.get(key) for key in sorted(fixed)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
