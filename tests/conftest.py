"""What several folders of tests share: projects on real containers, and the image that those are made from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gpurig.catalogue import ROOT
from tests.projects import NO_PULUMI, PULUMI, Project

# Where a machine is busy everything is slow, which Hypothesis would call a failure.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _no_account_of_yours(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches the AWS account whose credentials lie in your home or environment."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Project]]:
    """Makes projects by the name of their engine; skips where that engine is missing."""
    made: list[Project] = []

    def make(engine: str) -> Project:
        if engine == "pulumi" and PULUMI is None:
            pytest.skip(NO_PULUMI)
        made.append(Project(tmp_path_factory.mktemp("project"), engine))
        return made[-1]

    yield make
    for project in made:
        project.clean()


@pytest.fixture(scope="session")
def host_image() -> str:
    """The name of the host image, built if it is not there."""
    script: Path = ROOT / "scripts" / "host-image.sh"
    return subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip()
