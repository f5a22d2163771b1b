"""Ansible inventory of a gpurig stack."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any, TypedDict

from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.template import trust_as_template

from gpurig import access, records
from gpurig.errors import RigError
from gpurig.host import Capabilities, Endpoint, Host
from gpurig.stack import Stack, open_stack
from gpurig.windows import variables as windows

DOCUMENTATION = r"""
name: gpurig
short_description: Hosts of a gpurig stack
description:
  - Reads the Host records that C(pulumi up) or C(rig up) left on this machine, and asks nobody else.
  - The stack is O(stack), else the environment variable E(GPURIG_STACK), else the one that Pulumi has selected,
    else the last one that C(rig up) used.
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: Marks the file as this plugin's.
    required: true
    choices: [gpurig]
  stack:
    description: Name of the stack.
    type: str
"""

EXAMPLES = r"""
plugin: gpurig
keyed_groups:
  - key: gpurig_services
    prefix: service
"""


HTTPS_PORT = 5986
"""Of Windows Remote Management."""


class HostVariables(TypedDict, total=False):
    """Every variable that this plugin sets on a host, besides those that the configuration lists under `variables`.

    gpurig_host: the Host record. gpurig_capabilities: this machine's own, since a guest's differ from its host's.
    gpurig_stack_dir: the stack's folder on the controller, for keys and tokens. gpurig_ssh_config: SSH's settings there.
    """

    ansible_host: str
    ansible_port: int
    ansible_user: str
    ansible_ssh_args: str
    ansible_become: bool
    ansible_shell_type: str
    ansible_connection: str
    ansible_password: str
    ansible_psrp_auth: str
    ansible_psrp_protocol: str
    ansible_psrp_cert_validation: str
    ansible_winrm_scheme: str
    ansible_winrm_transport: str
    ansible_winrm_server_cert_validation: str
    ansible_python_interpreter: str
    gpurig_host: dict[str, Any]
    gpurig_capabilities: dict[str, Any]
    gpurig_user: str
    gpurig_shell: str
    gpurig_environments: list[str]
    gpurig_services: list[str]
    gpurig_stack_dir: str
    gpurig_ssh_config: str


class InventoryModule(BaseInventoryPlugin, Constructable):  # type: ignore[misc]  # Ansible carries no types
    """One inventory host per machine of every record; grouping is left to `constructed`."""

    NAME = "gpurig"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("gpurig.yml", "gpurig.yaml"))

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            stack = open_stack(self.get_option("stack"))
            hosts = records.load(stack)
        except RigError as error:
            raise AnsibleParserError(str(error)) from error
        inventory.add_group("gpurig")
        for host in hosts.values():
            own = windows.of_host(stack, host) if host.guest else host.variables
            if host.guest:  # so that `--limit home` means both
                inventory.add_group(host.name)
            for name, endpoint, capabilities in host.machines():
                inventory.add_host(name, group="gpurig")
                if host.guest:
                    inventory.add_host(name, group=host.name)
                self._set(name, {**host_variables(stack, host, name, endpoint, capabilities), **own})

    def _set(self, name: str, variables: dict[str, Any]) -> None:
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def host_variables(
    stack: Stack, host: Host, name: str, endpoint: Endpoint, capabilities: Capabilities
) -> HostVariables:
    """The variables of one machine of a record. SSH's settings all come from the stack's own ssh_config."""
    record = host.to_dict()
    works_here = name == host.work()[0]
    variables = HostVariables(
        ansible_host=name,
        ansible_port=endpoint.port,
        ansible_user=endpoint.user,
        ansible_ssh_args=f"-F {shlex.quote(str(access.config_file(stack)))}",
        ansible_become=capabilities.privilege == "sudo" and endpoint.shell == "sh",
        gpurig_host=record,
        gpurig_capabilities=asdict(capabilities),
        gpurig_user=endpoint.user,
        gpurig_shell=endpoint.shell,
        gpurig_environments=record["environments"] if works_here else [],
        gpurig_services=record["services"] if works_here else [],
        gpurig_stack_dir=str(stack.dir),
        gpurig_ssh_config=str(access.config_file(stack)),
    )
    if endpoint.shell == "powershell":
        variables["ansible_shell_type"] = "powershell"
        if host.spec.get("connection", "ssh") != "ssh":
            variables.update(_over_http(host))
    else:
        variables["ansible_python_interpreter"] = "/usr/bin/python3"
    return variables


def _over_http(host: Host) -> HostVariables:
    """Windows' own remote management over HTTPS. The password is looked up when it is needed, and is in no record."""
    found = HostVariables(
        ansible_host=host.endpoint.address,
        ansible_port=HTTPS_PORT,
        ansible_password=trust_as_template("{{ lookup('gpurig_secret', 'GPURIG_WINDOWS_PASSWORD') }}"),
    )
    if host.spec["connection"] == "psrp":
        found["ansible_connection"] = "ansible.builtin.psrp"
        found["ansible_psrp_auth"] = "negotiate"
        found["ansible_psrp_protocol"] = "https"
        found["ansible_psrp_cert_validation"] = "validate"
    else:
        found["ansible_connection"] = "ansible.builtin.winrm"
        found["ansible_winrm_scheme"] = "https"
        found["ansible_winrm_transport"] = "ntlm"
        found["ansible_winrm_server_cert_validation"] = "validate"
    return found
