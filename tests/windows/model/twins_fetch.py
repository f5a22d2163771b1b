"""Twins: files from the internet, and packages installed from them.

machine.data["blobs"]: path → {sha256, size, msi} of a big file on the PC. machine.data["internet"]: URL → the same, for what differs
from the pinned files; None where the server does not know it.
"""

from __future__ import annotations

import tomllib
from typing import Any

from gpurig.windows import packages, questions, wire
from tests.windows.model import wsl_vm
from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.model.twins import twin

MB = 10**6

BUSY, NOT_ELEVATED, OTHER_VERSION = 1618, 1925, 1638


def internet(machine: Machine) -> dict[str, dict[str, Any] | None]:
    """What https:// gives."""
    pinned = tomllib.loads((wire.FOLDER.parent / "wsl.toml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any] | None] = {}
    for one in (pinned["msi"], *pinned["distributions"].values()):
        for architecture in ("amd64", "arm64"):
            file = {"sha256": one[architecture]["sha256"], "size": 400 * MB, "msi": one.get("version", "")}
            found[one[architecture]["url"]] = file
    return {**found, **machine.data.get("internet", {})}


@twin("apply/file_fetch")
def file_fetch(machine: Machine, *, url: str, sha256: str, path: str) -> dict[str, Any]:
    blobs = machine.data.setdefault("blobs", {})
    if blobs.get(path, {}).get("sha256") == sha256:
        return {"changed": False, "data": None}
    if url == path:
        _confirm(blobs.get(path), sha256, path)
    protect(machine)
    source = internet(machine).get(url) if url.startswith("https://") else blobs.get(url)
    if url.startswith("https://") and source is None:
        raise PowerShellError(f"{url}: curl ended with 22: curl: (22) The requested URL returned error: 404")
    if source is None:
        raise PowerShellError(f"Cannot find path '{url}' because it does not exist.", code="PathNotFound")
    drive = machine.data["drives"][path[0]]
    if drive["free"] < source["size"]:
        raise PowerShellError(f"{url}: curl ended with 23: curl: (23) Failure writing output to destination")
    blobs[f"{path}.partial"] = {"sha256": "", "size": 0}
    machine.step()
    del blobs[f"{path}.partial"]
    _confirm(source, sha256, url)
    drive["free"] -= source["size"]
    blobs[path] = dict(source)
    return {"changed": True, "data": None}


@twin("apply/msi_install")
def msi_install(machine: Machine, *, path: str, sha256: str, repair: bool) -> dict[str, Any]:
    found = machine.data.setdefault("blobs", {}).get(path)
    _confirm(found, sha256, path)
    wsl = machine.data["wsl"]
    code = 0
    if not machine.data["login"]["elevated"]:
        code = NOT_ELEVATED
    elif wsl.get("msi_busy"):
        code = BUSY
    elif wsl["version"] and _version(wsl["version"]) > _version(found["msi"]):
        code = OTHER_VERSION
    if code:
        raise PowerShellError(f"msiexec /i {path} ended with {code}; its log: {path}.log")
    same = bool(wsl["version"]) and _version(wsl["version"]) == _version(found["msi"])
    if repair is not same:  # maintenance of what is installed, REINSTALL of what is not: both change nothing
        return {"changed": True, "data": {"code": 0, "reboot": False}}
    wsl_vm.shutdown(machine)
    machine.step()  # what an interrupted installation did is undone at the next start
    wsl["version"] = found["msi"]
    if wsl.get("fails") == "REGDB_E_CLASSNOTREG":
        del wsl["fails"]
    machine.registry(wsl_vm.MSI)["InstallLocation"] = "C:\\Program Files\\WSL\\"
    machine.data["services"]["WSLService"] = {"state": "running", "start": "auto"}
    return {"changed": True, "data": {"code": 0, "reboot": False}}


def protect(machine: Machine) -> None:
    """Protect-Folder: only administrators write in our folder from now on."""
    machine.require_admin()
    acls, trusted = machine.data.setdefault("acls", {}), ["S-1-5-18", "S-1-5-32-544"]
    for folder in (questions.FOLDER, packages.DOWNLOADS):
        owner = acls.get(folder, {"owner": trusted[0]})["owner"]
        if owner not in {*trusted, machine.user["sid"]}:
            problem = f"{folder} belongs to {owner}, who could change what an administrator runs; remove it"
            raise PowerShellError(problem)
    acls[questions.FOLDER] = {"owner": trusted[1], "sids": trusted, "inherited": False}


def _confirm(found: dict[str, Any] | None, wanted: str, source: str) -> None:
    if found is None:
        raise PowerShellError(f"{source}: there is no such file")
    if found["sha256"] != wanted:
        raise PowerShellError(f"{source}: its SHA-256 is {found['sha256']}, not {wanted}")


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
