"""Twins: files and who may do what with them.

machine.data["files"]: path → Base64 of its bytes; ["times"]: path → when it was written; ["acls"]: path → {owner, sids, inherited}.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any

from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.model.twins import twin

PROTECTED = ("C:\\Windows\\", "C:\\Program Files\\", "C:\\ProgramData\\ssh\\", "C:\\ProgramData\\gpurig\\")
"""Where only administrators write."""


def digest(machine: Machine, path: str) -> str:
    """SHA-256 of a file; empty where it is not there."""
    held = machine.data["files"].get(path)
    return "" if held is None else hashlib.sha256(base64.b64decode(held)).hexdigest()


@twin("apply/file_write")
def file_write(machine: Machine, *, path: str, content: str = "", before: str = "") -> dict[str, Any]:
    present = digest(machine, path)
    if present == hashlib.sha256(base64.b64decode(content, validate=True)).hexdigest():
        return {"changed": False, "data": None}
    _unchanged(path, present, before)
    _writable(machine, path)
    machine.step()  # the new file lies beside the old one
    machine.data["files"][path] = content
    # Time passes on a real PC, and what is written after WSL started is newer than it.
    machine.data["now"] = (datetime.fromisoformat(machine.data["now"]) + timedelta(seconds=1)).isoformat()
    machine.data.setdefault("times", {})[path] = machine.data["now"]
    return {"changed": True, "data": None}


@twin("apply/file_remove")
def file_remove(machine: Machine, *, path: str, before: str) -> dict[str, Any]:
    present = digest(machine, path)
    if not present:
        return {"changed": False, "data": None}
    _unchanged(path, present, before)
    _writable(machine, path)
    for held in ("files", "times", "acls"):
        machine.data.get(held, {}).pop(path, None)
    return {"changed": True, "data": None}


@twin("apply/acl_set")
def acl_set(machine: Machine, *, path: str, sids: list[str]) -> dict[str, Any]:
    files = machine.data["files"]
    if path not in files and not any(one.startswith(f"{path}\\") for one in files):
        raise PowerShellError(f"{path} is not there.")
    for sid in sids:
        if not sid.startswith("S-1-"):
            raise PowerShellError("Value was invalid.", code="ConstructorInvokedThrowException,NewObjectCommand")
    machine.require_admin()
    acls = machine.data.setdefault("acls", {})
    owner = acls.get(path, {}).get("owner", machine.user["sid"])
    acls[path] = {"owner": owner, "sids": list(sids), "inherited": False}
    return {"changed": True, "data": None}


def _unchanged(path: str, present: str, before: str) -> None:
    if present != before:
        raise PowerShellError(f"{path} has changed since it was read. Run this again.")


def _writable(machine: Machine, path: str) -> None:
    if path.startswith(PROTECTED):
        machine.require_admin()
