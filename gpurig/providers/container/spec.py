"""Configuration of a container host."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from gpurig.spec import Bundle, HostSpec


class Spec(HostSpec):
    """A Podman container with sshd, and with systemd unless told otherwise."""

    fixed: ClassVar[frozenset[str]] = frozenset({"provider", "init", "image", "port"})

    provider: Literal["container"]
    init: Literal["systemd", "none"] = Field(
        default="systemd", description="`systemd` like a virtual machine; `none` like a Vast.ai or RunPod container."
    )
    image: str | None = Field(default=None, description="Local image to use instead of the one that gpurig builds.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="SSH port on 127.0.0.1; a free one is chosen and then kept."
    )
    cpus: float | None = Field(default=None, gt=0, le=1024, description="Limit, in processors.")
    memory: float | None = Field(default=None, ge=0.125, le=4096, description="Limit, in GB (10^9 bytes).")
    ca_bundle: Bundle | None = Field(
        default="auto",
        description="PEM file of certificates to trust besides the usual ones; `auto` takes this machine's own; null for none.",
    )

    def claims(self) -> dict[str, str]:
        return {"port": f"127.0.0.1:{self.port}"} if self.port else {}
