"""Runs on a simulated host: another home folder on this machine, with the real script and real processes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import gate, runner, runs, transfer
from gpurig.errors import ResultsAtRiskError, RigError
from gpurig.runs import Run
from gpurig.stack import Stack
from tests.unit.far import FarAway, far_away, host


@pytest.fixture
def far(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarAway]:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    made = far_away(stack, tmp_path)
    no_systemd = tmp_path / "bin" / "systemd-run"
    no_systemd.write_text("#!/bin/sh\nexit 1\n")
    no_systemd.chmod(0o755)
    yield made
    for name, seen in runner.states(made.place).items():
        if seen.state == "running":
            runner.cancel(made.place, name, 0)


def begin(far: FarAway, script: str, *args: str, name: str = "job.py") -> Run:
    """Sync a project with this script and start it."""
    root = far.place.stack.root
    (root / name).write_text(script)
    transfer.push(far.place, root)
    run = Run(
        id=runs.new_id(far.place.stack, "far", "job"),
        host="far",
        label=far.place.host.label,
        stack="test",
        project=str(root),
        directory=".",
        environment=runner.SYSTEM,
        command=(name, *args),
        created="2026-11-22T00:00:00+00:00",
    )
    runner.start(far.place, run, "the diff")
    return run


def ended(far: FarAway, run: Run) -> runner.Seen:
    """Wait for the end; returns how it ended."""
    return runner.follow(far.place, run.id, lambda _: None, print)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_leaves_its_log_its_results_and_what_it_wrote(far: FarAway) -> None:
    script = """
