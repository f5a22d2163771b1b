"""A simulated package repository: packages without content, named as the real ones are, in signed lists that the real apt reads."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

UNIT = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


@dataclass(frozen=True, slots=True)
class Package:
    """depends: as in a control file. files: path → content."""

    name: str
    version: str
    depends: str = ""
    conflicts: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


class Signer:
    """A throw-away key. fingerprint: as gpg tells it."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, parents=True)
        self._gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
        self._run("--quick-generate-key", "simulated@example.org", "rsa2048", "sign", "never")
        listed = self._run("--list-keys", "--with-colons")
        self.fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        self.public = self._run("--armor", "--export")

    def clear_sign(self, file: Path) -> None:
        """Write InRelease beside Release."""
        self._run(
            "--yes", "--digest-algo", "SHA256", "--output", str(file.with_name("InRelease")), "--clearsign", str(file)
        )

    def _run(self, *words: str) -> str:
        return subprocess.run([*self._gpg, *words], check=True, capture_output=True, text=True).stdout


def build(folder: Path, origin: str, label: str, packages: Sequence[Package], signer: Signer) -> None:
    """A flat repository in `folder`, signed, with its key beside it as NVIDIA has it."""
    folder.mkdir(parents=True)
    stanzas = [_build(folder, package) for package in packages]
    index = "\n".join(stanzas).encode()
    (folder / "Packages").write_bytes(index)
    (folder / "Release").write_text(
        f"Origin: {origin}\nLabel: {label}\nDate: Sun, 22 Nov 2026 00:00:00 UTC\n"
        f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
    )
    signer.clear_sign(folder / "Release")
    (folder / "3bf863cc.pub").write_text(signer.public)


def _build(folder: Path, package: Package) -> str:
    """The package's file, and its paragraph in the list."""
    control = textwrap.dedent(
        f"""\
        Package: {package.name}
        Version: {package.version}
        Architecture: all
        Maintainer: Nobody <simulated@example.org>
        Description: simulated, without content
        """
    )
    control += f"Depends: {package.depends}\n" if package.depends else ""
    control += f"Conflicts: {package.conflicts}\n" if package.conflicts else ""
    deb = folder / f"{package.name}_{package.version}.deb"
    with tempfile.TemporaryDirectory() as tree:
        Path(tree).chmod(0o755)
        for path, content in {**package.files, "DEBIAN/control": control}.items():
            file = Path(tree) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, str(deb)]
        subprocess.run(command, check=True, capture_output=True)
    data = deb.read_bytes()
    return f"{control}Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
