"""Which stack a command is about, and files that are whole and private."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gpurig.errors import ConfigError
from gpurig.stack import Stack, home, locked, open_stack, remember, write_private


def select_in_pulumi(root: Path, base: Path, selection: dict[str, Any]) -> None:
    digest = hashlib.sha1(str(root / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    file = base / "workspaces" / f"unit-{digest}-workspace.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(selection))


def test_stack_is_the_named_else_the_environments_else_pulumis_else_the_last_used(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stack.root / "Pulumi.some.yaml").touch()
    with pytest.raises(ConfigError, match=r"Stacks in .*: some\."):
        open_stack()
    remember(stack)
    assert open_stack().name == "test"
    select_in_pulumi(stack.root, tmp_path / "pulumi", {"stack": "organization/unit/chosen"})
    assert open_stack().name == "chosen"
    monkeypatch.setenv("GPURIG_STACK", "outer")
    assert open_stack().name == "outer"
    assert open_stack("given").name == "given"


def test_pulumis_selection_is_the_one_of_the_backend_in_use(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = {"stacks": {"file:///a": "organization/unit/on-a", "file:///b": "organization/unit/on-b"}}
    select_in_pulumi(stack.root, tmp_path / "pulumi", selection)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///b")
    assert open_stack().name == "on-b"
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    (tmp_path / "pulumi" / "credentials.json").write_text(json.dumps({"current": "file:///a"}))
    assert open_stack().name == "on-a"


def test_a_project_is_found_from_a_folder_inside_it(stack: Stack) -> None:
    inside = stack.root / "src" / "deep"
    inside.mkdir(parents=True)
    assert open_stack("test", start=inside) == stack


def test_outside_a_project_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No Pulumi\.yaml"):
        open_stack("test", start=tmp_path)


@pytest.mark.parametrize("name", ["../up", "a b", "-x"])
def test_a_stack_name_cannot_leave_its_folder(stack: Stack, name: str) -> None:
    with pytest.raises(ConfigError, match="use letters"):
        open_stack(name if "/" not in name else name.replace("/", "."))


def test_files_and_folders_are_for_the_user_alone(stack: Stack) -> None:
    path = home() / "deep" / "secret"
    write_private(path, "x")
    assert [stat.S_IMODE(item.stat().st_mode) for item in (home(), path.parent, path)] == [0o700, 0o700, 0o600]


def test_a_failed_write_leaves_the_old_file(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stack.dir / "file"
    write_private(path, "old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_lock_refuses_a_second_holder_and_is_free_afterwards(stack: Stack) -> None:
    path = stack.dir / "lock"
    with (
        locked(path, wait=False, busy="busy"),
        pytest.raises(ConfigError, match="busy"),
        locked(path, wait=False, busy="busy"),
    ):
        pass
    with locked(path, wait=False, busy="busy"):
        pass
