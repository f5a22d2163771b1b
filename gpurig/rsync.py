"""rsync's command line, over our SSH: given paths from one folder to another, and no decisions."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from gpurig.errors import RigError
from gpurig.remote import SSH_FAILED, Place, disk_full

Progress = Callable[[float, str], None]
"""Takes the part that is done, 0 to 1, and how fast it goes, in rsync's words."""

NOT_FOUND = 127
BROKEN = frozenset({12, 30, 35, SSH_FAILED})
"""Exit codes for a connection that broke."""

TRIES, PAUSE_SECONDS = 3, 1.0
"""A broken connection is tried again, since ssh answered just before; what has arrived is kept."""

OPTIONS = (
    "--links",
    "--perms",
    "--times",
    "--omit-dir-times",
    "--dirs",
    "--from0",
    "--files-from=-",
    "--modify-window=-1",  # a file that changed twice within a second did change
    "--secluded-args",
    "--8-bit-output",
    "--out-format=%i %n",
)

_PERCENT = re.compile(r"\s*[\d,.]+\w?\s+(\d+)%\s+(\S+)\s")
_MOVED = re.compile(r"[<>c][fL]\S{9} (.+)")


def copy(
    place: Place, source: str, target: str, paths: Iterable[str], *options: str, progress: Progress | None
) -> set[str]:
    """Copy these paths of the folder `source` into `target`; one of the two is `place.alias:path`.

    Returns the files and links that travelled. Raises RigError in the user's terms.
    """
    command = ["rsync", *OPTIONS, f"--rsh={place.shell()}", *options]
    command += [*(["--info=progress2"] if progress else []), f"{source}/", f"{target}/"]
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    moved: set[str] = set()
    tries = TRIES
    while True:
        code, errors = _run(command, listed, moved, progress)
        tries -= 1
        if code == 0:
            return moved
        if code not in BROKEN or not tries:
            raise problem(place, code, errors, down=":" not in target)
        time.sleep(PAUSE_SECONDS)


def problem(place: Place, code: int, errors: str, *, down: bool) -> RigError:
    """What a failure of rsync means for the user; `down`: files were coming here."""
    lines = [line for line in errors.splitlines() if line.strip() and not line.startswith("rsync error:")]
    if "No space left on device" in errors or "Disk quota exceeded" in errors:
        return RigError(
            "The disk of this machine is full; make room and run this again." if down else disk_full(place.host.name)
        )
    if "rsync: command not found" in errors or "rsync: not found" in errors or code == NOT_FOUND:
        return RigError(
            f"{place.host.name}: has no rsync; `ansible-playbook playbooks/site.yml --limit {place.alias}` installs it."
        )
    if code == SSH_FAILED and not any(line.startswith("rsync") for line in lines):
        return place.problem(code, "\n".join(lines))
    if code in BROKEN:
        why = lines[-1] if lines else f"exit code {code}"
        return RigError(
            f"{place.host.name}: the connection broke ({why}). Run this again: it goes on where it stopped."
        )
    return RigError(f"{place.host.name}: rsync failed with exit code {code}:\n" + "\n".join(lines[:5]))


def _run(command: list[str], listed: bytes, moved: set[str], progress: Progress | None) -> tuple[int, str]:
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        raise RigError("rsync is missing: run `make setup`.") from error
    assert process.stdin is not None  # noqa: S101 (for the type checker)
    assert process.stdout is not None  # noqa: S101 (for the type checker)
    assert process.stderr is not None  # noqa: S101 (for the type checker)
    with process, ThreadPoolExecutor(max_workers=2) as aside:
        feeding = aside.submit(_feed, process.stdin, listed)
        errors = aside.submit(process.stderr.read)
        for line in _lines(process.stdout):
            percent = _PERCENT.match(line)
            if item := _MOVED.fullmatch(line):
                moved.add(_unescaped(item[1]))
            elif progress and percent:
                progress(int(percent[1]) / 100, percent[2])
        feeding.result()
        return process.wait(), errors.result().decode(errors="replace")


def _feed(pipe: IO[bytes], data: bytes) -> None:
    try:
        with pipe:
            pipe.write(data)
    except BrokenPipeError:
        return  # rsync gave up, and says why


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """Lines as they come; rsync ends those of its progress with a carriage return."""
    rest = b""
    while chunk := os.read(pipe.fileno(), 1 << 16):
        *whole, rest = re.split(rb"[\r\n]", rest + chunk)
        yield from map(os.fsdecode, filter(None, whole))
    if rest:
        yield os.fsdecode(rest)


def _unescaped(name: str) -> str:
    """rsync writes control characters, and a backslash before a number sign, as `\\#ooo` in octal."""
    return re.sub(r"\\#(\d{3})", lambda octal: chr(int(octal[1], 8)), name)
