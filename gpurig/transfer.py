"""Files up to a host and back, over our SSH, and every one of them verified by its SHA-256.

What a host does not have yet goes in one stream (gpurig.stream), all else by rsync.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig import far_end, ignore, manifest, rsync, stream
from gpurig.errors import ConfigError, RigError
from gpurig.manifest import Cache, Manifest
from gpurig.remote import Place, disk_full
from gpurig.rsync import Progress
from gpurig.stack import Stack, locked, write_private

PROJECTS = "gpurig/projects"
"""Where a host keeps synced projects, each by its folder's name, below the login user's home."""

SPARE_BYTES = 100_000_000
"""Room that a transfer leaves on the host."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did. sent: files that travelled, verified at the far end; kept: gone here, but changed on the host."""

    files: int
    bytes: int
    sent: int
    deleted: tuple[str, ...]
    kept: tuple[str, ...]
    seconds: float


def project_folder(stack: Stack, start: Path | None = None) -> Path:
    """What travels: the nearest folder upward with a `.rigignore`, else the one with Pulumi.yaml."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / ignore.IGNORE_FILE).is_file():
            return folder
        if folder == stack.root:
            break
    return stack.root


def remote_folder(root: Path) -> str:
    """Where a project lies on a host, below the login user's home."""
    return f"{PROJECTS}/{root.name}"


def push(place: Place, root: Path, *, progress: Progress | None = None) -> Synced:
    """Make the project on the host the same as here, but for what `.rigignore` leaves out.

    Deletes there only what an earlier sync put there. May be killed at any point: the next one repairs. Raises RigError.
    """
    busy = f"Another `rig` is bringing files to {place.host.name}; wait for it, then run this again"
    with locked(place.stack.dir / "locks" / f"sync-{place.host.name}", wait=False, busy=busy):
        return _push(place, root, progress)


