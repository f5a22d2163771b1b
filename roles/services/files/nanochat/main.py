"""nanochat's chat page behind a login, on loopback: main.py PORT SOURCE PACKAGES. Installed by role services.

The page itself has no login, allows every origin and listens at every address when it is started as its authors do. Until a model
was trained there is a page that says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

from guard import Application, Guard, Message, Receive, Send

LIMIT_BYTES = 1_000_000
"""The page itself takes conversations of at most 32,000 characters."""

TRAINED = ("chatsft_checkpoints/*/model_*.pt", "chatrl_checkpoints/*/model_*.pt")
LOOK_SECONDS = 5
AGAIN = 75
"""Exit code for: start me anew. systemd and supervisor do so after any failure."""


def trained(folder: Path) -> str:
    """Which kind of model is there: the page's `--source`, or nothing."""
    found = [pattern for pattern in TRAINED if any(folder.glob(pattern))]
    return {TRAINED[0]: "sft", TRAINED[1]: "rl"}[found[0]] if found else ""


def page(source: Path, kind: str, port: int) -> Application:
    """The application of the repository's own script, which reads its options when it is imported."""
    os.chdir(source)  # it opens its files by relative paths
    sys.path.insert(0, str(source))
    sys.argv = ["chat_web", f"--source={kind}", "--host=127.0.0.1", f"--port={port}"]
    from scripts import chat_web  # type: ignore[import-not-found]  # is on the host only

    app: Application = chat_web.app
    return app


def waiting(folder: Path) -> Application:
    """An application that says that there is no model yet."""
    text = f"There is no trained model under {folder} yet. This page starts by itself when there is one.\n"
    said = {
        "/": (200, text),
        "/health": (200, json.dumps({"status": "ok", "ready": False})),
        "/stats": (200, json.dumps({"total_workers": 0, "busy_workers": 0})),
    }

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        status, body = said.get(scope["path"], (503, text))
        kind = b"application/json" if body.startswith("{") else b"text/plain; charset=utf-8"
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def look_out(folder: Path) -> None:
    """End this process once a model was trained and has been written to its end."""
    while not trained(folder):
        time.sleep(LOOK_SECONDS)
    time.sleep(LOOK_SECONDS)
    os._exit(AGAIN)


def main(port: int, source: Path, packages: Path) -> None:
    sys.path.append(str(packages))
    import uvicorn

    folder = Path(os.environ.get("NANOCHAT_BASE_DIR") or Path.home() / ".cache" / "nanochat")
    if kind := trained(folder):
        app = page(source, kind, port)
    else:
        Thread(target=look_out, args=(folder,), daemon=True).start()
        app = waiting(folder)
    guarded: Any = Guard(app, os.environ.pop("NANOCHAT_TOKEN"), name="nanochat", public={"/health"}, limit=LIMIT_BYTES)
    config = uvicorn.Config(
        guarded, host="127.0.0.1", port=port, access_log=False, log_level="warning", timeout_graceful_shutdown=15
    )
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
