"""Configuration of a host at Lambda."""

from __future__ import annotations

from typing import Literal

from gpurig.rental import RentalSpec


class Spec(RentalSpec):
    """A virtual machine at Lambda: Ubuntu with systemd, sudo. Its disk has the size that its type has."""

    provider: Literal["lambdalabs"]
