from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpurig import ignore
from gpurig.errors import ConfigError

NAMES = ["a", "b", "ab", "a.py", "b.csv", "keep", "x y", "[a]", "#c", "!n", "a*b"]
PIECES = ["a", "b", "*", "?", "**", "*.py", "*.csv", "keep", "[ab]", "[!a]", "a*", "x y", "\\#c", "\\!n", "[a-c]*"]

pattern = st.builds(
    lambda negated, anchor, pieces, folder: f"{negated}{anchor}{'/'.join(pieces)}{folder}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
path = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)


def files(root: Path) -> set[str]:
    return {entry.path for entry in ignore.scan(root) if entry.kind == "file"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.sets(path, min_size=1, max_size=12),
    st.lists(pattern, max_size=4),
    st.lists(pattern, max_size=3),
    st.sampled_from(NAMES),
)
def test_patterns_mean_what_they_mean_to_git(
    tmp_path_factory: pytest.TempPathFactory, paths: set[str], top: list[str], nested: list[str], folder: str
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for name in sorted(paths, key=len, reverse=True):
        if not (root / name).exists() and all(not parent.is_file() for parent in (root / name).parents):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
    (root / ".rigignore").write_text("\n".join(top) + "\n")
    if (root / folder).is_dir():
        (root / folder / ".rigignore").write_text("\n".join(nested) + "\n")
    subprocess.run(["git", "init", "-q", root], check=True)
    command = ["git", "-C", str(root), "ls-files", "--others", "-z", "--exclude-per-directory=.rigignore"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wanted = set(filter(None, listed.split("\0")))
    assert files(root) == wanted
    for name in paths:
        if (root / name).is_file():
            assert ignore.is_ignored(root, name) == (name not in wanted)


def test_what_nobody_wants_on_a_host_stays_here_unless_asked_for(tmp_path: Path) -> None:
    for name in (
        ".git/config",
        ".gpurig/manifest.json",
        ".venv/bin/python",
        "a/__pycache__/x.pyc",
        "venv/x",
        "train.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files(tmp_path) == {"train.py"}
    (tmp_path / ".rigignore").write_text("!venv/\n!.git/\n")
    assert files(tmp_path) == {".rigignore", "train.py", "venv/x"}


def test_links_travel_as_links_and_empty_folders_as_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("/nowhere")
    (tmp_path / "file").write_text("abc")
    found = {entry.path: (entry.kind, entry.size) for entry in ignore.scan(tmp_path)}
    assert found == {"empty/": ("folder", 0), "file": ("file", 3), "link": ("link", 0)}


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        ignore.scan(tmp_path / "nowhere")


@pytest.mark.parametrize("line", ["[", "a[", "# comment", "", "   ", "[z-a]"])
def test_lines_that_say_nothing_match_nothing(tmp_path: Path, line: str) -> None:
    (tmp_path / ".rigignore").write_text(f"{line}\n")
    (tmp_path / "a").touch()
    assert "a" in files(tmp_path)
