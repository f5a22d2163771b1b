from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurig import revision, runs
from gpurig.errors import RigError
from gpurig.runs import Run
from gpurig.stack import Stack

RUN = Run(
    id="20261122-093015-train",
    host="far",
    label="gpurig.unit.test.far.1",
    stack="test",
    project="/home/me/project",
    directory=".",
    environment="starter",
    command=("train.py", "--epochs", "3"),
    created="2026-11-22T09:30:15+00:00",
)


def test_what_is_saved_is_read(stack: Stack) -> None:
    runs.save(stack, RUN)
    assert runs.of_stack(stack) == runs.of_host(stack, "far") == [RUN]
    assert runs.get(stack, "far", "other") is None


def test_names_sort_by_time_and_are_never_given_twice(stack: Stack) -> None:
    first = runs.new_id(stack, "far", "Train model.v2")
    runs.save(stack, replace(RUN, id=first))
    second = runs.new_id(stack, "far", "Train model.v2")
    assert first.endswith("-train-model-v2")
    assert second > first


@given(st.text())
def test_any_text_makes_a_name(text: str) -> None:
    assert runs.NAME.fullmatch(runs.slug(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "damaged"), ('{"schema": 99}', "schema 99"), ('{"schema": 1, "command": [], "untracked": []}', "damaged")],
)
def test_a_damaged_or_foreign_run_is_named(stack: Stack, text: str, says: str) -> None:
    runs.save(stack, RUN)
    file = runs.folder(stack, "far", RUN.id) / "run.json"
    file.write_text(text)
    with pytest.raises(RigError, match=says) as error:
        runs.of_host(stack, "far")
    assert str(file) in str(error.value)


def test_a_later_version_may_have_more_fields() -> None:
    assert Run.from_json(json.dumps({**json.loads(RUN.to_json()), "new": 1})) == RUN


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_revision_has_commit_branch_difference_and_what_git_does_not_know(tmp_path: Path) -> None:
    assert revision.of_folder(tmp_path) == revision.Revision()
    git(tmp_path, "init", "-q", "-b", "work")
    assert revision.of_folder(tmp_path) == revision.Revision()
    (tmp_path / "a.py").write_text("old\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "First")
    (tmp_path / "a.py").write_text("new\n")
    (tmp_path / "b c.py").write_text("x")
    (tmp_path / "x.log").write_text("x")
    found = revision.of_folder(tmp_path)
    assert (found.commit, found.branch) == (git(tmp_path, "rev-parse", "HEAD"), "work")
    assert "-old\n+new\n" in found.diff
    assert found.untracked == ("b c.py",)


def test_a_huge_difference_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "DIFF_BYTES", 50)
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "First")
    (tmp_path / "a").write_text("x\n" * 100)
    assert revision.of_folder(tmp_path).diff.splitlines()[-1].startswith("… cut by gpurig")
