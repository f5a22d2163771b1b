"""What tests of services on real hosts share. nanochat's repository is a stand-in; test_nanochat.py has the real one."""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpurig import services
from tests.e2e.configured import Configured

STACK = """\
config:
  gpurig:hosts:
    full:
      provider: container
      environments: [starter, mlflow, pytorch]
      services: [jupyter, tensorboard, mlflow, api, nanochat, rpc]
      expose: {{mlflow: 10.0.0.0/8, api: 192.0.2.0/24}}
      variables:
        services_environments: {{nanochat: pytorch}}
        services_checkouts: {{nanochat: {{url: /srv/nanochat.git, commit: {commit}}}}}
        services_variables: {{nanochat: {{NANOCHAT_BASE_DIR: /home/dev/nanochat}}, api: {{API_LIMIT_BYTES: 100000}}, tensorboard: {{ODD: {odd}}}}}
    light:
      provider: container
      init: none
      environments: [starter]
      services: [jupyter, tensorboard]
      expose: {{jupyter: 10.0.0.0/8}}
      variables: {{services_variables: {{tensorboard: {{ODD: {odd}}}}}}}
"""

PAGE = """
import argparse

from fastapi import FastAPI

parser = argparse.ArgumentParser()
parser.add_argument("--source")
parser.add_argument("--host", default="0.0.0.0")
parser.add_argument("--port", type=int)
args = parser.parse_args()
app = FastAPI()


@app.get("/")
@app.get("/stats")
async def stats():
    return {"simulated": True, "source": args.source, "host": args.host}


@app.get("/health")
async def health():
    return {"status": "ok", "ready": True}
"""

Hosts = dict[str, Configured]


def both(hosts: Hosts, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook on both hosts."""
    return hosts["full"].playbook(playbook, "--limit=full,light", *options)


def stand_in(folder: Path) -> tuple[str, str]:
    """A bare repository with a page, as an archive in base64; and its commit."""
    work = folder / "work"
    (work / "scripts").mkdir(parents=True)
    (work / "scripts" / "chat_web.py").write_text(PAGE)
    git = ["git", "-C", str(work), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "A page"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "clone", "-q", "--bare", work, folder / "nanochat.git"], check=True)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(folder / "nanochat.git", "nanochat.git")
    return commit, base64.encodebytes(archive.getvalue()).decode()


def failed(host: Configured, *topics: str) -> dict[str, str]:
    """What verification finds wrong, by name."""
    results = [result for topic in topics for result in host.check(topic)]
    assert results
    return {result.name: result.value for result in results if result.verdict in ("FAIL", "WARN")}


def told(host: Configured) -> dict[str, dict[str, Any]]:
    """What `rig services` says, by service."""
    done = host.rig("services", host.host.name, "--json")
    assert done.returncode == 0, done.stderr
    return {row["service"]: row for row in json.loads(done.stdout)}


def until(what: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(1)
    return False


def answer(host: Configured, service: str, path: str) -> str:
    """What a service says on the host itself to whoever shows the token as programs do; HTTP's status is the last line."""
    token = services.token(host.stack.dir, host.host.name, service)
    port = services.of_host(host.host)[service].port
    code = (
        "import sys, urllib.error, urllib.request\n"
        f"request = urllib.request.Request('http://127.0.0.1:{port}{path}'.replace('TOKEN', sys.stdin.readline().strip()))\n"
        "request.add_header('Authorization', 'Bearer ' + sys.stdin.readline().strip())\n"
        "try:\n    said = urllib.request.urlopen(request)\nexcept urllib.error.HTTPError as error:\n    said = error\n"
        "except OSError as error:\n    sys.exit(print(error, 0, sep='\\n'))\n"
        "print(said.read().decode(), said.status, sep='\\n')"
    )
    return host.root(f"python3 -c {shlex.quote(code)} <<'END'\n{token}\n{token}\nEND\n")


@contextmanager
def tunnel(host: Configured) -> Iterator[dict[str, str]]:
    """`rig tunnel` while it stands: service → its address here."""
    ours = {"GPURIG_HOME": str(host.stack.home), "GPURIG_STACK": host.stack.name, "GPURIG_ENGINE": "embedded"}
    command = [sys.executable, "-m", "gpurig.cli", "tunnel", host.host.name, "--json"]
    with subprocess.Popen(
        command, cwd=host.stack.root, env={**os.environ, **ours}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            yield json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        finally:
            process.terminate()


def browse(address: str) -> int:
    """HTTP's status of a page for a browser, which follows redirects and keeps cookies."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor())
    try:
        with opener.open(address, timeout=30) as page:
            return int(page.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def python(code: str) -> str:
    """A shell command that runs a Python program with the host's own Python."""
    return f"python3 - <<'END'\n{code}\nEND\n"


def processes(host: Configured) -> dict[str, str]:
    """Service → its main process; 0 while it has none."""
    names = [*host.host.services, "exposure"]
    one = (
        "systemctl show --value --property=MainPID gpurig-"
        if host.host.capabilities.init == "systemd"
        else "supervisorctl pid gpurig-"
    )
    lines = host.root("\n".join(f"{one}{name} || true" for name in names)).splitlines()
    return dict(zip(names, lines, strict=True))
