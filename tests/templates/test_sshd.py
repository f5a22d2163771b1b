"""The configuration that sshd gets."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gpurig import catalogue
from tests.templates.rendering import evaluate, render

RELEASES = ["bookworm", "trixie", "jammy", "noble"]


def directives(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.split(maxsplit=1)
            found.setdefault(name, []).append(value)
    return found


def config(**variables: object) -> dict[str, list[str]]:
    return directives(render("sshd", "sshd_config.j2", **variables))


@pytest.mark.skipif(shutil.which("sshd") is None, reason="sshd is not installed on this machine")
def test_sshd_accepts_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    file = tmp_path / "sshd_config"
    file.write_text(render("sshd", "sshd_config.j2", sshd_settings={"HostKey": str(key)}))
    subprocess.run([str(shutil.which("sshd")), "-t", "-f", file], check=True)


@pytest.mark.parametrize("release", RELEASES)
def test_only_keys_let_in(release: str) -> None:
    found = config(ansible_facts={"distribution_release": release})
    assert found["PubkeyAuthentication"] == ["yes"]
    for name in ("PasswordAuthentication", "KbdInteractiveAuthentication", "PermitEmptyPasswords"):
        assert found[name] == ["no"], name
    assert found["HostKey"][0] == "/etc/ssh/ssh_host_ed25519_key"


def test_newer_releases_get_the_newer_key_exchange() -> None:
    assert "mlkem768x25519-sha256" in config(ansible_facts={"distribution_release": "trixie"})["KexAlgorithms"][0]
    assert "mlkem768x25519-sha256" not in config(ansible_facts={"distribution_release": "noble"})["KexAlgorithms"][0]


def test_root_logs_in_by_key_only_where_root_is_the_login_user() -> None:
    assert config(gpurig_user="root")["PermitRootLogin"] == ["prohibit-password"]
    assert config(gpurig_user="dev")["PermitRootLogin"] == ["no"]


def test_the_old_port_stays_until_the_inventory_comes_through_the_new_one() -> None:
    assert config(sshd_port=2222, ansible_port=22)["Port"] == ["2222", "22"]
    assert config(sshd_port=2222, ansible_port=2222)["Port"] == ["2222"]


def test_a_published_port_is_not_opened_inside() -> None:
    assert config(sshd_port=22, sshd_login_port=40022, ansible_port=40022)["Port"] == ["22"]


def test_a_setting_of_the_user_wins_and_a_list_repeats() -> None:
    found = config(sshd_settings={"MaxSessions": 50, "AcceptEnv": ["LANG", "LC_*"]})
    assert found["MaxSessions"] == ["50"]
    assert found["AcceptEnv"] == ["LANG", "LC_*"]


def test_allowed_users_must_hold_the_login_user() -> None:
    assert "lacks dev" in evaluate("sshd", "_sshd_problems", sshd_allow_users=["me"])[0]
    assert evaluate("sshd", "_sshd_problems", sshd_allow_users=["me", "dev"]) == []
    assert config(sshd_allow_users=["me", "dev"])["AllowUsers"] == ["me dev"]


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_must_be_one(port: int) -> None:
    assert "1 to 65535" in evaluate("sshd", "_sshd_problems", sshd_port=port)[0]


def test_the_trial_is_read_before_everything_else() -> None:
    first = next(line for line in render("sshd", "sshd_config.j2").splitlines() if not line.startswith("#"))
    assert first == "Include /run/gpurig/sshd/trial.conf"
    assert "run=/run/gpurig/sshd\n" in (catalogue.ROOT / "roles/sshd/files/change.sh").read_text()
