"""Conda environments, by pixi: it makes a lock of an environment.yml here, and installs it on the host.

pixi is not installed by us on this computer: the one on PATH is used, and only where an environment.yml is to be locked.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from gpurig.errors import RigError

FILE, MANIFEST, LOCK = "environment.yml", "pixi.toml", "pixi.lock"

MADE_FROM = f"# {FILE}: sha256:"
"""Begins the line in which pixi.toml notes the digest of what it was made from."""


def lock(folder: Path, *, report: Callable[[str], object]) -> list[Path]:
    """Make pixi.toml and pixi.lock from environment.yml, for Linux on x86-64; both are replaced, or neither.

    Raises RigError where pixi is missing or could not do it.
    """
    pixi = shutil.which("pixi")
    if not pixi:
        raise RigError(
            f"{folder / FILE}: pixi makes its lock, and is not on PATH here. Install it as pixi's own documentation says, "
            f"then run `rig env lock {folder.name}` again."
        )
    report(f"{folder.name}: locking by pixi")
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / folder.name
        project.mkdir()
        source = folder / FILE
        shutil.copy(source, project)
        _run([pixi, "init", str(project), "--format=pixi", f"--import={project / FILE}", "--platform=linux-64"], source)
        _run([pixi, "lock", f"--manifest-path={project / MANIFEST}"], source)
        manifest = project / MANIFEST
        manifest.write_text(f"{MADE_FROM}{_digest(source)}\n{manifest.read_text(encoding='utf-8')}", encoding="utf-8")
        for name in (MANIFEST, LOCK):
            beside = folder / f".{name}.new"
            shutil.copy(project / name, beside)
        for name in (MANIFEST, LOCK):
            (folder / f".{name}.new").replace(folder / name)
    return [folder / MANIFEST, folder / LOCK]


def stale(folder: Path) -> bool:
    """Whether environment.yml was changed since pixi.toml was made from it."""
    found = re.search(rf"^{re.escape(MADE_FROM)}(\w+)$", (folder / MANIFEST).read_text(encoding="utf-8"), re.MULTILINE)
    return not found or found[1] != _digest(folder / FILE)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _run(command: list[str], source: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RigError(f"{source}: could not be locked. pixi says:\n{done.stderr.strip()}")
