"""A secret of the stack."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from gpurig import accounts
from gpurig.errors import RigError
from gpurig.stack import open_stack

DOCUMENTATION = r"""
name: gpurig_secret
short_description: Secret of a stack by the name of its environment variable
description:
  - Gives the environment variable of that name, else what C(gpurig:secrets) has for it in C(Pulumi.<stack>.yaml), which
    Pulumi's CLI decrypts.
options:
  _terms:
    description: The variable's name.
    required: true
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible carries no types
    """A thin wrapper over gpurig.accounts.provide."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        (name,) = terms
        stack = ((variables or {}).get("gpurig_host") or {}).get("stack")
        try:
            if name not in os.environ:
                accounts.provide(open_stack(stack), report=Display().warning)
        except RigError as error:
            raise AnsibleLookupError(str(error)) from error
        if not os.environ.get(name):
            raise AnsibleLookupError(f"{name} is not set: put it in the environment, or under gpurig:secrets.{name}.")
        return [os.environ[name]]
