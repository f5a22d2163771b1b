"""Sync and results against a simulated host: another home folder on this machine, with real rsync."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from gpurig import rsync, stream, transfer
from gpurig.errors import ConfigError, RigError
from gpurig.stack import Stack
from tests.unit.far import FarAway, far_away


@pytest.fixture
def far(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FarAway:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setattr(rsync, "PAUSE_SECONDS", 0.0)
    return far_away(stack, tmp_path)


@pytest.fixture
def project(stack: Stack) -> Path:
    (stack.root / "train.py").write_text("print()")
    (stack.root / "data").mkdir()
    (stack.root / "data/a b.csv").write_text("1,2")
    return stack.root


def there(far: FarAway, project: Path) -> Path:
    return far.home / transfer.remote_folder(project)


def tree(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return {path.as_posix() for path in paths if path.parts[0] != ".gpurig"}


def test_a_second_sync_sends_nothing(far: FarAway, project: Path) -> None:
    assert transfer.push(far.place, project).sent == 3
    assert tree(there(far, project)) == {"Pulumi.yaml", "train.py", "data/a b.csv"}
    assert transfer.push(far.place, project).sent == 0


def test_a_change_of_the_same_size_within_the_same_second_travels(far: FarAway, project: Path) -> None:
    os.utime(project / "train.py", ns=(0, 10**18))
    transfer.push(far.place, project)
    (project / "train.py").write_text("input()")
    os.utime(project / "train.py", ns=(0, 10**18 + 1000))
    assert transfer.push(far.place, project).sent == 1
    assert (there(far, project) / "train.py").read_text() == "input()"


def test_what_is_gone_here_is_deleted_there_with_the_folders_that_it_leaves_empty(far: FarAway, project: Path) -> None:
    transfer.push(far.place, project)
    shutil.rmtree(project / "data")
    assert transfer.push(far.place, project).deleted == ("data/a b.csv",)
    assert not (there(far, project) / "data").exists()


def test_what_others_put_or_changed_there_stays(far: FarAway, project: Path) -> None:
    transfer.push(far.place, project)
    (there(far, project) / "data/theirs").write_text("x")
    (there(far, project) / "data/a b.csv").write_text("changed there")
    shutil.rmtree(project / "data")
    done = transfer.push(far.place, project)
    assert (done.deleted, done.kept) == ((), ("data/a b.csv",))
    assert tree(there(far, project)) == {"Pulumi.yaml", "train.py", "data/theirs", "data/a b.csv"}


def test_a_folder_becomes_a_file_and_a_file_a_folder(far: FarAway, project: Path) -> None:
    transfer.push(far.place, project)
    shutil.rmtree(project / "data")
    (project / "data").write_text("now a file")
    (project / "train.py").unlink()
    (project / "train.py").mkdir()
    (project / "train.py/x").write_text("x")
    transfer.push(far.place, project)
    assert tree(there(far, project)) == {"Pulumi.yaml", "data", "train.py/x"}


def test_an_interrupted_sync_is_verified_whole_and_cleaned_up_by_the_next(far: FarAway, project: Path) -> None:
    transfer.push(far.place, project)
    (project / "new").write_text("x")
    state = there(far, project) / ".gpurig"
    (state / "pending.json").write_text(json.dumps(["train.py", "half"]))
    (there(far, project) / "half").write_text("from the interrupted one")
    (there(far, project) / ".half.a1B2c3").write_text("rsync was killed while it wrote this")
    before = (project / "train.py").stat()
    (there(far, project) / "train.py").write_text("PRINT()")
    os.utime(there(far, project) / "train.py", ns=(before.st_atime_ns, before.st_mtime_ns))  # rsync would not notice
    done = transfer.push(far.place, project)
    assert "half" in done.deleted
    assert tree(there(far, project)) == {"Pulumi.yaml", "train.py", "data/a b.csv", "new"}
    assert (there(far, project) / "train.py").read_text() == "print()"
    assert [path.name for path in state.iterdir()] == ["manifest.json"]


@pytest.fixture
def many(project: Path) -> Path:
    """So many small files that they go in one stream."""
    for number in range(stream.WORTH_FILES):
        file = project / f"many/{number % 7}/{number} ä"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content {number}")
        os.utime(file, ns=(0, 10**18 + number))
        file.chmod(0o755 if number % 2 else 0o600)
    return project


def test_many_small_files_arrive_in_one_stream_as_rsync_would_bring_them(far: FarAway, many: Path) -> None:
    assert transfer.push(far.place, many).sent == stream.WORTH_FILES + 3
    for file in (path for path in many.rglob("*") if path.is_file()):
        copy = there(far, many) / file.relative_to(many)
        wanted, found = file.stat(), copy.stat()
        assert copy.read_bytes() == file.read_bytes()
        assert (found.st_mode, found.st_mtime_ns) == (wanted.st_mode, wanted.st_mtime_ns)
    assert transfer.push(far.place, many).sent == 0


def test_a_broken_stream_leaves_the_rest_to_rsync(far: FarAway, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stream.send

    def send(*args: Any) -> tuple[dict[str, str], bytes]:
        far.breaks("client_loop: send disconnect: Broken pipe")
        return real(*args)

    monkeypatch.setattr(stream, "send", send)
    assert transfer.push(far.place, many).sent == stream.WORTH_FILES + 3
    assert len(tree(there(far, many))) == stream.WORTH_FILES + 3


@pytest.fixture
def large(project: Path) -> Path:
    """Two files that each travel in chunks, one of them in a folder that is not there yet."""
    for name, size in (("weights", 3 * stream.CHUNK + 17), ("deep/er/weights2", stream.WORTH_BYTES)):
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(size))
        os.utime(file, ns=(0, 10**18 + size))
    return project


def test_large_new_files_arrive_in_the_stream(far: FarAway, large: Path) -> None:
    told: list[float] = []
    assert transfer.push(far.place, large, progress=lambda part, _: told.append(part)).sent == 5
    for name in ("weights", "deep/er/weights2"):
        copy = there(far, large) / name
        assert copy.read_bytes() == (large / name).read_bytes()
        assert copy.stat().st_mtime_ns == (large / name).stat().st_mtime_ns
    assert told
    assert transfer.push(far.place, large).sent == 0


def test_half_a_large_file_is_completed_by_rsync(far: FarAway, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = there(far, large) / ".gpurig/partial"
    partial.mkdir(parents=True)
    (partial / "weights").write_bytes((large / "weights").read_bytes()[: stream.CHUNK])
    streamed: list[str] = []
    real = stream.send

    def send(*args: Any) -> tuple[dict[str, str], bytes]:
        streamed.extend(entry.path for entry in args[2])
        return real(*args)

    monkeypatch.setattr(stream, "send", send)
    transfer.push(far.place, large)
    assert "weights" not in streamed
    assert (there(far, large) / "weights").read_bytes() == (large / "weights").read_bytes()
    assert not partial.exists()


def test_a_large_file_that_shrinks_while_it_travels_arrives_as_it_is_in_the_end(
    far: FarAway, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        about = real(descriptor)
        if about.st_size == 3 * stream.CHUNK + 17:
            os.truncate(large / "weights", stream.CHUNK)
        return about

    monkeypatch.setattr(os, "fstat", fstat)
    transfer.push(far.place, large)
    assert (there(far, large) / "weights").read_bytes() == (large / "weights").read_bytes()


def test_what_arrives_damaged_in_the_stream_is_sent_again(
    far: FarAway, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = stream.send

    def send(*args: Any) -> tuple[dict[str, str], bytes]:
        sent, _ = real(*args)
        damaged = there(far, many) / "many/3/3 ä"
        about = damaged.stat()
        damaged.write_text("CONTENT 3")
        os.utime(damaged, ns=(0, about.st_mtime_ns + 1))
        return sent, json.dumps({"bad": ["many/3/3 ä"]}).encode()

    monkeypatch.setattr(stream, "send", send)
    transfer.push(far.place, many)
    assert (there(far, many) / "many/3/3 ä").read_text() == "content 3"


def test_a_broken_connection_is_tried_again(far: FarAway, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rsync.copy

    def copy(*args: object, **options: object) -> set[str]:
        far.breaks("client_loop: send disconnect: Broken pipe")
        return real(*args, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(rsync, "copy", copy)
    assert transfer.push(far.place, project).sent == 3


def test_a_file_that_changes_while_it_travels_is_sent_again(
    far: FarAway, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rsync.copy

    def copy(*args: object, **options: object) -> set[str]:
        moved = real(*args, **options)  # type: ignore[arg-type]  # passed on
        monkeypatch.setattr(rsync, "copy", real)
        (there(far, project) / "train.py").write_text("print(")
        return moved

    monkeypatch.setattr(rsync, "copy", copy)
    transfer.push(far.place, project)
    assert (there(far, project) / "train.py").read_text() == "print()"


def test_without_room_nothing_is_sent(far: FarAway, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SPARE_BYTES", 10**18)
    with pytest.raises(RigError, match=r"far: its disk is full.*free:"):
        transfer.push(far.place, project)
    assert tree(there(far, project)) == set()


def test_one_sync_per_host_at_a_time(far: FarAway, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(*_: object, **__: object) -> set[str]:
        with pytest.raises(ConfigError, match="Another `rig` is bringing files"):
            transfer.push(far.place, project)
        raise RigError("stop here")

    monkeypatch.setattr(rsync, "copy", meanwhile)
    with pytest.raises(RigError, match="stop here"):
        transfer.push(far.place, project)


def test_the_folders_that_were_synced_are_remembered_the_latest_last(
    far: FarAway, project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").touch()
    for folder in (project, other, project):
        transfer.push(far.place, folder)
    assert transfer.synced_folders(far.place.stack, "far") == [other, project]
    assert transfer.synced_folders(far.place.stack, "never") == []


def test_nothing_at_all_is_no_project(far: FarAway, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="nothing to bring"):
        transfer.push(far.place, tmp_path / "empty")


def test_the_project_is_the_nearest_folder_with_an_ignore_file(stack: Stack) -> None:
    inner = stack.root / "examples/digits/deep"
    inner.mkdir(parents=True)
    assert transfer.project_folder(stack, inner) == stack.root
    (inner.parent / ".rigignore").touch()
    assert transfer.project_folder(stack, inner) == inner.parent
    assert transfer.project_folder(stack, stack.root) == stack.root


def test_a_damaged_copy_here_is_fetched_again(far: FarAway, tmp_path: Path) -> None:
    (far.home / "run").mkdir()
    (far.home / "run/x").write_text("good")
    wanted = {"x": hashlib.sha256(b"good").hexdigest()}
    target = tmp_path / "target"
    transfer.pull_verified(far.place, "run", target, wanted)
    about = (target / "x").stat()
    (target / "x").write_text("evil")
    os.utime(target / "x", ns=(about.st_atime_ns, about.st_mtime_ns))
    transfer.pull_verified(far.place, "run", target, wanted)
    assert (target / "x").read_text() == "good"


def test_a_damaged_original_is_an_error(far: FarAway, tmp_path: Path) -> None:
    (far.home / "run").mkdir()
    (far.home / "run/x").write_text("evil")
    with pytest.raises(RigError, match="far: x in ~/run is not what the run left there"):
        transfer.pull_verified(far.place, "run", tmp_path / "target", {"x": hashlib.sha256(b"good").hexdigest()})


@pytest.mark.parametrize(
    ("code", "errors", "says"),
    [
        (11, 'rsync: write failed on "/x": No space left on device (28)', "far: its disk is full"),
        (127, "bash: line 1: rsync: command not found", "far: has no rsync"),
        (255, "ssh: connect to host 192.0.2.1 port 22: Connection refused", "far: no SSH at 192.0.2.1:22"),
        (12, "rsync: connection unexpectedly closed", "far: the connection broke"),
        (23, "rsync: [receiver] mkstemp failed: Permission denied (13)\nrsync error: some files", "Permission denied"),
    ],
)
def test_rsyncs_failures_are_told_in_the_users_terms(far: FarAway, code: int, errors: str, says: str) -> None:
    assert says in str(rsync.problem(far.place, code, errors, down=False))


def test_a_full_disk_here_is_not_blamed_on_the_host(far: FarAway) -> None:
    problem = rsync.problem(far.place, 11, "No space left on device (28)", down=True)
    assert "disk of this machine" in str(problem)
