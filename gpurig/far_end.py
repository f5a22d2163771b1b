"""The host's side of `rig sync`: sent there as text and run with the host's own Python (3.8 or later, nothing else).

A folder that is synced has `.gpurig/` in it, which is this program's:

    manifest.json   path → SHA-256 of everything that syncs put here (null for links and folders)
    pending.json    paths that a sync is about to put here; gone when it has ended
    partial/        files that a broken transfer left half way, for rsync to go on with
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import shutil
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

CHUNK, SMALL_BYTES = 1 << 18, 1 << 16
"""A chunk is hashed and written while it is in the processor's cache."""

PIPE_BYTES = 1 << 20
BATCH = 500
"""Files that one thread compares before it looks for more; a thread per file costs more than it saves."""


def begin(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Prepare for what the request names: path → [kind, size, mtime in ns, mode, link]. Tells what is not so here yet.

    Deletes what earlier syncs put here and is gone there; a file that was changed here since is kept. Where there is
    nothing to do at all, `same` is true, and nothing is to be finished.
    """
    state = folder / ".gpurig"
    partial = state / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    noted = _read(state / "manifest.json") or {}
    pending = _read(state / "pending.json")
    coming = request["files"]
    gone = sorted({*noted, *(pending or ())} - set(coming), reverse=True)
    outcome = {path: _delete(folder, path, noted, path in (pending or ())) for path in gone}
    for path in pending or ():
        _clear_up(folder / path)
    states = {path: _state(f"{folder}/{path}", wanted) for path, wanted in coming.items()}
    same = pending is None and not gone and set(noted) == set(coming) and set(states.values()) <= {"same"}
    if not same:
        _write(state / "pending.json", sorted({*(pending or ()), *coming}))
    return {
        "same": same,
        "partial": str(partial),
        "halves": [half.name for half in partial.iterdir()],
        "interrupted": pending is not None,
        "missing": [path for path, found in states.items() if found == "missing"],
        "differing": [path for path, found in states.items() if found == "differs"],
        "free": shutil.disk_usage(folder).free,
        "deleted": [path for path, done in outcome.items() if done],
        "kept": [path for path, done in outcome.items() if not done],
    }


def receive(folder: Path, stream: BufferedReader) -> dict[str, Any]:
    """Write new files as they come: a line of JSON, [path, size, mode, mtime in ns, SHA-256] for each, then their contents.

    A file whose SHA-256 is null comes alone, and is followed by it on a line; where the connection breaks, what there
    is of it stays for rsync to go on with. Returns those that did not arrive as they were sent.
    """
    bad = []
    known = {str(folder)}
    os.umask(0)  # a file gets its mode when it is made
    for line in iter(stream.readline, b""):
        for path, size, mode, mtime, digest in json.loads(line):
            target = f"{folder}/{path}"
            parent = target.rpartition("/")[0]
            if parent not in known:
                _make_folder(Path(parent))
                known.add(parent)
            first = target if digest else f"{folder}/.gpurig/partial/{path.rpartition('/')[2]}"
            descriptor = os.open(first, os.O_WRONLY | os.O_CREAT | (os.O_EXCL if digest else os.O_TRUNC), mode)
            try:
                found = _take(stream, size, descriptor)
                os.utime(descriptor, ns=(mtime, mtime))
            finally:
                os.close(descriptor)
            wanted = digest or stream.readline().decode().strip()
            if first != target:
                Path(first).replace(target)
            if found != wanted:
                bad.append(path)
    return {"bad": bad}


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o755)


def _take(stream: BufferedReader, size: int, descriptor: int) -> str:
    """Copy so many bytes into a file; returns their SHA-256. Raises EOFError where the stream ends before."""
    if size <= SMALL_BYTES:
        data = stream.read(size)
        if len(data) < size:
            raise EOFError
        os.write(descriptor, data)
        return hashlib.sha256(data).hexdigest()
    total = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    while size:
        chunk = buffer[: min(size, CHUNK)]
        if stream.readinto(chunk) < len(chunk):
            raise EOFError
        total.update(chunk)
        os.write(descriptor, chunk)
        size -= len(chunk)
    return total.hexdigest()


def finish(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Compare files with the hashes in the request; where all agree, note the whole manifest. Returns those that do not."""
    state = folder / ".gpurig"
    wanted, check = request["manifest"], request["check"]
    parts = [check[start : start + BATCH] for start in range(0, len(check), BATCH)]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        wrong = pool.map(lambda part: [path for path in part if not _agrees(folder / path, wanted[path])], parts)
        bad = [path for part in wrong for path in part]
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


def _state(path: str, wanted: list[Any]) -> str:
    """What there is at a path, against kind, size, time, mode and link: `same`, `differs` or `missing`."""
    kind, size, mtime, mode, link = wanted
    try:
        about = os.lstat(path.rstrip("/"))
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    if kind == "folder":
        return "same" if stat.S_ISDIR(about.st_mode) else "differs"
    if kind == "link":
        return "same" if stat.S_ISLNK(about.st_mode) and str(Path(path).readlink()) == link else "differs"
    found = (stat.S_ISREG(about.st_mode), about.st_size, about.st_mtime_ns, stat.S_IMODE(about.st_mode))
    return "same" if found == (True, size, mtime, mode) else "differs"


def _clear_up(target: Path) -> None:
    """Remove what a killed rsync left beside a file: its temporary copy, `.name.XXXXXX`."""
    for stale in target.parent.glob(f".{glob.escape(target.name)}.??????"):
        stale.unlink()


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
    if action == "receive":
        with suppress(OSError):  # fewer changes between processes; Python knows the name since 3.10
            fcntl.fcntl(0, getattr(fcntl, "F_SETPIPE_SZ", 1031), PIPE_BYTES)
        answer = receive(place.resolve(), BufferedReader(FileIO(0)))
    else:
        answer = {"begin": begin, "finish": finish}[action](place.resolve(), json.load(sys.stdin))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
