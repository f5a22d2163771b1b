from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurig import ignore, manifest
from gpurig.errors import RigError

digest = st.binary(min_size=32, max_size=32).map(bytes.hex)
name = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0/\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e"),
    min_size=1,
)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@given(st.dictionaries(name, digest))
def test_what_is_dumped_is_parsed(made: dict[str, str]) -> None:
    assert manifest.parse(manifest.dump(made)) == {path.removeprefix("./"): value for path, value in made.items()}


def test_it_is_the_format_of_sha256sum(tmp_path: Path) -> None:
    names = ["plain", "with blank", "back\\slash", "line\nbreak", "ä"]
    for path in names:
        (tmp_path / path).write_text(path)
    done = subprocess.run(["sha256sum", "--", *names], cwd=tmp_path, capture_output=True, text=True, check=True)
    wanted = {path: sha(path) for path in names}
    assert manifest.parse(done.stdout) == wanted
    check = ["sha256sum", "--check", "--strict", "--quiet"]
    assert subprocess.run(check, cwd=tmp_path, input=manifest.dump(wanted), text=True, check=False).returncode == 0


def test_another_line_is_refused() -> None:
    with pytest.raises(RigError, match="Not a line"):
        manifest.parse("hello\n")


def test_missing_and_changed_files_differ(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("x")
    (tmp_path / "changed").write_text("y")
    assert manifest.differing(tmp_path, {"same": sha("x"), "changed": sha("x"), "missing": sha("x")}) == [
        "changed",
        "missing",
    ]


def settled(file: Path, text: str) -> None:
    """Write a file as if long ago."""
    file.write_text(text)
    os.utime(file, (1, 1))


def test_the_cache_hashes_a_file_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, hashed = tmp_path / "root", list[str]()
    root.mkdir()
    settled(root / "a", "one")
    settled(root / "b", "two")
    real = manifest.of_folder

    def counting(base: Path, paths: Iterable[str]) -> manifest.Manifest:
        hashed.extend(paths)
        return real(base, hashed)

    monkeypatch.setattr(manifest, "of_folder", counting)

    def once() -> tuple[manifest.Manifest, list[str]]:
        hashed.clear()
        cache = manifest.Cache(tmp_path / "cache.json")
        found = cache.hashes(root, ignore.scan(root))
        cache.save()
        return found, sorted(hashed)

    assert once() == ({"a": sha("one"), "b": sha("two")}, ["a", "b"])
    assert once() == ({"a": sha("one"), "b": sha("two")}, [])
    settled(root / "b", "other")
    assert once() == ({"a": sha("one"), "b": sha("other")}, ["b"])


def test_the_cache_does_not_trust_a_file_that_was_just_written(tmp_path: Path) -> None:
    root, file = tmp_path / "root", tmp_path / "cache.json"
    root.mkdir()
    (root / "a").write_text("one")
    before = (root / "a").stat()
    first = manifest.Cache(file)
    first.hashes(root, ignore.scan(root))
    first.save()
    (root / "a").write_text("two")
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert manifest.Cache(file).hashes(root, ignore.scan(root)) == {"a": sha("two")}


def test_a_damaged_cache_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "cache.json").write_text("{")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a").write_text("x")
    assert manifest.Cache(tmp_path / "cache.json").hashes(tmp_path / "root", ignore.scan(tmp_path / "root")) == {
        "a": sha("x")
    }


def test_a_file_that_vanished_meanwhile_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    entries = ignore.scan(tmp_path)
    (tmp_path / "a").unlink()
    assert manifest.Cache(tmp_path / "cache.json").hashes(tmp_path, entries) == {}