def synced_folders(stack: Stack, host: str) -> list[Path]:
    """The folders of this machine that were brought to a host, the latest last."""
    try:
        return [Path(line) for line in _synced_file(stack, host).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def pull(place: Place, source: str, target: Path, paths: Iterable[str], *, progress: Progress | None = None) -> None:
    """Bring these files of a folder on the host (below the user's home) into a local folder. Raises RigError."""
    target.mkdir(parents=True, exist_ok=True)
    rsync.copy(place, f"{place.alias}:{source}", str(target), paths, "--partial-dir=.partial", progress=progress)


def pull_verified(
    place: Place, source: str, target: Path, wanted: Manifest, *, progress: Progress | None = None
) -> None:
    """Bring the files of a manifest here and compare each with its hash; one that differs is fetched once more.

    Raises RigError that names the files that still differ.
    """
    pull(place, source, target, wanted, progress=progress)
    bad = manifest.differing(target, wanted)
    for path in bad:
        (target / path).unlink(missing_ok=True)
    if bad:
        pull(place, source, target, bad, progress=progress)
        bad = manifest.differing(target, {path: wanted[path] for path in bad})
    if bad:
        raise RigError(
            f"{place.host.name}: {', '.join(bad[:5])} in ~/{source} is not what the run left there (SHA-256 differs), "
            "so the results are not marked as verified."
        )


def _push(place: Place, root: Path, progress: Progress | None) -> Synced:
    started = time.monotonic()
    entries = ignore.scan(root)
    if not entries:
        raise ConfigError(f"{root}: nothing to bring to a host; {ignore.IGNORE_FILE} leaves everything out.")
    sizes = {entry.path: entry.size for entry in entries}
    asked = {e.path: [e.kind, e.size, e.mtime_ns, e.mode, e.link] for e in entries}
    begun = _far_end(place, root, "begin", {"files": asked})
    need, free = sum(sizes[path] for path in begun["missing"]), begun["free"]
    if need and need + SPARE_BYTES > free:
        raise RigError(f"{disk_full(place.host.name)} (To bring: {need / 1e9:.1f} GB; free: {free / 1e9:.1f} GB.)")
    sent = set() if begun["same"] else _bring(place, root, entries, begun, progress)
    known = [folder for folder in synced_folders(place.stack, place.host.name) if folder != root]
    write_private(_synced_file(place.stack, place.host.name), "".join(f"{folder}\n" for folder in [*known, root]))
    return Synced(
        files=len(entries),
        bytes=sum(sizes.values()),
        sent=len(sent),
        deleted=tuple(begun["deleted"]),
        kept=tuple(begun["kept"]),
        seconds=time.monotonic() - started,
    )


def _bring(
    place: Place, root: Path, entries: Sequence[ignore.Entry], begun: dict[str, Any], progress: Progress | None
) -> set[str]:
    """Send what the host lacks or has otherwise, let it verify that, and note the whole. Returns what was sent."""
    # Half a file from a broken transfer is rsync's to complete.
    missing = {path for path in begun["missing"] if path.rpartition("/")[2] not in begun["halves"]}
    streamed = _stream(place, root, entries, missing, progress)
    rest = [path for path in [*begun["missing"], *begun["differing"]] if path not in streamed]
    cache = Cache(_cache_file(place.stack, root))
    sent: set[str] = set()
    options = [f"--partial-dir={begun['partial']}"]
    target = f"{place.alias}:{remote_folder(root)}"
    with ThreadPoolExecutor(max_workers=1) as aside:
        hashing = aside.submit(cache.hashes, root, entries, streamed)
        if rest:
            sent = rsync.copy(place, str(root), target, rest, *options, progress=progress)
        hashes = hashing.result()
    differing = _finish(place, root, entries, hashes, {e.path for e in entries} if begun["interrupted"] else rest)
    if differing:  # changed while it travelled, or damaged: once more, compared by content
        sent |= rsync.copy(place, str(root), target, differing, "--checksum", *options, progress=progress)
        hashes |= manifest.of_folder(root, differing)
        differing = _finish(place, root, entries, hashes, differing)
    if differing:
        names = ", ".join(sorted(differing)[:5])
        raise RigError(f"{place.host.name}: what arrived differs from what is here: {names}. Run this again.")
    cache.save()
    return sent | streamed.keys()


def _stream(
    place: Place, root: Path, entries: Sequence[ignore.Entry], missing: set[str], progress: Progress | None
) -> Manifest:
    """Send files that the host does not have at all; returns those that arrived, verified, with their hashes."""
    new = [entry for entry in entries if entry.kind == "file" and entry.path in missing]
    if not stream.worth(new):
        return {}
    sent, answer = stream.send([*place.ssh(), _command(root, "receive")], root, new, progress)
    bad = set(json.loads(answer)["bad"]) if answer else set(sent)
    return {path: digest for path, digest in sent.items() if path not in bad}


def _finish(
    place: Place, root: Path, entries: Sequence[ignore.Entry], hashes: Manifest, check: Iterable[str]
) -> set[str]:
    """Let the host verify, and note what it has now; returns the paths that differ there."""
    noted = {entry.path: hashes.get(entry.path) for entry in entries if entry.kind != "file" or entry.path in hashes}
    answer = _far_end(place, root, "finish", {"manifest": noted, "check": sorted(noted.keys() & set(check))})
    return set(answer["bad"])


def _far_end(place: Place, root: Path, action: str, request: dict[str, Any]) -> Any:
    data = json.dumps(request, separators=(",", ":")).encode()
    return json.loads(place.run("sh", "-c", _command(root, action), data=data))


def _command(root: Path, action: str) -> str:
    program = Path(far_end.__file__).read_text(encoding="utf-8")
    return shlex.join(["python3", "-c", program, action, remote_folder(root)])


def _cache_file(stack: Stack, root: Path) -> Path:
    return stack.home / "cache" / f"sha256-{hashlib.sha256(str(root).encode()).hexdigest()[:16]}.json"


def _synced_file(stack: Stack, host: str) -> Path:
    return stack.dir / "synced" / host
