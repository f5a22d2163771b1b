"""The secret of a host's service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

from gpurig import services

DOCUMENTATION = r"""
name: gpurig_token
short_description: Secret of a service
description:
  - Gives the secret of a host's service, kept on the controller for this user alone; it is made on first use.
  - Takes the folder of the stack from the variable C(gpurig_stack_dir), which the inventory sets.
options:
  _terms:
    description: The host's name, then the service's.
    required: true
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible carries no types
    """A thin wrapper over gpurig.services.token."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        host, service = terms
        return [services.token(Path((variables or {})["gpurig_stack_dir"]), host, service)]
