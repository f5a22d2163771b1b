"""Words of a recording that tell whose PC it is: folders, servers, tunnels, units and comments of its owner's."""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from gpurig.catalogue import ROOT
from gpurig.windows import private
from gpurig.windows.anonymous import anonymous
from tests.windows.model.network import GATEWAY
from tests.windows.test_anonymous import STATE, everything


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (r"D:\Firma Huber\wsl", r"D:\folder1\wsl"),
        (r"\\?\D:\Firma Huber\wsl\ext4.vhdx", r"\\?\D:\folder1\wsl\ext4.vhdx"),
        (r"\\NAS-HUBER\wsl\u.wsl", r"\\folder1\wsl\folder2"),
        ("/mnt/d/Firma Huber/data", "/mnt/d/folder1/folder2"),
        (r"C:\Users\Ada Huber\AppData\Local\wsl", r"C:\Users\name1\AppData\Local\wsl"),
        (r"C:\Program Files\WSL\wsl.exe", r"C:\Program Files\WSL\wsl.exe"),
        (r"C:\Windows\System32\wsl.exe", r"C:\Windows\System32\wsl.exe"),
        ("https://nas.huber.test:8443/huber/u.wsl", "https://site1.example.com:8443/file1"),
        ("https://ada:pw@files.huber.test/x.wsl", "https://<secret>@site1.example.com/file1"),
        ("https://github.com/huber/x/u.wsl", "https://site1.example.com/file1"),
    ],
)
def test_folders_and_servers_of_the_user_are_gone(text: str, clean: str) -> None:
    assert (
        anonymous({"variables": {"win_distribution_location": text}})["variables"]["win_distribution_location"] == clean
    )


def test_the_same_folder_is_the_same_wherever_it_stands() -> None:
    clean = anonymous({"variables": {"at": r"D:\Huber"}, "wsl": {"path": r"\\?\d:\huber\ext4.vhdx"}})
    assert (clean["variables"]["at"], clean["wsl"]["path"]) == (r"D:\folder1", r"\\?\d:\folder1\ext4.vhdx")


def test_what_we_install_from_is_no_secret() -> None:
    pinned = (ROOT / "gpurig" / "windows" / "wsl.toml").read_text(encoding="utf-8")
    for url in re.findall(r'url = "([^"]+)"', pinned):
        assert anonymous({"variables": {"url": url}})["variables"]["url"] == url


def edited(found: dict[str, Any], *places: str, change: Callable[[str], str]) -> None:
    """Change a text that is held as bytes in Base64."""
    at: Any = found
    for key in places[:-1]:
        at = at[key]
    at[places[-1]] = base64.b64encode(change(base64.b64decode(at[places[-1]]).decode()).encode()).decode()


def test_a_tunnels_name_is_gone_and_the_adapters_of_every_pc_stay() -> None:
    found = copy.deepcopy(STATE)
    network = found["network"]
    network["connections"]["WG Ringwald"] = "private"
    network["addresses"] |= {"WG Ringwald": ["10.7.0.2/24"], "ZeroTier One [8056c2e21c000001]": ["10.8.0.2/24"]}
    found["power"]["wake"] = [{"adapter": "Remote", "mac": "00-11-22-33-44-55", "enabled": False}]
    clean = anonymous(found)
    assert not [text for text in everything(clean) if "ringwald" in text.lower() or "8056" in text or text == "Remote"]
    assert set(clean["network"]["connections"]) <= set(clean["network"]["addresses"])
    assert {"Ethernet", "Loopback Pseudo-Interface 1", GATEWAY[0]} <= set(clean["network"]["addresses"])
    assert {"name", "remote", "ports"} <= set(clean["network"]["firewall_rules"][0])  # whoever is called so
    assert anonymous(clean) == clean


@pytest.mark.parametrize(
    ("unit", "clean"),
    [
        ("systemd-remount-fs.service", "systemd-remount-fs.service"),
        ("user@1000.service", "user@1000.service"),
        ("ssh.socket", "ssh.socket"),
        ("backup-ringwald.service", "unit1.service"),
        ("mnt-nas\\x2dringwald.mount", "unit1.mount"),
        ("docker@ringwald.service", "unit1.service"),
    ],
)
def test_units_of_the_users_own_are_gone(unit: str, clean: str) -> None:
    found = copy.deepcopy(STATE)
    edited(found, "inside", "facts", "out", change=lambda text: f"failed_unit={unit}\n{text}")
    said = base64.b64decode(anonymous(found)["inside"]["facts"]["out"]).decode()
    assert f"failed_unit={clean}" in said.splitlines()
    assert anonymous(anonymous(found)) == anonymous(found)


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("# for Ringwald's lectures", "# comment"),
        ("  #RINGWALD", "  # comment"),
        ("memory=48GB # as Ringwald said", "memory=48GB # comment"),
        ('swapFile="D:\\\\a#b.vhdx" # ringwald', 'swapFile="D:\\\\a#b.vhdx" # comment'),
        ("; ringwald", "; comment"),
        ("# gpurig: begin", "# gpurig: begin"),
        ("#", "#"),
        ("kernelCommandLine = a;b", "kernelCommandLine = a;b"),
    ],
)
def test_comments_of_settings_say_nothing(line: str, clean: str) -> None:
    assert private.without_comment(line) == clean
    assert private.without_comment(f"{line}\r") == f"{clean}\r"
    found = copy.deepcopy(STATE)
    found["wsl"]["config"] = base64.b64encode(f"[wsl2]\r\n{line}\r\n".encode()).decode()
    edited(found, "inside", "facts", "out", change=lambda text: f"wsl_conf={found['wsl']['config']}\n{text}")
    assert "ringwald" not in "".join(everything(anonymous(found))).lower()
    assert anonymous(anonymous(found)) == anonymous(found)
