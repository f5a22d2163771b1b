"""What a user writes about a host: the keys that every provider shares.

Each provider adds its own keys in `gpurig/providers/<name>/spec.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from gpurig.host import Guest

Listener = Annotated[str, StringConstraints(pattern=r"^(\*|[0-9.]+|\[[0-9a-fA-F:]*\]):[0-9]{1,5}$")]
"""Address and port of a socket, as `ss` shows it: 127.0.0.1:9100, [::]:80, *:80."""


VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _is_there(path: str) -> str:
    if path != "auto" and not Path(path).expanduser().is_file():
        raise ValueError("there is no such file")
    return path


Bundle = Annotated[str, AfterValidator(_is_there)]
"""Path of a PEM file, or `auto` for this machine's own."""


SourceRange = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
"""A range of addresses such as 192.168.1.0/24; gpurig.exposure judges it, also one that was left out."""


def _in_quotes(pattern: str, example: str) -> BeforeValidator:
    """A version as text of this form. YAML reads one without quotes as a number, and 13.10 as 13.1."""

    def check(value: object) -> object:
        if isinstance(value, str) and re.fullmatch(pattern, value):
            return value
        raise ValueError(f'write a version in quotes, such as "{example}"')

    return BeforeValidator(check)


DriverBranch = Annotated[str, StringConstraints(pattern=r"^[0-9]{3}$"), _in_quotes(r"[0-9]{3}", "580")]
ToolkitVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$"), _in_quotes(r"[0-9]+\.[0-9]+", "13.0")]


class HostSpec(BaseModel):
    """One entry of `gpurig:hosts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fixed: ClassVar[frozenset[str]] = frozenset({"provider"})
    """Keys that cannot be changed on a living host: another value means another host."""

    in_program: ClassVar[bool] = False
    """Pulumi's program makes the machine, by `machine` of the provider's module `program`; the life cycle then finds it."""

    variants: ClassVar[Mapping[str, type[HostSpec]]] = {}
    """Value of the key `os` → the class of entries that have it, where a provider has several."""

    provider: str
    environments: tuple[str, ...] = Field(
        default=(), description="ML environments to install, by the names of the folders in environments/."
    )
    services: tuple[str, ...] = Field(default=(), description="Services to run, reached through SSH (`rig open`).")
    listeners: tuple[Listener, ...] = Field(
        default=(),
        description="Further sockets that may listen on this host, as address:port; verification fails others.",
    )
    expose: dict[str, SourceRange] = Field(
        default_factory=dict,
        description=(
            "Services that a network may reach past SSH, unencrypted: service → the addresses that are let in, such as "
            "mlflow: 192.168.1.0/24. At the service's port plus 10000. Only services that have a login."
        ),
    )
    nvidia_driver: DriverBranch | None = Field(
        default=None,
        description='Branch of the NVIDIA driver, such as "580", where gpu_driver is managed; what is usual where left out.',
    )
    cuda_toolkit: ToolkitVersion | None = Field(
        default=None,
        description='CUDA toolkit to install for compiling, such as "13.0"; not in containers. PyTorch needs none: it brings its own.',
    )
    container_engine: Literal["docker", "podman"] | None = Field(
        default=None, description="Runs containers, with the GPUs where there are some. Docker is used over SSH only."
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
        found: dict[str, Any] = {"gpurig_ca_bundle": self.ca_bundle} if self.ca_bundle else {}
        found |= {"gpurig_expose": self.expose} if self.expose else {}
        software = {
            "nvidia_driver_branch": self.nvidia_driver,
            "cuda_toolkit_version": self.cuda_toolkit,
            "container_engine_name": self.container_engine,
        }
        return found | {name: value for name, value in software.items() if value}

    def problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with the entry and no single key can tell: key → what to write, without a full stop."""
        return iter(())

    def names(self, host: str) -> tuple[str, ...]:
        """Every name that SSH and Ansible know this host by."""
        return (host,)

    def guest(self, host: str, host_key: str) -> Guest | None:
        """The second machine inside this one, if any. host_key: public half of the one that is put in."""
        return None

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
