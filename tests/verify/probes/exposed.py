"""Runs on the host: asks for one HTTP answer at each of this host's own addresses, past loopback and on it; prints JSON.

Arguments: the port. What comes from an address of the host goes to that very address, so an address within the range that is
let in must answer, and every other one must not.
"""

import json
import socket
import subprocess
import sys

SECONDS = 5


def answer(address: str, port: int) -> bool:
    """Whether whatever listens there says anything."""
    try:
        with socket.create_connection((address, port), SECONDS) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def main() -> None:
    port = int(sys.argv[1])
    lines = subprocess.run(["ip", "-o", "addr"], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    words = [line.split() for line in lines]
    addresses = [
        row[3].partition("/")[0] for row in words if row[2] in ("inet", "inet6") and not row[3].startswith("fe80")
    ]
    sys.stdout.write(json.dumps({address: answer(address, port) for address in addresses}))


if __name__ == "__main__":
    main()
