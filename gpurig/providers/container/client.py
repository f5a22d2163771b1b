"""Podman's command line, and nothing else: no decisions here."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig.errors import RigError


class PodmanError(RigError):
    """Podman refused; `stderr` holds its own words."""

    def __init__(self, message: str, stderr: str = "") -> None:
        super().__init__(message)
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class File:
    """One file to put into a container. mode: permission bits; owner: numeric user and group."""

    path: str
    content: str
    mode: int
    owner: int = 0


class Podman:
    """Runs podman. `config` is a CONTAINERS_CONF of gpurig's own, used only where it exists (see scripts/setup.sh)."""

    def __init__(self, config: Path) -> None:
        self._environment = {**os.environ}
        if config.exists() and "CONTAINERS_CONF" not in os.environ:
            self._environment["CONTAINERS_CONF"] = str(config)

    def containers(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Every container, running or not, that carries all these labels."""
        filters = [f"--filter=label={key}={value}" for key, value in labels.items()]
        listed: list[dict[str, Any]] = json.loads(self.run("ps", "--all", "--format=json", *filters) or "[]")
        return listed

    def inspect(self, container: str) -> dict[str, Any]:
        """Everything that podman knows of one container."""
        found: list[dict[str, Any]] = json.loads(self.run("container", "inspect", container))
        return found[0]

    def put(self, container: str, files: Iterable[File]) -> None:
        """Write files into a container, started or not; all in one step."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for file in files:
                data = file.content.encode()
                entry = tarfile.TarInfo(file.path.lstrip("/"))
                entry.size, entry.mode, entry.uid, entry.gid = len(data), file.mode, file.owner, file.owner
                tar.addfile(entry, io.BytesIO(data))
        self.run("cp", "--archive=false", "-", f"{container}:/", data=archive.getvalue())

    def run(self, *arguments: str, data: bytes | None = None) -> str:
        """Run podman; returns its output. Raises PodmanError with what to do."""
        try:
            done = subprocess.run(
                ["podman", *arguments], env=self._environment, input=data, capture_output=True, check=False
            )
        except FileNotFoundError as error:
            raise PodmanError("Podman is missing: run `make setup`.") from error
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()
            raise PodmanError(f"podman {arguments[0]} failed: {words}{_advice(words)}", words)
        return done.stdout.decode()


def _advice(words: str) -> str:
    if "rlimit" in words or "crun" in words:
        return "\nThis machine cannot start containers with Podman's defaults: run `make setup`, which writes settings that work."
    if "no space left" in words:
        return "\nThe disk is full: `podman system df` shows what takes it, `podman system prune` frees what is unused."
    return ""
