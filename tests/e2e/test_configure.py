"""site.yml on a real host: again, with a mistake in it, and cut off in the middle."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpurig import access, catalogue
from tests.e2e.configured import Configured
from tests.e2e.using import eventually

SSHD = "cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*"
# sshd finds nobody's key any more.
LOCKED = "AuthorizedKeysFile none"
CUT_OFF = f"""
cd /etc/gpurig/sshd
{{ cat /etc/ssh/sshd_config.d/00-gpurig.conf; echo {LOCKED}; }} > candidate.conf
./change.sh try 10
"""


def site(host: Configured, tag: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run one role, with variables that win over all others."""
    return host.playbook("site.yml", f"--tags={tag}", "--extra-vars", json.dumps(variables))


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """What the last line says of the host: changed=0, failed=0 and so on."""
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", done.stdout[done.stdout.rindex("RECAP") :])}


def logs_in(host: Configured) -> bool:
    """Whether a login over a connection of its own works."""
    options = ["-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ConnectTimeout=5"]
    command = [*access.ssh(host.stack, host.host.name, *options), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    """A copy of environments/ to spoil."""
    folder = tmp_path / "environments"
    shutil.copytree(catalogue.ROOT / "environments", folder)
    return folder


@pytest.fixture
def restored(configured_host: Configured) -> Iterator[Configured]:
    """The host, with everything as the configuration says again afterwards."""
    yield configured_host
    done = configured_host.playbook("site.yml")
    assert recap(done)["failed"] == 0, done.stdout


@pytest.mark.parametrize("options", [[], ["--check", "--diff"]], ids=["run", "check"])
def test_a_second_run_changes_nothing(configured_host: Configured, options: list[str]) -> None:
    done = configured_host.playbook("site.yml", *options)
    assert recap(done)["changed"] == 0, done.stdout
    assert recap(done)["failed"] == 0, done.stdout


def test_without_mitogen_nothing_is_different(configured_host: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPURIG_STRATEGY", "linear")
    done = configured_host.playbook("site.yml")
    assert (recap(done)["changed"], recap(done)["failed"]) == (0, 0), done.stdout


def test_a_configuration_that_locks_out_is_taken_back(configured_host: Configured) -> None:
    before = configured_host.root(SSHD)
    done = site(configured_host, "sshd", sshd_settings=dict([LOCKED.split()]))
    assert "was taken back: the old one is in force again" in done.stdout
    assert configured_host.root(SSHD) == before
    assert logs_in(configured_host)


def test_a_configuration_that_sshd_refuses_never_arrives(configured_host: Configured) -> None:
    before = configured_host.root(SSHD)
    done = site(configured_host, "sshd", sshd_settings={"Nonsense": "yes"})
    assert "Bad configuration option: Nonsense" in done.stdout
    assert configured_host.root(SSHD) == before


def test_the_host_itself_puts_sshd_back_when_nobody_is_there(configured_host: Configured) -> None:
    before = configured_host.root(SSHD)
    configured_host.root(CUT_OFF)
    time.sleep(1)
    assert not logs_in(configured_host), "the trial lets everyone in"
    eventually(lambda: logs_in(configured_host))
    assert configured_host.root(SSHD) == before


def test_a_login_under_the_old_configuration_cannot_keep_a_new_one(configured_host: Configured) -> None:
    refused = configured_host.root(f"{CUT_OFF}./change.sh keep '' 2>&1 || ./change.sh restore")
    assert "was not let in by the new configuration" in refused


def test_a_package_with_another_hash_leaves_the_environment_working(
    configured_host: Configured, environments: Path
) -> None:
    lock = environments / "starter/requirements.lock"
    lock.write_text(
        re.sub(r"(?s)(absl-py==[^\n]+\n).*?(?=\n\w)", rf"\1    --hash=sha256:{'0' * 64}", lock.read_text(), count=1)
    )
    before = configured_host.root("ls -A /opt/gpurig/environments/starter")
    done = site(configured_host, "environments", environments_source=str(environments))
    assert "Hash mismatch" in done.stdout
    assert "The one in use stays as it is" in done.stdout
    assert configured_host.root("ls -A /opt/gpurig/environments/starter") == before
    configured_host.root("cd /opt/gpurig/environments/starter && .venv/bin/python smoke.py")


def test_too_little_disk_is_said_before_anything_is_built(configured_host: Configured, environments: Path) -> None:
    project = environments / "starter/pyproject.toml"
    project.write_text(project.read_text().replace("disk_gb = 2", "disk_gb = 999999"))
    with (environments / "starter/requirements.lock").open("a") as lock:
        lock.write("# another one, so that there is something to be built\n")
    done = site(configured_host, "environments", environments_source=str(environments))
    assert "999999 GB must be free there" in done.stdout


def test_a_service_that_is_no_longer_named_goes_and_others_stay(restored: Configured) -> None:
    done = site(restored, "services", gpurig_services=["jupyter"])
    assert recap(done)["failed"] == 0, done.stdout
    left = restored.root("ls /etc/gpurig/services /etc/systemd/system; systemctl is-active gpurig-jupyter")
    assert "tensorboard" not in left
    assert "jupyter.env" in left


def test_a_service_that_does_not_answer_shows_the_end_of_its_log(restored: Configured) -> None:
    package = "/opt/gpurig/environments/starter/.venv/lib/python3*/site-packages/jupyterlab"
    restored.root(f"cd {package}; mv labapp.py labapp.kept")
    try:
        done = site(restored, "services", services_ports={"jupyter": 8889}, services_start_seconds=5)
    finally:
        restored.root(f"cd {package}; mv labapp.kept labapp.py")
    assert "Jupyter Lab does not answer at 127.0.0.1:8889" in done.stdout
    assert "cannot import name 'labapp'" in done.stdout


def test_the_port_of_ssh_is_refused_before_anything_changes(configured_host: Configured) -> None:
    done = site(configured_host, "services", services_ports={"jupyter": 22})
    assert "services_ports.jupyter: found 22: SSH listens there" in done.stdout
    assert recap(done)["changed"] == 0


def test_two_mistakes_are_reported_at_once(configured_host: Configured) -> None:
    done = site(configured_host, "services", gpurig_environments=[], services_ports={"jupyter": 6006})
    assert "`environments` names only none" in done.stdout
    assert "two services would listen on one port" in done.stdout
