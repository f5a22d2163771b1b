"""A repository is added with the key that we expect, or not at all."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import gpurig_apt_source as source

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="makes its keys with gpg, which is not installed")


@dataclass(frozen=True, slots=True)
class Key:
    """A throw-away key. fingerprint: as gpg tells it."""

    armoured: bytes
    binary: bytes
    fingerprint: str


def make_key(home: Path, name: str) -> Key:
    home.mkdir(mode=0o700, exist_ok=True)

    def gpg(*words: str) -> bytes:
        command = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", *words]
        return subprocess.run(command, check=True, capture_output=True).stdout

    gpg("--quick-generate-key", name, "rsa2048", "sign", "never")
    listed = gpg("--list-keys", "--with-colons", name).decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    gpg("--quick-add-key", fingerprint, "rsa2048", "encr", "never")
    return Key(gpg("--armor", "--export", name), gpg("--export", name), fingerprint)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key]:
    home = tmp_path_factory.mktemp("gpg") / "home"
    made = make_key(home, "one@example.org"), make_key(home, "two@example.org")
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return made


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    return folder


def wanted(tmp_path: Path, content: bytes, fingerprint: str, **changed: Any) -> dict[str, Any]:
    file = tmp_path / "key"
    file.write_bytes(content)
    given = {"name": "cuda", "uri": "https://example.org/x", "suite": "/", "components": None}
    return {**given, "key": file.as_uri(), "fingerprint": fingerprint, **changed}


def test_fingerprints_are_those_that_gpg_tells(keys: tuple[Key, Key]) -> None:
    for key in keys:
        assert source.fingerprints(key.armoured) == [key.fingerprint]
        assert source.fingerprints(key.binary) == [key.fingerprint]


def test_every_key_of_a_file_counts(keys: tuple[Key, Key]) -> None:
    both = [key.fingerprint for key in keys]
    assert source.fingerprints(b"".join(key.armoured for key in keys)) == both
    assert source.fingerprints(b"".join(key.binary for key in keys)) == both


@pytest.mark.parametrize("data", [b"<html>404</html>", b"\x99\x01"], ids=["a page", "cut off"])
def test_what_is_no_key_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="OpenPGP key"):
        source.fingerprints(data)


def test_a_repository_is_added_once(apt: Path, tmp_path: Path, keys: tuple[Key, Key]) -> None:
    given = wanted(tmp_path, keys[0].armoured, keys[0].fingerprint.lower())
    assert len(source.ensure(apt, given, write=True)) == 2
    (tmp_path / "key").unlink()  # it is not fetched again
    assert source.ensure(apt, given, write=True) == []
    text = (apt / "sources.list.d/gpurig-cuda.sources").read_text()
    assert f"Signed-By: {apt}/keyrings/gpurig-cuda.asc\n" in text
    assert "Components" not in text


def test_a_binary_key_gets_the_ending_by_which_apt_knows_it(apt: Path, tmp_path: Path, keys: tuple[Key, Key]) -> None:
    source.ensure(apt, wanted(tmp_path, keys[0].binary, keys[0].fingerprint), write=True)
    assert [path.name for path in (apt / "keyrings").iterdir()] == ["gpurig-cuda.gpg"]


@pytest.mark.parametrize("which", ["another", "one more"])
def test_another_key_changes_nothing(apt: Path, tmp_path: Path, keys: tuple[Key, Key], which: str) -> None:
    content = keys[1].armoured if which == "another" else keys[0].armoured + keys[1].armoured
    with pytest.raises(ValueError, match="expected the key"):
        source.ensure(apt, wanted(tmp_path, content, keys[0].fingerprint), write=True)
    assert [path for path in apt.rglob("*") if path.is_file()] == []


def test_a_check_tells_and_writes_nothing(apt: Path, tmp_path: Path, keys: tuple[Key, Key]) -> None:
    found = source.ensure(apt, wanted(tmp_path, keys[0].armoured, keys[0].fingerprint), write=False)
    assert "URIs: https://example.org/x" in found[0]["after"]
    assert [path for path in apt.rglob("*") if path.is_file()] == []


def test_a_part_of_the_distribution_is_signed_by_its_own_keys(apt: Path) -> None:
    given = {"name": "non-free", "uri": "http://example.org/debian", "suite": "bookworm", "components": ["non-free"]}
    source.ensure(apt, {**given, "key": None, "fingerprint": None}, write=True)
    text = (apt / "sources.list.d/gpurig-non-free.sources").read_text()
    assert "Components: non-free\n" in text
    assert f"Signed-By: {source.DISTRIBUTION_KEY}\n" in text


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ("Types: deb\nSigned-By: /usr/share/keyrings/debian-archive-keyring.pgp\n", "debian-archive-keyring.pgp"),
        ("Types: deb\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n", "debian-archive-keyring.gpg"),
    ],
    ids=["a file", "in the source itself"],
)
def test_the_distribution_s_key_is_called_as_its_own_source_calls_it(apt: Path, own: str, key: str) -> None:
    """Otherwise apt refuses everything: `Conflicting values set for option Signed-By`."""
    (apt / "sources.list.d/debian.sources").write_text(own)
    given = {"name": "x", "uri": "http://example.org/debian", "suite": "trixie", "components": ["contrib"]}
    source.ensure(apt, {**given, "key": None, "fingerprint": None}, write=True)
    assert f"Signed-By: /usr/share/keyrings/{key}\n" in (apt / "sources.list.d/gpurig-x.sources").read_text()
