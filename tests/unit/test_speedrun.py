"""The speed run of nanochat: its plan, and its runner against a stand-in for the repository."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpurig import catalogue

FOLDER = catalogue.ROOT / "environments" / "nanochat"
STAND_IN = catalogue.ROOT / "tests" / "fixtures" / "nanochat" / "stand_in.py"
BASE = (
    "--depth=24 --target-param-data-ratio=8 --save-every=250 --model-tag=d24 --run=dummy --device-batch-size=16 --fp8"
)
H100 = ("--gpu=NVIDIA H100 80GB HBM3", "--gpus=2")


def module(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made  # where dataclasses look
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def planning() -> ModuleType:
    return module("speedrun_plan", FOLDER / "plan.py")


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, bytes], None]:
    """Writes an archive as torch.save does."""
    monkeypatch.setenv("NANOCHAT_BASE_DIR", str(tmp_path))
    writes: Callable[[Path, bytes], None] = module("stand_in_files", STAND_IN).put
    return writes


class Rehearsal:
    """The runner, a stand-in for the repository, and a base folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base, self.source, self.plan = folder / "base", folder / "source", folder / "speedrun.toml"
        self.base.mkdir()
        monkeypatch.setenv("NANOCHAT_BASE_DIR", str(self.base))
        module("stand_in", STAND_IN).make(self.source)
        self.plan.write_text(re.sub("other_gb = .*", "other_gb = 0.01", (FOLDER / "speedrun.toml").read_text()))

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ours = [f"--source={self.source}", f"--plan={self.plan}", "--shards=12"]
        command = [sys.executable, "-B", str(FOLDER / "speedrun.py"), *H100, *ours, *words]
        everything = {**os.environ, **environment}
        return subprocess.run(command, env=everything, capture_output=True, text=True, check=False, timeout=120)

    def calls(self) -> list[str]:
        """What the repository was asked since the last time."""
        file = self.base / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    return Rehearsal(tmp_path, monkeypatch)


def test_every_stage_is_done_in_order_and_none_twice(rehearsal: Rehearsal) -> None:
    done = rehearsal.run()
    assert done.returncode == 0, done.stderr
    assert [line for line in rehearsal.calls() if "[1/2]" not in line] == [
        "nanochat.dataset --num-files=8 [0/1]",
        "scripts.tok_train  [0/1]",
        "scripts.tok_eval  [0/1]",
        "nanochat.dataset --num-files=12 [0/1]",
        f"scripts.base_train {BASE} [0/2]",
        "scripts.base_eval --model-tag=d24 --device-batch-size=16 [0/2]",
        "scripts.chat_sft --model-tag=d24 --run=dummy [0/2]",
        "scripts.chat_eval --source=sft --model-tag=d24 [0/2]",
    ]
    again = rehearsal.run()
    assert again.returncode == 0
    assert again.stdout.count("done before") == 8
    assert rehearsal.calls() == []


def test_training_that_was_killed_while_saving_goes_on_from_the_checkpoint_before(rehearsal: Rehearsal) -> None:
    killed = rehearsal.run(KILL="500")
    assert killed.returncode == 1
    assert "base ended with exit code 1; run this again to go on from there" in killed.stderr
    assert (rehearsal.base / "base_checkpoints/d24/model_000500.pt").exists()
    rehearsal.calls()
    done = rehearsal.run()
    assert done.returncode == 0, done.stderr
    calls = rehearsal.calls()
    assert re.search(r"base_train .*--resume-from-step=250 \[./2\]", calls[0])
    assert not [line for line in calls if "tok_train" in line or "dataset" in line]


def test_shards_that_a_download_lost_are_fetched_again(rehearsal: Rehearsal) -> None:
    done = rehearsal.run(LOSE="3")
    assert "there are 0 of 8 shards and no last one; once more" in done.stdout
    assert done.returncode == 0, done.stderr


def test_shards_that_never_come_end_the_run(rehearsal: Rehearsal) -> None:
    (rehearsal.source / "nanochat/dataset.py").write_text("")
    done = rehearsal.run()
    assert done.returncode == 1
    assert "first-data ended without an error but left only 0 of 8 shards and no last one" in done.stderr


def test_a_checkpoint_of_more_gpus_is_not_taken_up(rehearsal: Rehearsal) -> None:
    rehearsal.run(KILL="500")
    done = rehearsal.run("--gpus=1")
    assert done.returncode == 1
    assert "step 250 was written by 2 GPU(s), and only as many can go on from it; use --gpus 2" in done.stderr


def test_a_checkpoint_of_another_run_is_not_taken_up(rehearsal: Rehearsal) -> None:
    rehearsal.run()
    rehearsal.calls()
    done = rehearsal.run("--ratio=12")
    assert done.returncode == 1
    assert "step 600 is of a run without --target-param-data-ratio=12.0; move that folder away" in done.stderr
    assert rehearsal.calls() == []


def test_another_batch_size_makes_nothing_anew(rehearsal: Rehearsal) -> None:
    rehearsal.run()
    rehearsal.calls()
    assert rehearsal.run("--device-batch-size=4", "--run=named").returncode == 0
    assert rehearsal.calls() == []


