"""What is missing of a driver, from what dpkg and apt say."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.gpu_packages import candidate, fabric_manager, installed, missing

DRIVER: dict[str, Any] = {
    "branch": "580",
    "pinning": "",
    "packages": ["nvidia-headless-no-dkms-580-server-open", "nvidia-utils-580-server"],
    "leading": "nvidia-utils-580-server",
    "fabric_manager": [],
}
FABRIC = {"fabric_manager": ["nvidia-fabricmanager-580", "nvidia-fabricmanager"]}

HEADLESS = "nvidia-headless-no-dkms-580-server-open 580.95.05-0ubuntu0.24.04.2 installed\n"
UTILS = "nvidia-utils-580-server 580.95.05-0ubuntu0.24.04.2 installed\n"

MADISON = """\
nvidia-fabricmanager-580 | 580.105.08-0ubuntu0.24.04.1 | http://archive.ubuntu.com/ubuntu noble-updates/multiverse amd64 Packages
nvidia-fabricmanager-580 | 580.95.05-0ubuntu0.24.04.1 | http://archive.ubuntu.com/ubuntu noble-security/multiverse amd64 Packages
nvidia-fabricmanager | 590.48.01-1 | https://developer.example/ Packages
"""


@pytest.mark.parametrize(
    ("changed", "listing", "found"),
    [
        ({}, HEADLESS + UTILS, []),
        ({}, UTILS, ["nvidia-headless-no-dkms-580-server-open"]),
        ({}, HEADLESS + UTILS.replace("installed", "config-files"), ["nvidia-utils-580-server"]),
        ({"branch": "590"}, HEADLESS + UTILS, ["nvidia-utils-580-server"]),
        ({"pinning": "nvidia-driver-pinning-580"}, HEADLESS + UTILS, ["nvidia-driver-pinning-580"]),
        (FABRIC, HEADLESS + UTILS, ["nvidia-fabricmanager"]),
        (FABRIC, HEADLESS + UTILS + "nvidia-fabricmanager-580 580.95.05-0ubuntu0.24.04.1 installed\n", []),
        (FABRIC, HEADLESS + UTILS + "nvidia-fabricmanager 580.95.05-1 installed\n", []),
        (
            FABRIC,
            HEADLESS + UTILS + "nvidia-fabricmanager-580 580.105.08-0ubuntu0.24.04.1 installed\n",
            ["nvidia-fabricmanager"],
        ),
    ],
    ids=[
        "all",
        "one missing",
        "removed",
        "branch",
        "pinning",
        "fabric",
        "fabric there",
        "its new name",
        "fabric newer",
    ],
)
def test_what_must_be_installed(changed: dict[str, Any], listing: str, found: list[str]) -> None:
    assert missing({**DRIVER, **changed}, listing) == found


def test_packages_that_were_removed_do_not_count() -> None:
    assert installed("a 1 installed\nb 2 config-files\nc  not-installed\n") == {"a": "1"}


@pytest.mark.parametrize(
    ("policy", "version"),
    [
        ("x:\n  Installed: (none)\n  Candidate: 580.95.05-0ubuntu1\n  Version table:\n", "580.95.05-0ubuntu1"),
        ("x:\n  Installed: (none)\n  Candidate: (none)\n", ""),
        ("", ""),
    ],
)
def test_what_apt_would_install(policy: str, version: str) -> None:
    assert candidate(policy) == version


@pytest.mark.parametrize(
    ("driver", "found"),
    [
        ("580.95.05-0ubuntu0.24.04.2", "nvidia-fabricmanager-580=580.95.05-0ubuntu0.24.04.1"),
        ("580.105.08-0ubuntu0.24.04.1", "nvidia-fabricmanager-580=580.105.08-0ubuntu0.24.04.1"),
        ("590.48.01-1", "nvidia-fabricmanager=590.48.01-1"),
        ("580.95.0", ""),
        ("580.126.09-0ubuntu0.24.04.1", ""),
        ("", ""),
    ],
)
def test_the_fabric_manager_is_of_exactly_the_driver_s_version(driver: str, found: str) -> None:
    assert fabric_manager(FABRIC["fabric_manager"], driver, MADISON) == found
