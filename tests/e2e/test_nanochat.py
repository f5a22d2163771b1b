"""nanochat's own code, from a clone: its smoke test really trains, and its chat page really answers.

Skipped where no clone is named: the repository is on GitHub, and the index of the PyTorch in its lock (2.9.1) is not
reached from everywhere, so a newer PyTorch of the usual index stands in for it here.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpurig import catalogue, services
from tests.e2e.serving import until

CLONE = os.environ.get("GPURIG_NANOCHAT", "")
TOKEN = "a-secret"
FILES = catalogue.ROOT / "roles/services/files"

PACKAGES = (
    "torch==2.13.0", "filelock", "kernels", "numpy", "psutil", "pyarrow", "rustbpe", "tiktoken", "wandb", "requests",
)  # fmt: skip
"""Those of the environment: what its page needs besides comes from the service's own lock."""

TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import smoke
base = Path(sys.argv[2])
smoke.write_shards(base / "base_data_climbmix")
smoke.call(base, "scripts.tok_train", "--max-chars=2000000", "--vocab-size=1024")
smoke.call(base, *smoke.TRAIN, "--device-type=cpu")
"""

pytestmark = [
    pytest.mark.skipif(
        not CLONE, reason="nanochat's repository is not here: name a clone at 92d63d4 in GPURIG_NANOCHAT"
    ),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment like nanochat's."""
    venv = tmp_path_factory.mktemp("nanochat") / "venv"
    subprocess.run([uv(), "venv", "--quiet", "--python", "3.11", venv], check=True)
    subprocess.run([uv(), "pip", "install", "--quiet", "--python", venv, *PACKAGES], check=True)
    return venv / "bin/python"


def test_tokenizer_training_resume_and_sampling_work(python: Path) -> None:
    smoke = catalogue.ROOT / "environments/nanochat/smoke.py"
    done = subprocess.run([python, "-B", smoke], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["loss"] < 0.9 * found["first_loss"]
    assert found["samples"] > 0


def test_the_real_chat_page_answers_with_a_model_to_whoever_logs_in(python: Path, tmp_path: Path) -> None:
    """With the packages of the role's lock and the page's own commit. A model that was not fine-tuned stands in for one that was."""
    base, source, packages = tmp_path / "base", tmp_path / "source", tmp_path / "packages"
    base.mkdir()
    subprocess.run(
        [python, "-B", "-c", TRAIN, catalogue.ROOT / "environments/nanochat", base], env=environment(), check=True
    )
    (base / "base_checkpoints").rename(base / "chatsft_checkpoints")
    subprocess.run(["git", "clone", "--quiet", CLONE, source], check=True)
    commit = services.described("nanochat")["checkout"]["commit"]
    subprocess.run(["git", "-C", source, "checkout", "--quiet", commit], check=True)
    options = ["--quiet", "--require-hashes", "--no-deps", f"--python={python}", f"--target={packages}"]
    subprocess.run([uv(), "pip", "install", *options, "-r", FILES / "nanochat/requirements.lock"], check=True)
    for file in services.described("nanochat")["files"]:
        shutil.copy(FILES / file, tmp_path)
    with page(python, tmp_path, [str(source), str(packages)], base) as address:
        assert until(lambda: ask(address, "/health")[0] == 200, 120), (tmp_path / "log").read_text()[-3000:]
        assert ask(address, "/stats")[0] == 401
        status, said = ask(address, "/stats", TOKEN)
        assert (status, json.loads(said)["total_workers"]) == (200, 1)
        assert "<html" in ask(address, "/", TOKEN)[1]
        talk = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        status, said = ask(address, "/chat/completions", TOKEN, json.dumps(talk).encode())
        assert status == 200
        assert '"token"' in said
        assert '"done"' in said


@contextmanager
def page(python: Path, folder: Path, arguments: list[str], base: Path) -> Iterator[str]:
    """The service's own program while it runs; its address. What it says goes to `log`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ours = environment() | {"NANOCHAT_BASE_DIR": str(base), "NANOCHAT_TOKEN": TOKEN, "TORCHDYNAMO_DISABLE": "1"}
    command = [str(python), "-B", str(folder / "main.py"), str(port), *arguments]
    with (folder / "log").open("w") as log, subprocess.Popen(command, env=ours, stdout=log, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def ask(address: str, path: str, token: str = "", body: bytes | None = None) -> tuple[int, str]:
    """HTTP's status and what was said; 0 while nobody answers."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(address + path, body, headers), timeout=60) as said:  # noqa: S310 (ours)
            return said.status, said.read().decode()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""
    except OSError:
        return 0, ""


def environment() -> dict[str, str]:
    return {**os.environ, "NANOCHAT_SOURCE": CLONE}


def uv() -> Path:
    return Path(sys.executable).with_name("uv")
