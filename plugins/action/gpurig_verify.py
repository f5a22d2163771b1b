"""Verify hosts of a gpurig stack."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from gpurig import verification
from gpurig.errors import RigError
from gpurig.report import page_of
from gpurig.report_table import text
from gpurig.stack import open_stack

DOCUMENTATION = r"""
name: gpurig_verify
short_description: Prove that hosts are what they should be
description:
  - Runs the checks of tests/verify on the controller against these hosts, writes their reports, and fails when one FAILs.
options:
  hosts:
    description: Names of hosts of the stack.
    type: list
    elements: str
    required: true
  stack:
    description: Name of the stack.
    type: str
    required: true
  quick:
    description: Leave out what takes long.
    type: bool
    default: false
  burn:
    description: Minutes for which the GPUs are also kept under full load; not together with quick.
    type: float
    default: 0
"""

WIDTH = 120
"""Columns of the table."""


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible carries no types
    """A thin wrapper over gpurig.verification."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str", "required": True},
                "stack": {"type": "str", "required": True},
                "quick": {"type": "bool", "default": False},
                "burn": {"type": "float", "default": 0.0},
            }
        )
        quick, burn = given["quick"], given["burn"]
        try:
            stack = open_stack(given["stack"])
            verification.check_options(quick=quick, burn=burn)
            reports = verification.verify(stack, given["hosts"], quick=quick, burn=burn)
        except RigError as error:
            return {**result, "failed": True, "msg": str(error)}
        self._display.display(text(reports, width=WIDTH))
        failed = [found.host for found in reports if found.verdict == "FAIL"]
        page = page_of(stack)
        said = f"Verification failed: {', '.join(failed)}. " if failed else ""
        return {**result, "failed": bool(failed), "msg": f"{said}Report: {page}"}
