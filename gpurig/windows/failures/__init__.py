"""How a Windows PC with WSL2 breaks: one detector for each of 32 ways, over state that was read and what the laptop saw.

A detector is pure, and silent on a PC that is well. Sources stand in the docstrings; docs/windows-failures.md lists them all.
"""

from __future__ import annotations

from collections.abc import Callable

from gpurig.windows.failures import (
    disk,
    firewall,
    gpu,
    inside,
    mirrored,
    network,
    settings,
    starting,
    windows,
    wsl_program,
)
from gpurig.windows.failures.case import STEPS, Case, Failure, Link
from gpurig.windows.failures.names import NAMES

__all__ = ["FAILURES", "NAMES", "STEPS", "Case", "Failure", "Link", "detect"]

Detector = Callable[[Case], Failure | None]

FAILURES: dict[int, Detector] = {
    1: wsl_program.stub,
    2: starting.idle,
    3: starting.session,
    4: wsl_program.other_user,
    5: wsl_program.as_system,
    6: wsl_program.no_virtualization,
    7: wsl_program.bad_state,
    8: wsl_program.no_logon_right,
    9: wsl_program.no_source,
    10: wsl_program.updated,
    11: network.elsewhere,
    12: network.no_listener,
    13: firewall.blocked,
    14: mirrored.blocked,
    15: mirrored.unsupported,
    16: network.no_network,
    17: inside.clock,
    18: network.no_sharing,
    19: inside.sshd,
    20: gpu.not_on_path,
    21: gpu.blocked,
    22: gpu.cosmetic,
    23: settings.without_effect,
    24: settings.half_read,
    25: starting.keeper,
    26: inside.degraded,
    27: disk.full,
    28: disk.memory,
    29: windows.public_network,
    30: windows.key_rejected,
    31: network.no_relay,
    32: inside.docker,
}
"""Number → its detector. The names are in names.py."""


def detect(case: Case) -> list[Failure]:
    """All that is found, from outside in."""
    found = [failure for detector in FAILURES.values() if (failure := detector(case)) is not None]
    return sorted(found, key=lambda failure: (STEPS.index(failure.at), failure.number))
