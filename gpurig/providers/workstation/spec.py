"""Configuration of a machine that already exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from gpurig.host import Capabilities
from gpurig.providers.workstation.registered import Registered
from gpurig.providers.workstation.windows import WindowsSpec
from gpurig.spec import HostSpec


def _known(os: object) -> object:
    if os != "linux":
        raise ValueError("write linux, or windows-wsl2 for Windows with WSL2")
    return os


class Spec(Registered):
    """A Linux machine that is reached by SSH."""

    fixed: ClassVar[frozenset[str]] = frozenset({"provider"})
    variants: ClassVar[Mapping[str, type[HostSpec]]] = {"windows-wsl2": WindowsSpec}

    os: Annotated[Literal["linux"], BeforeValidator(_known)] = "linux"
    user: str = Field(pattern=r"^[a-z_][a-z0-9_-]*$", description="Login user: root, or one with password-less sudo.")
    init: Literal["systemd", "none"] = "systemd"
    gpu_driver: Literal["none", "managed", "provided"] = Field(
        default="none",
        description="`provided` where an NVIDIA driver is installed, `managed` where gpurig shall install it.",
    )

    def capabilities(self) -> Capabilities:
        """What the machine can do."""
        privilege: Literal["root", "sudo"] = "root" if self.user == "root" else "sudo"
        return Capabilities(
            init=self.init, gpu_driver=self.gpu_driver, kernel="own", privilege=privilege, can_stop=False
        )
