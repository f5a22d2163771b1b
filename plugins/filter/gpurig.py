"""Jinja filters of gpurig's roles: names for functions of the gpurig package, without logic of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

from gpurig import certificates, environments, installation, reach
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.torch_build import Machine


def gpurig_extra_certificates(bundle: str) -> list[str]:
    """PEM certificates of a CA bundle that no system trusts by itself; an empty path gives none."""
    try:
        return certificates.extra(bundle)
    except (OSError, ValueError) as error:
        raise AnsibleFilterError(
            f"gpurig_ca_bundle: {error}. Give the path of a PEM file, or leave it empty."
        ) from error


def gpurig_environment(name: str, folder: str, sources: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of that name in that folder, as a dict; see gpurig.environments.Environment. sources: as in environments_sources."""
    try:
        environment = environments.read(Path(folder) / name, sources.get(name))
    except RigError as error:
        raise AnsibleFilterError(str(error)) from error
    return environment.to_dict()


def gpurig_environments(
    names: list[str], folder: str, gpu: dict[str, Any], expected: bool, sources: dict[str, Any]
) -> dict[str, Any]:
    """What a host gets of these environments, and what is wrong with them; see gpurig.installation.chosen."""
    machine = Machine.from_facts(gpu, expected=expected)
    path, here = Path(folder).resolve(), Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path  # problems name files by it
    found, problems = installation.chosen(names, shown, machine, sources)
    return {"environments": [one.to_dict() for one in found], "problems": problems}


def gpurig_environment_objections(
    wanted: list[dict[str, Any]], seen: dict[str, Any], pixi_sha256: str = ""
) -> list[str]:
    """What on the host stands against installing these; see gpurig.installation.objections."""
    return list(installation.objections(wanted, seen, pixi_sha256))


def gpurig_environment_variables(environment: dict[str, Any], home: str) -> dict[str, str]:
    """The variables of one environment; see gpurig.installation.variables."""
    return installation.variables(environment, home)


def gpurig_environment_variables_file(environment: dict[str, Any], home: str) -> str:
    """The same as a file; see gpurig.installation.variables_file."""
    return installation.variables_file(environment, home)


def gpurig_unreachable(host: Mapping[str, Any], name: str, said: str) -> str:
    """Why one machine of a host cannot be reached, with file and key; see gpurig.reach.told. said: by the connection."""
    return str(reach.told(Host.from_dict(host), name, said))


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by the name that templates use."""
        return {
            "gpurig_environment": gpurig_environment,
            "gpurig_environment_objections": gpurig_environment_objections,
            "gpurig_environment_variables": gpurig_environment_variables,
            "gpurig_environment_variables_file": gpurig_environment_variables_file,
            "gpurig_environments": gpurig_environments,
            "gpurig_extra_certificates": gpurig_extra_certificates,
            "gpurig_unreachable": gpurig_unreachable,
        }