def test_what_follows_from_a_stage_that_changes_is_done_anew(rehearsal: Rehearsal) -> None:
    rehearsal.run()
    (rehearsal.base / "base_checkpoints").rename(rehearsal.base / "before")
    lines = rehearsal.run("--dry-run", "--ratio=12").stdout.splitlines()
    left = [line.split()[0] for line in lines if "# done" not in line]
    assert left == ["base", "base-eval", "sft", "chat-eval"]


def test_a_dry_run_shows_the_commands_and_does_nothing(rehearsal: Rehearsal) -> None:
    done = rehearsal.run("--dry-run")
    assert "-m torch.distributed.run --standalone --nproc_per_node=2 -m scripts.base_train -- --depth=24" in done.stdout
    assert ".sh" not in done.stdout
    assert list(rehearsal.base.iterdir()) == []


def test_a_folder_that_is_no_repository_is_named(rehearsal: Rehearsal, tmp_path: Path) -> None:
    done = rehearsal.run(f"--source={tmp_path}/nothing")
    assert (done.returncode, "nothing is not nanochat's repository" in done.stderr) == (1, True)


def test_too_little_disk_is_said_before_anything_is_done(rehearsal: Rehearsal) -> None:
    rehearsal.plan.write_text(rehearsal.plan.read_text().replace("other_gb = 0.01", "other_gb = 9999999"))
    done = rehearsal.run()
    assert "GB free and needs 10000000 GB" in done.stderr
    assert rehearsal.calls() == []


def estimate(rehearsal: Rehearsal, *words: str) -> dict[str, Any]:
    done = rehearsal.run("--estimate", "--json", "--shards=170", *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_estimate_on_the_reference_machine_is_what_was_measured_there(rehearsal: Rehearsal) -> None:
    found = estimate(rehearsal, "--gpu=H100", "--gpus=8", "--price=24")
    assert found["stages"]["base"] == 1.65
    assert found["stages"]["first-data"] + found["stages"]["data"] == pytest.approx(17_000 / 100 / 3600, abs=0.002)
    assert found["usd"] == pytest.approx(found["hours"] * 24, abs=0.2)


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (("--gpu=H100", "--gpus=1"), 8),
        (("--gpu=NVIDIA A100-SXM4-80GB", "--gpus=8"), 989 / 312 * 1.17),
        (("--gpu=H100", "--gpus=8", "--depth=12"), 0.0227),
        (("--gpu=NVIDIA H100 PCIe", "--gpus=8"), 989 / 756),
    ],
)
def test_an_estimate_follows_gpus_precision_and_depth(
    rehearsal: Rehearsal, words: tuple[str, ...], times: float
) -> None:
    assert estimate(rehearsal, *words)["stages"]["base"] == pytest.approx(1.65 * times, rel=0.05)


def test_an_estimate_counts_only_what_is_left(rehearsal: Rehearsal) -> None:
    rehearsal.run("--shards=170")
    assert estimate(rehearsal)["stages"] == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gpus=3",), "use 1, 2, 4 or 8"),
        (("--gpu=Voodoo 2",), "Voodoo 2: unknown GPU; speedrun.toml knows B200"),
        (("--shards=7000",), "there are 6542 besides the last one"),
    ],
)
def test_what_is_impossible_is_said(rehearsal: Rehearsal, words: tuple[str, ...], said: str) -> None:
    done = rehearsal.run(*words)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("files", "step"),
    [
        ((), None),
        (("model_000005.pt",), None),
        (("model_000005.pt", "meta_000005.json"), None),
        (("model_000005.pt", "meta_000005.json", "optim_000005_rank0.pt"), None),
        (("model_000005.pt", "optim_000005_rank0.pt", "optim_000005_rank1.pt"), None),
        (("model_000005.pt", "meta_000005.json", "optim_000005_rank0.pt", "optim_000005_rank1.pt"), 5),
    ],
)
def test_a_checkpoint_is_whole_with_all_its_parts(
    planning: ModuleType, put: Callable[[Path, bytes], None], tmp_path: Path, files: tuple[str, ...], step: int | None
) -> None:
    for name in files:
        if name.endswith(".json"):
            (tmp_path / name).write_text('{"step": 5}')
        else:
            put(tmp_path / name, b"")
    if files[-1:] == ("optim_000005_rank0.pt",):
        with pytest.raises(planning.PlanError, match=r"written by 1 GPU"):
            planning.resume_step(tmp_path, ranks=2)
    else:
        assert planning.resume_step(tmp_path, ranks=2) == step


@pytest.mark.parametrize("broken", ["model_000005.pt", "optim_000005_rank0.pt"])
def test_a_file_that_was_cut_off_makes_no_checkpoint(
    planning: ModuleType, put: Callable[[Path, bytes], None], tmp_path: Path, broken: str
) -> None:
    for step in (3, 5):
        put(tmp_path / f"model_{step:06d}.pt", b"")
        put(tmp_path / f"optim_{step:06d}_rank0.pt", b"")
        (tmp_path / f"meta_{step:06d}.json").write_text('{"step": 1}')
    assert planning.resume_step(tmp_path, ranks=1) == 5
    (tmp_path / broken).write_bytes((tmp_path / broken).read_bytes()[:-40])
    assert planning.resume_step(tmp_path, ranks=1) == 3
