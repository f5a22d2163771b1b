"""What every machine that already exists has in its entry, whatever runs on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from gpurig import gpu_key
from gpurig.spec import HostSpec

HOST_KEY = r"^(SHA256:[A-Za-z0-9+/]{43}|(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+)$"
"""A host key, or its fingerprint, as OpenSSH prints them."""


class Registered(HostSpec):
    """A machine that is reached by SSH, never made and never ended."""

    console: ClassVar[str] = (
        "Compare it at the machine's own console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`)"
    )
    """How its owner reads the host key's fingerprint without the network."""

    drivers: ClassVar[str] = "provided, or managed where gpurig shall install it"
    """What to write as `gpu_driver` of a machine with a GPU."""

    provider: Literal["workstation"]
    address: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_-]*$", description="Name or IP address.")
    port: int = Field(default=22, ge=1, le=65535, description="Port of its sshd.")
    user: str
    identity: str | None = Field(default=None, description="Private key to log in with; default: gpurig's own.")
    host_key: str | None = Field(
        default=None,
        pattern=HOST_KEY,
        description="The machine's host key or its SHA256 fingerprint; else it is confirmed once with `rig register`.",
    )

    gpu_driver: str
    gpu: gpu_key.OwnGpu | None = Field(
        default=None,
        description="Model that verification asks for, such as RTX 4090 (gpurig/gpus.toml); or {name, count}.",
        json_schema_extra=gpu_key.name_or_mapping(*gpu_key.OWN),
    )
    count: int | None = Field(
        default=None, ge=1, le=16, description="How many GPUs verification asks for; 1 where `gpu` names one."
    )

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: Any) -> Any:
        """`gpu: {name, count}` is another way to write two keys, and a GPU without a count is one."""
        found = gpu_key.flat(data, gpu_key.OWN)
        return {"count": 1, **found} if isinstance(found, dict) and isinstance(found.get("gpu"), str) else found

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.gpu_driver == "none" and (self.gpu or self.count):
            asked = "gpu" if self.gpu else "count"
            yield (
                asked,
                f"asks for a GPU, and `gpu_driver` is none; write gpu_driver: {self.drivers}, or remove `{asked}`",
            )

    def claims(self) -> dict[str, str]:
        return {"address": f"{self.address}:{self.port}"}
