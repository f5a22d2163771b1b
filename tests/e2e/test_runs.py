"""Runs on a real container, through the real program: start, follow, end, bring results home, and let the host go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from gpurig import runs
from tests.e2e.using import Use, eventually


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
    follower = use.start("train", "box", "job.py", "--epochs", "75")
    assert follower.stdout is not None
    follower.stdout.readline()
    os.killpg(follower.pid, signal.SIGINT)
    _, said = follower.communicate(timeout=60)
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
    assert time.monotonic() - started < 60
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
