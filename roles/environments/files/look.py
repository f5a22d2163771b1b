"""Looks at what a host has for environments: room, Pythons, virtual environments that are complete. Changes nothing.

Takes JSON: folder, user, uv, pythons (specifiers of versions). Prints JSON; gpurig.installation judges it.
"""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import subprocess
import sys
import urllib.parse
import urllib.request

SECONDS = 20
RELEASES = "/python-build-standalone/releases/download"
"""What a mirror (UV_PYTHON_INSTALL_MIRROR) stands for in the addresses that uv knows."""


def main() -> None:
    asked = json.loads(sys.argv[1])
    folder = pathlib.Path(asked["folder"])
    disk = os.statvfs(str(next(path for path in [folder, *folder.parents] if path.exists())))
    found = {
        "folder": str(folder),
        "free": disk.f_bavail * disk.f_frsize,
        "home": home(asked["user"]),
        "complete": [path.parent.name.split("-", 1)[1] for path in folder.glob("*/.venv-*/.complete")],
        "pythons": {python: look_for(asked["uv"], python) for python in asked["pythons"]},
    }
    sys.stdout.write(json.dumps(found))


def home(user: str) -> str:
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return ""  # not made yet, as with --check on a new host


def look_for(uv: str, python: str) -> dict[str, str]:
    """Where the host has such a Python; else why uv cannot get one."""
    if not os.access(uv, os.X_OK):
        return {"found": "", "error": ""}  # not installed yet
    done = run([uv, "--no-cache", "python", "find", "--no-project", "--no-python-downloads", python])
    if done.returncode == 0:
        return {"found": done.stdout.strip(), "error": ""}
    done = run([uv, "--no-cache", "python", "list", "--only-downloads", "--output-format", "json", python])
    try:
        offered = [one["url"] for one in json.loads(done.stdout) if one["implementation"] == "cpython"]
    except ValueError:
        offered = []
    return {"found": "", "error": refusal(offered[0]) if offered else "uv knows no such version"}


def refusal(url: str) -> str:
    """Why there is nothing to be had at an address; empty where there is."""
    mirror = os.environ.get("UV_PYTHON_INSTALL_MIRROR")
    if mirror and RELEASES in url:
        url = mirror.rstrip("/") + url.split(RELEASES, 1)[1]
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS):  # noqa: S310 (uv's own)
            return ""
    except (OSError, ValueError) as error:
        return f"{url} cannot be reached ({error})"


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


main()
