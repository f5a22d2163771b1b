"""Whether a rented machine is what was paid for. Stub until the checks are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpurig.host import Host
from gpurig.providers import Report
from gpurig.rental import RentalSpec
from gpurig.stack import Stack


def check(stack: Stack, host: Host, spec: RentalSpec, promised: Mapping[str, Any], *, report: Report) -> None:
    """Raise BrokenError where the machine is not what was paid for."""
