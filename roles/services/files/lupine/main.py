"""Lupine's server in a network namespace of its own, and a Unix socket that leads to it: main.py SERVER PORT. Installed by role services.

The server listens at every address and asks for no login. In its namespace that is nobody's; without one it is not started.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import namespace

SOCKET = Path("/run/gpurig/lupine/socket")
PIECE = 1 << 18


def main(server: str, port: int) -> None:
    """Run the server, and carry what comes to the socket, until the server ends."""
    if problem := namespace.enter():
        sys.exit(
            f"Lupine asks for no login and listens everywhere, and this host allows no network namespace ({problem}); not started"
        )
    (SOCKET.parent / "isolated").write_text("yes\n")
    SOCKET.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(SOCKET))
        listener.listen()
        process = subprocess.Popen([server], env={**os.environ, "LUPINE_PORT": str(port)})
        threading.Thread(target=accept, args=(listener, port), daemon=True).start()
        sys.exit(process.wait() or 1)


def accept(listener: socket.socket, port: int) -> None:
    """Two threads per client, one for each direction."""
    while True:
        near, _ = listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError as error:
            print(f"the server does not answer at its port: {error}", flush=True)
            near.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=carry, args=(source, target), daemon=True).start()


def carry(source: socket.socket, target: socket.socket) -> None:
    """Bytes of one direction, to their end."""
    with suppress(OSError):
        with source.makefile("rb", 0) as reader, target.makefile("wb", 0) as writer:
            shutil.copyfileobj(reader, writer, PIECE)
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
