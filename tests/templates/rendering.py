"""Roles' templates and variables as Ansible itself evaluates them, without a host.

Variables come, weakest first, from BASELINE (what inventory and facts give), the role's defaults, its vars, and the test's own.
An undefined variable is an error, as it is in a play.
"""

from __future__ import annotations

import functools
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader, lookup_loader
from ansible.template import Templar, trust_as_template

from gpurig import catalogue

ROLES = catalogue.ROOT / "roles"

BASELINE: dict[str, Any] = {
    "ansible_check_mode": False,
    "ansible_facts": {"distribution": "Debian", "distribution_release": "bookworm", "distribution_version": "12"},
    "ansible_port": 22,
    "ansible_user": "dev",
    "gpurig_environments": ["starter"],
    "gpurig_services": ["jupyter", "tensorboard"],
    "gpurig_user": "dev",
    "inventory_hostname": "demo",
}


def render(role: str, template: str, **variables: Any) -> str:
    """The text that a template of a role becomes."""
    source = trust_as_template((ROLES / role / "templates" / template).read_text(encoding="utf-8"))
    # As ansible.builtin.template does it: blocks leave no empty lines, the last line keeps its end.
    overrides = {"trim_blocks": True, "keep_trailing_newline": True}
    return str(_templar(role, variables).copy_with_new_env(**overrides).template(source))


def evaluate(role: str, name: str, **variables: Any) -> Any:
    """The value of one of a role's variables."""
    return _templar(role, variables).template(trust_as_template("{{ " + name + " }}"))


def _templar(role: str, variables: dict[str, Any]) -> Templar:
    loader = _loader()
    loader.set_basedir(str(ROLES / role))
    found = dict(BASELINE, role_path=str(ROLES / role), ansible_search_path=[str(ROLES / role)])
    for part in ("defaults", "vars"):
        found |= loader.load_from_file(str(ROLES / role / part / "main.yml"), trusted_as_template=True) or {}
    found |= variables
    return Templar(loader, variables=found)


@functools.cache
def _loader() -> DataLoader:
    init_plugin_loader([])
    filter_loader.add_directory(str(catalogue.ROOT / "plugins/filter"))
    lookup_loader.add_directory(str(catalogue.ROOT / "plugins/lookup"))
    return DataLoader()
