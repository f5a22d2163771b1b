"""Which settings Jupyter reads, and what it leaves behind; Jupyter's own packages are stand-ins here, tests/e2e has the real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.templates.test_services import service

PATHS = """
ENV_CONFIG_PATH, SYSTEM_CONFIG_PATH = ["/venv/etc/jupyter"], ["/usr/local/etc/jupyter", "/etc/jupyter"]
import os
def jupyter_config_path():
    more = os.environ.get("JUPYTER_CONFIG_PATH", "").split(":") + os.environ.get("OTHERS", "").split(":")
    system = SYSTEM_CONFIG_PATH if ENV_CONFIG_PATH != SYSTEM_CONFIG_PATH else []
    return [path for path in (*more, os.environ["JUPYTER_CONFIG_DIR"], *ENV_CONFIG_PATH, *system) if path]
"""
LAB = "import sys\nfrom jupyter_core import paths\ndef main():\n    print(*paths.jupyter_config_path(), sep='\\n')\n"


def test_jupyter_opens_no_ports_for_kernels() -> None:
    text = service("jupyter.j2", "jupyter")
    assert "--KernelManager.transport=ipc" in text
    assert "--ServerApp.port_retries=0" in text


def jupyter(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Its program with stand-ins for Jupyter's packages; prints where that would look for settings."""
    for file, text in {
        "jupyter_core/paths.py": PATHS,
        "jupyterlab/labapp.py": LAB,
        "jupyter": "",
        "home/x": "",
    }.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)
    (folder / "jupyter").write_text(service("jupyter.j2", "jupyter"))
    environment = {"PYTHONPATH": str(folder), "HOME": str(folder / "home"), **variables}
    command = [sys.executable, "-B", str(folder / "jupyter")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_jupyter_reads_its_own_settings_and_its_environment_s_and_no_old_ones(tmp_path: Path) -> None:
    ours = f"{tmp_path}/home/.config/gpurig/jupyter\n/venv/etc/jupyter\n"
    assert jupyter(tmp_path).stdout == ours
    assert jupyter(tmp_path, JUPYTER_CONFIG_PATH="/elsewhere").stdout == ours


def test_jupyter_does_not_start_where_it_would_read_other_settings(tmp_path: Path) -> None:
    done = jupyter(tmp_path, OTHERS="/elsewhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "would read settings in /elsewhere too" in done.stderr


def test_jupyter_leaves_its_token_to_its_user_alone_and_nothing_of_one_that_was_killed(tmp_path: Path) -> None:
    running = tmp_path / "home/.cache/gpurig/jupyter"
    running.mkdir(parents=True, mode=0o755)
    (running / "jpserver-7-open.html").touch()
    assert jupyter(tmp_path).returncode == 0
    assert (running.stat().st_mode & 0o777, list(running.iterdir())) == (0o700, [])