import os, sys
open(os.path.join(os.environ["GPURIG_RESULTS"], "m.json"), "w").write(repr(sys.argv[1:]))
open("new file", "w").write("new"); open("Pulumi.yaml", "a").write("# changed")
os.makedirs("__pycache__", exist_ok=True); open("__pycache__/x", "w").write("x")
print("done", flush=True)
"""
    run = begin(far, script, "--epochs", "3", "it's")
    assert ended(far, run) == runner.Seen("done", 0, ended(far, run).ended)
    done, ignored = runner.fetch(far.place, run)
    here = runs.folder(far.place.stack, "far", run.id)
    assert (here / "log").read_text() == "done\n"
    assert (here / "results/m.json").read_text() == repr(["--epochs", "3", "it's"])
    assert sorted(path.name for path in (here / "project").iterdir()) == ["Pulumi.yaml", "new file"]
    assert (here / "git.diff").read_text() == "the diff"
    assert (done.results, ignored) == ("verified", [])
    assert "# changed" not in (far.home / transfer.remote_folder(far.place.stack.root) / "Pulumi.yaml").read_text()


def test_a_runs_copy_of_the_project_shares_what_is_large_only(far: FarAway) -> None:
    (far.place.stack.root / "weights").write_bytes(bytes(2**20))
    run = begin(far, "")
    copy = far.home / f"gpurig/runs/{run.id}/project"
    assert {path.name: path.stat().st_nlink for path in copy.iterdir()} == {"Pulumi.yaml": 1, "job.py": 1, "weights": 2}


def test_the_exit_code_is_kept(far: FarAway) -> None:
    seen = ended(far, begin(far, "raise SystemExit(42)"))
    assert (seen.state, seen.code) == ("failed", 42)
    assert runs.get(far.place.stack, "far", runner.current(far.place)[0].id).summary() == "failed (42)"  # type: ignore[union-attr]  # it is there


@pytest.mark.parametrize(("name", "script"), [("job.sh", "echo shell"), ("job", "#!/bin/sh\necho shell\n")])
def test_scripts_of_other_kinds_run_too(far: FarAway, name: str, script: str) -> None:
    (far.place.stack.root / name).touch(mode=0o755)
    written: list[bytes] = []
    run = begin(far, script, name=name)
    assert runner.follow(far.place, run.id, written.append, print).state == "done"
    assert b"".join(written) == b"shell\n"


def test_a_run_in_a_folder_starts_there(far: FarAway) -> None:
    run = replace(begin(far, ""), directory="a b", environment="pytorch")
    script = runner.job_script(run, runner.interpreter("pytorch"))
    assert "cd 'project/a b' || exit" in script
    assert "export PATH=/opt/gpurig/environments/pytorch/.venv/bin:$PATH" in script
    assert script.endswith("exec /opt/gpurig/environments/pytorch/.venv/bin/python job.py\n")


def test_a_run_gets_the_variables_of_its_environment_as_they_are_on_the_host(far: FarAway, tmp_path: Path) -> None:
    run = replace(begin(far, ""), environment="own", command=("job.sh",))
    there = tmp_path / "there"
    (there / "project").mkdir(parents=True)
    (there / "own").mkdir()
    (there / "project" / "job.sh").write_text('echo "$LIMIT:$(env | grep -c ^LIMIT=)"\n')
    (there / "job").write_text(runner.job_script(run, f"{there}/own/.venv/bin/python"))

    def said() -> str:
        clean = {"PATH": os.environ["PATH"]}
        return subprocess.run(["sh", "job"], cwd=there, env=clean, capture_output=True, text=True, check=True).stdout

    assert said() == ":0\n"
    (there / "own" / "variables.env").write_text("# ours\nLIMIT='a $HOME b'\n")
    assert said() == "a $HOME b:1\n"


def test_an_environment_that_is_not_installed_is_said_and_nothing_is_left(far: FarAway) -> None:
    run = replace(begin(far, ""), id="later", environment="pytorch")
    with pytest.raises(RigError, match="far: environment pytorch is not installed there"):
        runner.start(far.place, run, "")
    assert "later" not in runner.states(far.place)
    assert runs.get(far.place.stack, "far", "later") is None


def test_a_log_is_followed_from_where_a_broken_connection_left_it(
    far: FarAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "AGAIN_SECONDS", 0.0)
    run = begin(far, "import time\nfor i in range(8): print(i); time.sleep(0.1)")
    far.breaks("client_loop: send disconnect: Broken pipe")
    written: list[bytes] = []
    said: list[str] = []
    assert runner.follow(far.place, run.id, written.append, said.append).state == "done"
    assert b"".join(written) == b"".join(b"%d\n" % i for i in range(8))
    assert said == ["The connection broke; the run goes on. Attaching again …"]


def test_a_wrong_host_key_is_no_broken_connection(far: FarAway) -> None:
    run = begin(far, "")
    far.breaks("Host key verification failed.")
    with pytest.raises(RigError, match="not the pinned one"):
        runner.follow(far.place, run.id, lambda _: None, print)


def test_cancel_ends_children_that_left_the_session(far: FarAway) -> None:
    run = begin(
        far,
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'], start_new_session=True).pid)\n"
        "time.sleep(99)",
    )
    log = far.home / f"gpurig/runs/{run.id}/log"
    until(lambda: log.read_text() != "")
    child = Path("/proc") / log.read_text().strip()
    assert runner.cancel(far.place, run.id, 5).state == "cancelled"
    until(lambda: not child.exists() or "Z" in (child / "stat").read_text())
    assert runner.cancel(far.place, run.id, 5).state == "cancelled"


def test_a_run_that_was_killed_with_its_watcher_is_lost_and_what_it_left_is_fetched(far: FarAway) -> None:
    run = begin(far, "import time; print('so far'); time.sleep(99)")
    folder = far.home / f"gpurig/runs/{run.id}"
    until(lambda: "so far" in (folder / "log").read_text())
    for name in ("watcher", "job"):
        os.kill(int((folder / ".run" / name).read_text().split()[0]), 9)
    until(lambda: runner.states(far.place)[run.id].state == "lost")
    done, _ = runner.fetch(far.place, runner.current(far.place)[0])
    assert (done.state, done.results) == ("lost", "verified")
    assert (runs.folder(far.place.stack, "far", run.id) / "log").read_text() == "so far\n"


def test_another_process_of_the_same_number_is_not_the_run(far: FarAway) -> None:
    run = begin(far, "import time; time.sleep(99)")
    folder = far.home / f"gpurig/runs/{run.id}/.run"
    assert runner.states(far.place)[run.id].state == "running"
    for name in ("watcher", "job"):
        process = int((folder / name).read_text().split()[0])
        os.kill(process, 9)
        (folder / name).write_text(f"{os.getpid()} 1 {Path('/proc/sys/kernel/random/boot_id').read_text()}")
    assert runner.states(far.place)[run.id].state == "lost"


def test_a_running_run_is_fetched_but_not_called_verified(far: FarAway) -> None:
    run = begin(far, "import time; print('so far'); time.sleep(99)")
    until(lambda: "so far" in (far.home / f"gpurig/runs/{run.id}/log").read_text())
    runner.fetch_partly(far.place, run)
    assert (runs.folder(far.place.stack, "far", run.id) / "log").read_text() == "so far\n"
    assert runs.get(far.place.stack, "far", run.id).results is None  # type: ignore[union-attr]  # it is there


def test_what_the_ignore_file_leaves_out_stays_on_the_host(far: FarAway) -> None:
    (far.place.stack.root / ".rigignore").write_text("/data/\n")
    run = begin(far, "import os; os.makedirs('data'); open('data/set', 'w').write('x'); open('model', 'w').write('y')")
    ended(far, run)
    _, ignored = runner.fetch(far.place, run)
    assert ignored == ["project/data/set"]
    here = runs.folder(far.place.stack, "far", run.id)
    assert (here / "project/model").exists()
    assert not (here / "project/data").exists()


def test_runs_of_another_machine_are_taken_over(far: FarAway) -> None:
    run = begin(far, "")
    ended(far, run)
    for file in runs.folder(far.place.stack, "far", run.id).iterdir():
        file.unlink()
    assert [(found.id, found.state, found.results) for found in runner.current(far.place)] == [(run.id, "done", None)]
    assert runs.get(far.place.stack, "far", run.id) is not None


def test_a_run_that_is_noted_but_not_there_is_lost(far: FarAway) -> None:
    run = replace(begin(far, ""), id="never-arrived")
    runs.save(far.place.stack, run)
    assert {found.id: found.state for found in runner.current(far.place)}["never-arrived"] == "lost"


def test_the_resource_log_has_the_jobs_use(far: FarAway) -> None:
    run = begin(far, "import time; end = time.time() + 1.6\nwhile time.time() < end: pass")
    ended(far, run)
    heading, sample, *_ = (far.home / f"gpurig/runs/{run.id}/resources.tsv").read_text().splitlines()
    assert heading.split("\t") == ["time", "cpu_percent", "memory_mb", "gpu_percent", "gpu_memory_mb"]
    assert 5 < float(sample.split("\t")[1]) < 150
    assert 3 < float(sample.split("\t")[2]) < 200


def test_gate_asks_a_running_host_and_forgets_an_earlier_machines_runs(far: FarAway) -> None:
    stack = far.place.stack
    run = begin(far, "")
    ended(far, run)
    with pytest.raises(ResultsAtRiskError, match=run.id):
        gate.check(stack, "far", running=True)
    runner.fetch(far.place, run)
    gate.check(stack, "far", running=True)
    runs.save(stack, replace(run, id="old", label=host(label="gpurig.unit.test.far.0").label))
    gate.check(stack, "far", running=True)


def test_discarding_is_noted(far: FarAway) -> None:
    stack = far.place.stack
    run = begin(far, "")
    with gate.discarding(["far"]):
        gate.check(stack, "far", running=True)
    assert json.loads((runs.folder(stack, "far", run.id) / "run.json").read_text())["results"] == "discarded"
    assert gate.DISCARD not in os.environ
