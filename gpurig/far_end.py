"""The host's side of `rig sync`: sent there as text and run with the host's own Python (3.8 or later, nothing else).

A folder that is synced has `.gpurig/` in it, which is this program's:

    manifest.json   path → SHA-256 of everything that syncs put here (null for links and folders)
    pending.json    paths that a sync is about to put here; gone when it has ended
    partial/        files that a broken transfer left half way, for rsync to go on with
    temporary/      where rsync writes files before they take their names
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

CHUNK = 1 << 18


def begin(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Prepare for the files named in the request, path → size. Deletes what earlier syncs put here and is gone there.

    A file that was changed here since is kept. Returns where to put things, room, and what was deleted and kept.
    """
    state = folder / ".gpurig"
    for name in ("partial", "temporary"):
        (state / name).mkdir(parents=True, exist_ok=True)
    for stale in (state / "temporary").iterdir():
        stale.unlink()
    noted = _read(state / "manifest.json") or {}
    pending = _read(state / "pending.json")
    coming = request["files"]
    gone = sorted({*noted, *(pending or ())} - set(coming), reverse=True)
    outcome = {path: _delete(folder, path, noted, path in (pending or ())) for path in gone}
    _write(state / "pending.json", sorted({*(pending or ()), *coming}))
    return {
        "state": str(state),
        "interrupted": pending is not None,
        "missing": sum(size for path, size in coming.items() if not os.path.lexists(folder / path)),
        "free": shutil.disk_usage(folder).free,
        "deleted": [path for path, done in outcome.items() if done],
        "kept": [path for path, done in outcome.items() if not done],
    }


def finish(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Compare files with the hashes in the request; where all agree, note the whole manifest. Returns those that do not."""
    state = folder / ".gpurig"
    wanted, check = request["manifest"], request["check"]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        agrees = list(pool.map(lambda path: _agrees(folder / path, wanted[path]), check))
    bad = [path for path, fine in zip(check, agrees) if not fine]  # noqa: B905 (`strict` came with Python 3.10)
    if not bad:
        _write(state / "manifest.json", wanted)
        (state / "pending.json").unlink()
        shutil.rmtree(state / "partial", ignore_errors=True)
    return {"bad": bad}


def _delete(folder: Path, path: str, noted: dict[str, str | None], interrupted: bool) -> bool:
    """Delete one path and the folders that it leaves empty. False where it stays because it was changed here."""
    full = folder / path
    if not os.path.lexists(full):
        return True
    if not interrupted and not _agrees(full, noted[path]):
        return False
    with suppress(OSError):  # a folder that is in use again
        full.rmdir() if full.is_dir() and not full.is_symlink() else full.unlink()
        for parent in full.parents:
            if parent == folder:
                break
            parent.rmdir()
    return True


def _agrees(file: Path, digest: str | None) -> bool:
    """Whether a file has this SHA-256; without one, whether anything is there."""
    return os.path.lexists(file) if digest is None else _digest(file) == digest


def _digest(file: Path) -> str | None:
    total = hashlib.sha256()
    try:
        with file.open("rb", buffering=0) as data:
            for chunk in iter(lambda: data.read(CHUNK), b""):
                total.update(chunk)
    except OSError:
        return None
    return total.hexdigest()


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(file: Path, data: Any) -> None:
    draft = file.with_name(file.name + ".new")
    draft.write_text(json.dumps(data), encoding="utf-8")
    draft.replace(file)


def main(action: str, folder: str) -> None:
    """Read a request from stdin, write the answer to stdout."""
    place = Path.home() / folder
    place.mkdir(parents=True, exist_ok=True)
    answer = {"begin": begin, "finish": finish}[action](place.resolve(), json.load(sys.stdin))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
