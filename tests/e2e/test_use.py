"""Day 2 on a real container, through the real program: reach it, bring files, run things, and the bad days."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gpurig import config as configuration
from gpurig import engine, keys, records, runs
from gpurig.providers.container.client import Podman
from gpurig.stack import Stack

CONFIG = """\
config:
  gpurig:hosts:
    box: {provider: container, environments: [starter], services: [jupyter]}
    bare: {provider: container, init: none}
"""

JOB = """
import argparse, os, pathlib, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--env", default="")
parser.add_argument("--code", type=int, default=0)
arguments = parser.parse_args()
for epoch in range(arguments.epochs):
    print("epoch", epoch, arguments.env)
    time.sleep(0.2)
pathlib.Path(os.environ["GPURIG_RESULTS"], "metrics.json").write_text('{"accuracy": 1}')
pathlib.Path("written.txt").write_text("beside the script")
pathlib.Path("scratch.tmp").write_text("ignored")
if arguments.code:
    print("the reason", file=sys.stderr)
sys.exit(arguments.code)
"""

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid)
time.sleep(600)
"""


@dataclass(frozen=True)
class Use:
    """A stack with two hosts, and `rig` in its project."""

    stack: Stack
    podman: Podman

    def rig(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run rig to its end and check its exit code."""
        done = subprocess.run(
            self.command(*words), cwd=self.stack.root, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start rig in a process group of its own, where Ctrl-C works even if the tests themselves run in the background."""
        pipe = subprocess.PIPE
        command = ["env", "--default-signal=INT", *self.command(*words)]
        return subprocess.Popen(
            command, cwd=self.stack.root, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "gpurig.cli", "--stack", self.stack.name, *words]

    def on(self, host: str, line: str) -> str:
        """What a line of shell on the host prints."""
        return self.rig("connect", host, "--", line).stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.stack.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def container(self, host: str) -> str:
        return records.require(self.stack, host).id

    def latest(self, host: str = "box") -> runs.Run:
        return runs.of_host(self.stack, host)[-1]

    def state(self, host: str = "box") -> str:
        """State of the host's latest run, as the host tells."""
        return str(json.loads(self.rig("runs", host, "--check", "--json").stdout)[-1]["state"])


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def use(e2e_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Use:
    """Two hosts in a folder and a stack that no other test file has."""
    root = tmp_path_factory.mktemp("use")
    stack = replace(e2e_stack, name="use", root=root)
    texts = {"Pulumi.yaml": f"name: {stack.project}\nruntime: python\n", "Pulumi.use.yaml": CONFIG}
    texts |= {".rigignore": "*.tmp\n/private/\n", "job.py": JOB, "stubborn.py": STUBBORN}
    for name, text in texts.items():
        (root / name).write_text(text)
    engine.up(stack, configuration.load(stack), report=lambda _: None)
    box = records.get(stack, "box")
    assert box is not None
    records.save(stack, replace(box, environments=()))  # nothing is installed there: jobs run with the system's Python
    return Use(stack, Podman(stack.home / "containers.conf"))


# --- reach -----------------------------------------------------------------------------------------------------------


def test_a_command_keeps_its_words_and_its_exit_code(use: Use) -> None:
    assert use.rig("connect", "box", "--", "printf", "%s.", "a  b", "$HOME").stdout == "a  b.$HOME."
    use.rig("connect", "box", "--", "exit 7", code=7)


def test_ssh_finds_hosts_through_the_include_file(use: Use) -> None:
    command = ["ssh", "-F", str(use.stack.home / "ssh_config"), "bare", "hostname"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "bare\n"


def test_a_wrong_host_key_is_refused_with_the_way_to_accept_a_legitimate_one(use: Use, tmp_path: Path) -> None:
    host = records.require(use.stack, "bare")
    other = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    subprocess.run(["ssh", "-F", use.stack.dir / "ssh_config", "-O", "exit", "bare"], capture_output=True, check=False)
    records.save(use.stack, replace(host, endpoint=replace(host.endpoint, host_key=keys.public_half(other))))
    try:
        said = use.rig("connect", "bare", "--", "true", code=1).stderr
    finally:
        records.save(use.stack, host)
    assert "not the pinned one" in said
    assert "rig register bare --fingerprint" in said
    assert "rig rebuild bare" in said
    assert "@@@" not in said


def test_refused_ssh_is_one_clear_message(use: Use) -> None:
    subprocess.run(["ssh", "-F", use.stack.dir / "ssh_config", "-O", "exit", "bare"], capture_output=True, check=False)
    use.podman.run("stop", "--time=0", use.container("bare"))
    try:
        for words in (["connect", "bare"], ["sync", "bare"], ["runs", "bare", "--check"]):
            said = use.rig(*words, code=1).stderr
            assert said.startswith("bare: no SSH at 127.0.0.1:"), said
            assert said.count("\n") == 1
            assert "rig doctor bare" in said
        found = use.rig("doctor", "bare", code=1).stdout
        assert "there, but not running" in found
        checked = json.loads(use.rig("status", "--check", "--json").stdout)["hosts"]
        assert {host["name"]: host["state"] for host in checked} == {"box": "answers", "bare": "no answer"}
    finally:
        use.rig("up")
    assert use.on("bare", "hostname") == "bare"


def test_a_service_opens_through_a_tunnel_that_ends_with_ctrl_c(use: Use) -> None:
    assert "jupyter does not answer" in use.rig("open", "jupyter", "--print", code=1).stderr
    use.on(
        "box", "cd /tmp; touch lab; setsid python3 -m http.server --bind 127.0.0.1 8888 </dev/null >/dev/null 2>&1 &"
    )
    use.on(
        "box",
        "until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8888))' 2>/dev/null; do sleep 0.1; done",
    )
    tunnel = use.start("open", "jupyter", "--print")
    assert tunnel.stdout is not None
    address = tunnel.stdout.readline().strip()
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 (http, from our own program)
        assert answer.status == 200
    token = (use.stack.dir / "secrets/box/jupyter").read_text()
    assert address.endswith(f"/lab?token={token}")
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert token.encode() not in arguments.read_bytes()
    os.killpg(tunnel.pid, signal.SIGINT)
    _, said = tunnel.communicate(timeout=10)
    assert (tunnel.returncode, "Traceback" in said) == (0, False)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=10)  # noqa: S310


# --- files -----------------------------------------------------------------------------------------------------------


def test_sync_brings_the_project_but_for_what_is_ignored(use: Use) -> None:
    use.write("data/räum lich.txt", "x")
    use.write("private/key", "secret")
    use.write("a.tmp", "x")
    use.write(".venv/pyvenv.cfg", "x")
    (use.stack.root / "empty").mkdir(exist_ok=True)
    first = json.loads(use.rig("sync", "box", "--json").stdout)
    there = use.on(
        "box", f"cd gpurig/projects/{use.stack.root.name} && find . -path ./.gpurig -prune -o -print | sort"
    ).split("\n")
    assert set(there) == {
        ".",
        "./.rigignore",
        "./Pulumi.use.yaml",
        "./Pulumi.yaml",
        "./data",
        "./data/räum lich.txt",
        "./empty",
        "./job.py",
        "./stubborn.py",
    }
    assert first["sent"] == 6
    assert json.loads(use.rig("sync", "box", "--json").stdout)["sent"] == 0


def test_sync_deletes_only_what_an_earlier_sync_put_there(use: Use) -> None:
    folder = f"gpurig/projects/{use.stack.root.name}"
    for name in ("gone", "edited"):
        use.write(f"old/{name}", "from here")
    use.rig("sync", "box")
    use.on("box", f"cd {folder} && echo mine > old/mine && echo changed there > old/edited")
    shutil.rmtree(use.stack.root / "old")
    done = use.rig("sync", "box", "--json")
    assert json.loads(done.stdout)["deleted"] == ["old/gone"]
    assert "kept old/edited" in done.stderr
    assert use.on("box", f"cd {folder}/old && ls") == "edited\nmine"


def test_a_killed_sync_is_repaired_by_the_next(use: Use) -> None:
    folder = f"gpurig/projects/{use.stack.root.name}"
    big = use.stack.root / "big.bin"
    big.write_bytes(os.urandom(1 << 20) * 150)
    use.write("gone-later", "x")
    seen = f"until ls {folder}/.gpurig/partial 2>/dev/null | grep -q big.bin; do sleep 0.02; done; echo seen"
    with use.start("connect", "box", "--", f"echo looks; {seen}") as watcher:
        assert watcher.stdout
        assert watcher.stdout.readline() == "looks\n"
        with use.start("sync", "box") as sync:
            assert watcher.stdout.readline() == "seen\n"
            os.killpg(sync.pid, signal.SIGKILL)
            sync.communicate()
    (use.stack.root / "gone-later").unlink()
    use.rig("sync", "box")
    assert use.on("box", f"sha256sum < {folder}/big.bin").split()[0] == hashlib.sha256(big.read_bytes()).hexdigest()
    assert use.on("box", f"cd {folder} && ls .gpurig; ls -d .big* gone-later 2>/dev/null || true") == "manifest.json"
    big.unlink()
    use.rig("sync", "box")


def test_a_full_disk_is_one_clear_message_and_nothing_is_sent(use: Use) -> None:
    use.on("bare", "fallocate --length $(($(df --output=avail -B1 /dev/shm | tail -1) - 32000000)) /dev/shm/full")
    use.on("bare", "mkdir -p /dev/shm/small gpurig && rm -rf gpurig/projects && ln -s /dev/shm/small gpurig/projects")
    said = use.rig("sync", "bare", code=1).stderr
    assert said.startswith("bare: its disk is full.")
    use.on("bare", "rm -r gpurig/projects /dev/shm/full /dev/shm/small")


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_gets_the_scripts_own_flags_and_its_results_come_back_verified(use: Use) -> None:
    done = use.rig("train", "box", "job.py", "--epochs", "2", "--env", "a b")
    assert done.stdout == "epoch 0 a b\nepoch 1 a b\n"
    use.rig("results", "box")
    run = use.latest()
    folder = runs.folder(use.stack, "box", run.id)
    assert (run.state, run.exit_code, run.results) == ("done", 0, "verified")
    assert json.loads((folder / "results/metrics.json").read_text()) == {"accuracy": 1}
    assert (folder / "project/written.txt").read_text() == "beside the script"
    assert not (folder / "project/scratch.tmp").exists()
    assert (folder / "log").read_text() == done.stdout
    assert (
        subprocess.run(["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=folder, check=False).returncode == 0
    )


def test_a_crash_passes_on_its_code_and_its_last_words(use: Use) -> None:
    done = use.rig("train", "bare", "job.py", "--code", "5", code=5)
    assert done.stdout.endswith("the reason\n")
    assert "failed with exit code 5" in done.stderr
    use.rig("results", "bare")
    assert use.latest("bare").summary() == "failed (5)"


@pytest.mark.parametrize("host", ["box", "bare"])
def test_a_run_survives_its_follower_and_another_attaches(use: Use, host: str) -> None:
    follower = use.start("train", host, "job.py", "--epochs", "12")
    assert follower.stdout is not None
    first = follower.stdout.readline()
    assert first == "epoch 0 \n", first or follower.communicate()
    os.killpg(follower.pid, signal.SIGKILL)
    follower.communicate()
    subprocess.run(["ssh", "-F", use.stack.dir / "ssh_config", "-O", "exit", host], capture_output=True, check=False)
    attached = use.rig("logs", "-f", host)
    assert attached.stdout.splitlines() == [f"epoch {number} " for number in range(12)]
    use.rig("results", host)


def test_ctrl_c_detaches_without_ending_the_run(use: Use) -> None:
    follower = use.start("train", "box", "job.py", "--epochs", "15")
    assert follower.stdout is not None
    follower.stdout.readline()
    os.killpg(follower.pid, signal.SIGINT)
    _, said = follower.communicate(timeout=20)
    assert follower.returncode == 130
    assert "goes on" in said
    assert "Traceback" not in said
    assert use.state() == "running"
    use.rig("logs", "-f", "box")
    use.rig("results", "box")


def test_a_later_sync_does_not_change_a_running_job(use: Use) -> None:
    use.write("slow.py", "import time; time.sleep(2); print(open('input.txt').read())")
    use.write("input.txt", "before")
    use.rig("train", "-d", "box", "slow.py")
    use.write("input.txt", "after")
    use.rig("sync", "box")
    assert use.rig("logs", "-f", "box").stdout == "before\n"
    use.rig("results", "box")


def test_cancel_ends_every_process_even_stubborn_ones(use: Use) -> None:
    use.on("box", "true")
    run = use.rig("train", "--detach", "box", "stubborn.py").stdout.strip()
    eventually(lambda: "child" in use.rig("logs", "box").stdout)
    child = use.rig("logs", "box").stdout.split()[1]
    started = time.monotonic()
    assert f"{run}: cancelled" in use.rig("cancel", "box", "--grace", "1").stderr
    assert time.monotonic() - started < 10
    assert use.on("box", f"cat /proc/{child}/comm 2>/dev/null || echo none") == "none"
    use.rig("results", "box")
    assert use.latest().state == "cancelled"


def test_down_refuses_while_results_are_not_here(use: Use) -> None:
    use.rig("train", "--detach", "bare", "stubborn.py")
    assert "not destroyed" in use.rig("down", "bare", "--yes", code=1).stderr
    assert "still running" in use.rig("results", "bare").stderr
    assert "not destroyed" in use.rig("down", "bare", "--yes", code=1).stderr
    use.rig("cancel", "bare", "--grace", "1")
    assert "not destroyed" in use.rig("down", "bare", "--yes", code=1).stderr
    use.rig("results", "bare")


def test_a_run_whose_host_restarts_is_lost_and_what_it_left_comes_back(use: Use) -> None:
    use.rig("train", "--detach", "bare", "stubborn.py")
    use.podman.run("restart", "--time=0", use.container("bare"))
    eventually(lambda: "lost" in use.rig("runs", "bare", "--check").stdout if _answers(use, "bare") else False)
    use.rig("results", "bare")
    assert use.latest("bare").results == "verified"


def test_a_damaged_copy_is_fetched_again_and_a_damaged_original_is_never_called_verified(use: Use) -> None:
    use.rig("train", "box", "job.py")
    run = use.latest()
    here = runs.folder(use.stack, "box", run.id) / "results/metrics.json"
    use.rig("results", "box")
    about = here.stat()
    here.write_text('{"accuracy": 0}')
    os.utime(here, ns=(about.st_atime_ns, about.st_mtime_ns))
    use.rig("results", "box", run.id)
    assert json.loads(here.read_text()) == {"accuracy": 1}

    use.rig("train", "box", "job.py")
    run = use.latest()
    eventually(lambda: use.on("box", f"ls gpurig/runs/{run.id}/manifest.sha256 || true") != "")
    use.on("box", f"echo damage >> gpurig/runs/{run.id}/results/metrics.json")
    said = use.rig("results", "box", code=1).stderr
    assert "SHA-256 differs" in said
    assert use.latest().results is None
    assert "not destroyed" in use.rig("down", "box", "--yes", code=1).stderr


# --- the end: these take hosts away ----------------------------------------------------------------------------------


def test_discarding_is_noted_and_lets_the_host_go(use: Use) -> None:
    assert use.latest().results is None
    use.rig("down", "box", "--discard", "--yes")
    assert use.latest().results == "discarded"
    assert [host["name"] for host in json.loads(use.rig("status", "--json").stdout)["hosts"]] == ["bare"]


def test_a_host_that_is_gone_is_said_to_be(use: Use) -> None:
    use.podman.run("rm", "--force", "--time=0", use.container("bare"))
    assert "no SSH at" in use.rig("connect", "bare", code=1).stderr
    assert "it is gone" in use.rig("doctor", "bare", code=1).stdout
    assert json.loads(use.rig("refresh", "--json").stdout) == {"gone": ["bare"]}


def _answers(use: Use, host: str) -> bool:
    checked = json.loads(use.rig("status", "--check", "--json").stdout)["hosts"]
    return any(item["name"] == host and item["state"] == "answers" for item in checked)
