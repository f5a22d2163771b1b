"""Jinja filters of the roles for GPU software: names for functions of the gpurig package, without logic of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError

from gpurig import docker_daemon, gpu_driver, gpu_packages, gpu_software


def gpurig_gpu_software(facts: Mapping[str, Any], **wanted: Any) -> dict[str, Any]:
    """The Decision as a dict; see gpurig.gpu_software.Wanted for what may be asked. Numbers count as text."""
    given = {name: str(value) for name, value in wanted.items()}
    decision = gpu_software.decide(facts, gpu_software.Wanted(**given))
    # Plain JSON has lists only.
    return {
        name: {key: list(item) if isinstance(item, tuple) else item for key, item in part.items()}
        if isinstance(part, dict)
        else part
        for name, part in asdict(decision).items()
    }


def gpurig_docker_settings(text: str, gpu: str) -> str:
    """daemon.json with what containers need for GPUs."""
    try:
        return docker_daemon.merged(text, gpu)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


def gpurig_docker_listeners(text: str, units: str, defaults: str) -> list[str]:
    """Where Docker's API would listen on a network."""
    try:
        return docker_daemon.listeners(text, units, defaults)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by the name that templates use."""
        return {
            "gpurig_candidate": gpu_packages.candidate,
            "gpurig_docker_listeners": gpurig_docker_listeners,
            "gpurig_docker_settings": gpurig_docker_settings,
            "gpurig_driver_missing": gpu_packages.missing,
            "gpurig_driver_reboot": gpu_driver.reboot,
            "gpurig_fabric_manager": gpu_packages.fabric_manager,
            "gpurig_gpu_software": gpurig_gpu_software,
            "gpurig_packages": gpu_packages.installed,
        }
