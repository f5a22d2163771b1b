#!/usr/bin/python
"""Gathers the few facts that gpurig's roles ask for. `setup` gathers the same ones and a hundred more, in ten times the time."""

from __future__ import annotations

import platform
import socket
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
    module: gpurig_release
    short_description: Distribution, name and addresses of a host
    description:
        - Returns C(ansible_facts.distribution), C(ansible_facts.distribution_version) and C(ansible_facts.distribution_release)
          as M(ansible.builtin.setup) does, from C(/etc/os-release), and C(ansible_facts.kernel) and C(ansible_facts.architecture).
        - C(ansible_facts.hostname) and C(ansible_facts.all_ipv6_addresses) are those by which others may call the host, without
          loopback and without addresses that hold within one link only; sorted.
    options: {}
    author: gpurig
"""

ADDRESSES = Path("/proc/net/if_inet6")
"""The kernel's own table, since a program such as `ip` takes longer to start than this to read."""

GLOBAL = "00"
"""The scope in the fourth field of if_inet6."""


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec={"gather_subset": {"type": "list"}}, supports_check_mode=True)
    try:
        release = platform.freedesktop_os_release()
    except OSError as error:
        module.fail_json(msg=f"The host does not say which Linux it is: {error}")
        raise
    module.exit_json(
        ansible_facts={
            "ansible_distribution": release.get("NAME", "").split(" ")[0],
            "ansible_distribution_version": release.get("VERSION_ID", ""),
            "ansible_distribution_release": release.get("VERSION_CODENAME", ""),
            "ansible_kernel": platform.release(),
            "ansible_architecture": platform.machine(),
            "ansible_hostname": platform.node().partition(".")[0],
            "ansible_all_ipv6_addresses": ipv6(),
        }
    )


def ipv6() -> list[str]:
    """Addresses of this host in global scope, private ones included."""
    try:
        lines = ADDRESSES.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:  # IPv6 is off
        return []
    found = [line.split() for line in lines]
    return sorted(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])) for words in found if words[3] == GLOBAL)


if __name__ == "__main__":
    main()
