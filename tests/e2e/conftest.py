"""Real hosts for tests: a GPURIG_HOME and project names of their own, and nothing left behind."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpurig import config, lifecycle
from gpurig.providers.container.client import Podman
from gpurig.stack import Stack, home
from tests.e2e.configured import Configured
from tests.e2e.using import use as use  # noqa: PLC0414 (a fixture for all)

STACK = """\
config:
  gpurig:hosts:
    demo: {provider: container, environments: [starter], services: [jupyter, tensorboard]}
"""


@pytest.fixture(scope="session")
def e2e_home() -> Iterator[Path]:
    """A GPURIG_HOME with a short path (ssh's sockets live there) and this machine's settings for Podman."""
    settings = home() / "containers.conf"
    folder = Path(tempfile.mkdtemp(prefix="rig"))
    if settings.exists():
        shutil.copy(settings, folder)
    before = os.environ.get("GPURIG_HOME")
    os.environ["GPURIG_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["GPURIG_HOME"]
    else:
        os.environ["GPURIG_HOME"] = before
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def e2e_stack(e2e_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose project nobody else has; its containers are removed at the end, whatever the tests did."""
    root = tmp_path_factory.mktemp("project")
    project = f"e2e-{secrets.token_hex(4)}"
    (root / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n")
    yield Stack(project=project, name="test", root=root, home=e2e_home)
    remove_containers(project, e2e_home)


@pytest.fixture(scope="session")
def configured_host(e2e_stack: Stack) -> Configured:
    """A container with systemd after site.yml. Whoever breaks something on it puts it right again."""
    (e2e_stack.root / "Pulumi.test.yaml").write_text(STACK)
    wanted = config.load(e2e_stack).hosts["demo"]
    made = Configured(e2e_stack, lifecycle.ensure(e2e_stack, "demo", wanted, report=print))
    done = made.playbook("site.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def remove_containers(project: str, folder: Path) -> None:
    """Remove every container of a project."""
    podman = Podman(folder / "containers.conf")
    for container in podman.containers({"gpurig.project": project}):
        podman.run("rm", "--force", "--time=0", container["Id"])
