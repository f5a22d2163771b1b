"""Jinja filters of gpurig's roles: names for functions of the gpurig package, without logic of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

from gpurig import certificates, environments
from gpurig.errors import RigError


def gpurig_extra_certificates(bundle: str) -> list[str]:
    """PEM certificates of a CA bundle that no system trusts by itself; an empty path gives none."""
    try:
        return certificates.extra(bundle)
    except (OSError, ValueError) as error:
        raise AnsibleFilterError(
            f"gpurig_ca_bundle: {error}. Give the path of a PEM file, or leave it empty."
        ) from error


def gpurig_environment(name: str, source: str) -> dict[str, Any]:
    """The environment of that name in the folder `source`, as a dict; see gpurig.environments.Environment."""
    try:
        environment = environments.read(Path(source) / name)
    except RigError as error:
        raise AnsibleFilterError(str(error)) from error
    return environment.to_dict()


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by the name that templates use."""
        return {
            "gpurig_environment": gpurig_environment,
            "gpurig_extra_certificates": gpurig_extra_certificates,
        }
