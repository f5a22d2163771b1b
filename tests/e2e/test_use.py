"""Hosts in daily use, through the real program on real containers: reach them, bring files, and the bad days."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import keys, records
from tests.e2e.using import Use

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
    _, said = tunnel.communicate(timeout=60)
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
