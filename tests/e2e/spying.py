"""Where the account's key could be seen: files, and command lines of this machine's processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.clients.fake import GOOD_KEY


def leaks(*folders: Path) -> list[Path]:
    """Files in which the account's key is."""
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    return [file for file in files if GOOD_KEY.encode() in file.read_bytes()]


@contextmanager
def spying(home: Path) -> Iterator[list[str]]:
    """Looks for the account's key in command lines of processes with this GPURIG_HOME, all the time; gives those with it."""
    found: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    line = file.read_bytes()
                    if GOOD_KEY.encode() in line and str(home).encode() in file.with_name("environ").read_bytes():
                        found.append(line.decode())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
