"""The demo from end to end on the embedded engine, as `make demo` runs it, in a checkout of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpurig.catalogue import ROOT
from tests.e2e.conftest import remove_containers

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Tour:
    """A checkout whose project has a name of its own, so that it never meets a demo of the user's."""

    root: Path
    project: str
    home: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "GPURIG_ENGINE": "embedded",
            "GPURIG_HOME": str(self.home),
            "GPURIG_STACK": "demo",
            "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        }
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    @property
    def stack_dir(self) -> Path:
        return self.home / self.project / "demo"


@pytest.fixture(scope="module")
def tour(e2e_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    root = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    for name in (".venv", ".tools"):
        (root / name).symlink_to(ROOT / name)
    made = Tour(root, f"e2e-{secrets.token_hex(4)}", e2e_home)
    file = root / "Pulumi.yaml"
    file.write_text(file.read_text().replace("name: gpurig\n", f"name: {made.project}\n"))
    for command in ("init -q", "add --all", "-c user.name=t -c user.email=t@example.org commit -qm tour"):
        subprocess.run(["git", *command.split()], cwd=root, check=True)
    yield made
    remove_containers(made.project, e2e_home)


@pytest.fixture(scope="module")
def taken(tour: Tour) -> subprocess.CompletedProcess[str]:
    return tour.run("scripts/demo.sh")


def test_the_demo_ends_by_itself_and_says_what_there_is(tour: Tour, taken: subprocess.CompletedProcess[str]) -> None:
    assert taken.returncode == 0, taken.stdout[-4000:] + taken.stderr[-4000:]
    for words in ("rig connect demo", "rig open jupyter", "make demo-clean", "results verified"):
        assert words in taken.stdout + taken.stderr


def test_results_are_here_with_a_plot_and_metrics(tour: Tour, taken: subprocess.CompletedProcess[str]) -> None:
    (run,) = (tour.stack_dir / "runs" / "demo").iterdir()
    assert json.loads((run / "results" / "metrics.json").read_text())["accuracy"] > 0.9
    assert (run / "results" / "curve.png").read_bytes().startswith(PNG)
    assert json.loads((run / "run.json").read_text())["results"] == "verified"


def test_the_verification_report_is_written_in_every_form(tour: Tour, taken: subprocess.CompletedProcess[str]) -> None:
    reports = tour.stack_dir / "reports" / "demo"
    assert {path.suffix for path in reports.glob("latest.*")} == {".html", ".json", ".prom", ".xml"}
    kept = ROOT / "build" / "reports"
    kept.mkdir(parents=True, exist_ok=True)
    for path in reports.glob("latest.*"):
        shutil.copy(path, kept / f"demo{path.suffix}")


def test_git_has_nothing_to_commit_afterwards(tour: Tour, taken: subprocess.CompletedProcess[str]) -> None:
    assert tour.run("git", "status", "--porcelain").stdout.replace("?? .venv\n", "").replace("?? .tools\n", "") == ""


def test_a_second_site_yml_changes_nothing(tour: Tour, taken: subprocess.CompletedProcess[str]) -> None:
    again = tour.run("ansible-playbook", "playbooks/site.yml")
    assert again.returncode == 0, again.stdout
    assert "changed=0" in next(line for line in again.stdout.splitlines() if line.startswith("demo "))


def test_rebuild_brings_the_host_back_to_verified_ready(tour: Tour, taken: subprocess.CompletedProcess[str]) -> None:
    before = json.loads((tour.stack_dir / "hosts" / "demo.json").read_text())
    rebuilt = tour.run("rig", "rebuild", "demo", "--yes")
    assert rebuilt.returncode == 0, rebuilt.stdout[-3000:] + rebuilt.stderr[-3000:]
    after = json.loads((tour.stack_dir / "hosts" / "demo.json").read_text())
    assert after["generation"] == before["generation"] + 1
    assert after["endpoint"]["port"] == before["endpoint"]["port"]
    assert after["endpoint"]["host_key"] != before["endpoint"]["host_key"]
    project = tour.run("rig", "connect", "demo", "--", "ls", "gpurig/projects/digits")
    assert "train.py" in project.stdout, project.stderr


def test_demo_clean_leaves_nothing(tour: Tour, taken: subprocess.CompletedProcess[str]) -> None:
    cleaned = tour.run("scripts/demo.sh", "clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert not tour.stack_dir.exists()
    listed = tour.run("podman", "ps", "--all", "--quiet", f"--filter=label=gpurig.project={tour.project}")
    assert listed.stdout == ""
