"""Jinja filters of role services: names for functions of the gpurig package, without logic of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpurig import exposure, service_checks, services


def gpurig_exposure_problems(
    names: list[str], expose: Mapping[str, str], ports: Mapping[str, int], user: str
) -> list[str]:
    """What is wrong with a host's services, which run as this user, and what it exposes of them; see gpurig.exposure.problems."""
    first = 1 if user == "root" else service_checks.FIRST_OPEN_PORT
    found = exposure.problems(tuple(names), expose, {"services_ports": dict(ports)}, first_port=first)
    return [f"{key}: {problem}" for key, problem in found]


def gpurig_services_lacking(names: list[str], environments: Mapping[str, str | None], folder: str) -> list[str]:
    """Services whose environment has not what they run; see gpurig.exposure.lacking."""
    return list(exposure.lacking(names, environments, Path(folder).resolve()))


def gpurig_service_conflicts(
    seen: Mapping[str, Any],
    names: list[str],
    expose: Mapping[str, str],
    ports: Mapping[str, int],
    environments: list[str],
) -> list[str]:
    """What stands in the way on the host itself; see gpurig.exposure.conflicts."""
    return list(exposure.conflicts(seen, tuple(names), expose, {"services_ports": dict(ports)}, environments))


def gpurig_quoted(value: object) -> str:
    """A variable's value for a service's file; see gpurig.services.quoted."""
    return services.quoted(value)


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by the name that templates use."""
        return {
            "gpurig_exposure_problems": gpurig_exposure_problems,
            "gpurig_quoted": gpurig_quoted,
            "gpurig_service_conflicts": gpurig_service_conflicts,
            "gpurig_services_lacking": gpurig_services_lacking,
        }
