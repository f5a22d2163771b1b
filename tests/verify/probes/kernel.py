"""Runs on the host, as the service's user, with the Python that Jupyter runs from; JUPYTER_TOKEN is in its environment.

Has Jupyter start a kernel, lets it compute something, and says, as JSON, what came of it and which TCP ports the kernel
listens on. The kernel is ended again.
"""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest  # type: ignore[import-not-found]  # is on the host only
from tornado.websocket import websocket_connect  # type: ignore[import-not-found]  # is on the host only

SECONDS = 45
CODE = "import os; print(6 * 7, os.getpid())"
LISTENING = "0A"


async def main() -> None:
    address, headers = f"127.0.0.1:{sys.argv[1]}", {"Authorization": f"token {os.environ['JUPYTER_TOKEN']}"}
    client = AsyncHTTPClient()
    kernels = f"http://{address}/api/kernels"
    started = await client.fetch(HTTPRequest(kernels, "POST", headers, body="{}", request_timeout=SECONDS))
    kernel = json.loads(started.body)["id"]
    try:
        socket = await websocket_connect(HTTPRequest(f"ws://{address}/api/kernels/{kernel}/channels", headers=headers))
        await socket.write_message(json.dumps(request()))
        answer, process = (await asyncio.wait_for(printed(socket), SECONDS)).split()
        found = {"answer": answer, "tcp": ports(int(process))}
    finally:
        await client.fetch(HTTPRequest(f"{kernels}/{kernel}", "DELETE", headers, request_timeout=SECONDS))
    sys.stdout.write(json.dumps(found))


def request() -> dict[str, object]:
    """A message of Jupyter's protocol that has CODE executed."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": uuid.uuid4().hex, "version": "5.4"}
    content = {"code": CODE, "silent": False, "store_history": False, "allow_stdin": False, "user_expressions": {}}
    return {
        "channel": "shell",
        "header": {**header, "username": "", "date": ""},
        "parent_header": {},
        "metadata": {},
        "content": content,
    }


async def printed(socket: Any) -> str:
    """What the kernel prints first."""
    while message := json.loads(await socket.read_message()):
        if message["msg_type"] == "stream":
            return str(message["content"]["text"])
        if message["msg_type"] == "error":
            sys.exit(f"{message['content']['ename']}: {message['content']['evalue']}")
    return ""


def ports(process: int) -> list[int]:
    """TCP ports on which a process of this user listens."""
    links = (str(path.readlink()) for path in Path(f"/proc/{process}/fd").iterdir() if path.is_symlink())
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return sorted({int(row[1].rsplit(":")[-1], 16) for row in rows if row[3] == LISTENING and row[9] in inodes})


if __name__ == "__main__":
    asyncio.run(main())
