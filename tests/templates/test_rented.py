"""Start-up scripts of rented machines: their form and their limits. That they work is tested in containers (tests/e2e/test_boot.py)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gpurig import boot, config, keys, orders
from gpurig.providers import Order, Owner
from gpurig.providers.vastai.provider import ONSTART_LIMIT
from gpurig.stack import Stack

SCRIPTS: dict[str, Callable[[Order], str]] = {
    "container": lambda order: boot.container(order, starts_sshd=False),
    "container-with-sshd": lambda order: boot.container(order, starts_sshd=True),
    "machine": lambda order: boot.script(order, user="paperspace"),
    "machine-root": lambda order: boot.script(order, user="root"),
}
LONGEST = "p" * 100, "s" * 100, "h" * 31
"""Pulumi allows 100 characters for the names of projects and stacks, we 31 for a host's."""


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return an_order(tmp_path, "project", "stack", "host")


def an_order(folder: Path, project: str, name: str, host: str) -> Order:
    stack = Stack(project=project, name=name, root=folder, home=folder / "home")
    entry = {"provider": "vastai", "gpu": "RTX 4090", "max_price": 1}
    spec = config.parse({"hosts": {host: entry}}, "test").hosts[host]
    return orders.order(stack, Owner(project, name, host), spec, 1)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed on this machine")
@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(order: Order, name: str) -> None:
    done = subprocess.run(["shellcheck", "-"], input=SCRIPTS[name](order), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_longest_names_stay_within_the_limit(tmp_path: Path) -> None:
    order = an_order(tmp_path, *LONGEST)
    assert len(boot.container(order, starts_sshd=False)) <= ONSTART_LIMIT


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_for_which_machine_it_is(order: Order, name: str) -> None:
    assert order.mark in SCRIPTS[name](order).splitlines()[1]


def test_no_account_key_is_in_it(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("VAST_API_KEY", "RUNPOD_API_KEY", "LAMBDA_API_KEY", "DIGITALOCEAN_TOKEN", "PAPERSPACE_API_KEY"):
        monkeypatch.setenv(variable, "the-account-s-key")
    made = [render(order) for render in SCRIPTS.values()] + [boot.cloud_init(order, user="ubuntu")]
    assert not [text for text in made if "the-account-s-key" in text]


@pytest.mark.parametrize(("user", "root_is_closed"), [("ubuntu", True), ("root", False)])
def test_cloud_init_gets_the_keys_as_they_are(order: Order, user: str, root_is_closed: bool) -> None:
    text = boot.cloud_init(order, user=user)
    assert text.startswith("#cloud-config\n")
    data = yaml.safe_load(text)
    assert data["ssh_keys"]["ed25519_private"] == order.host_key.read_text()
    assert data["ssh_keys"]["ed25519_public"].split()[:2] == keys.public_half(order.host_key).split()
    assert data["ssh_authorized_keys"] == [order.public_key]
    assert data["disable_root"] is root_is_closed
    assert data["ssh_deletekeys"] is True
    assert data["ssh_pwauth"] is False
