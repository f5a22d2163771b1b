"""What dpkg and apt say of a driver's packages: which are missing, and which Fabric Manager fits. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

FORMAT = "${Package} ${Version} ${db:Status-Status}\n"
"""How dpkg-query is asked for what `installed` reads."""


def installed(listing: str) -> dict[str, str]:
    """Package → version of what is installed, from dpkg-query's answer in FORMAT."""
    rows = (line.split() for line in listing.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 3 and row[2] == "installed"}  # noqa: PLR2004 (the fields of FORMAT)


def missing(driver: Mapping[str, Any], listing: str) -> list[str]:
    """Which of a Driver's packages must be installed: those that are not there, are of another branch, or, as to the Fabric
    Manager, not of the driver's version.
    """
    found = installed(listing)
    needed = [*([driver["pinning"]] if driver["pinning"] else []), *driver["packages"]]
    absent = [name for name in needed if name not in found]
    version = upstream(found.get(driver["leading"], ""))
    if version and version.partition(".")[0] != driver["branch"]:
        absent.append(driver["leading"])
    names = driver["fabric_manager"]
    if names and not (version and version in {upstream(found.get(name, "")) for name in names}):
        absent.append(names[-1])
    return list(dict.fromkeys(absent))


def candidate(policy: str) -> str:
    """The version that apt would install, from what `apt-cache policy` says of one package; empty for none."""
    found = re.search(r"^ +Candidate: (\S+)$", policy, re.MULTILINE)
    return found.group(1) if found and found.group(1) != "(none)" else ""


def fabric_manager(names: Iterable[str], driver: str, listing: str) -> str:
    """`package=version` of the Fabric Manager that is of exactly the driver's version; empty where apt has none.

    listing: what `apt-cache madison` says of all names. driver: a version with or without the packager's part.
    """
    for line in listing.splitlines():
        package, version, *_ = (cell.strip() for cell in f"{line}||".split("|"))
        if package in names and upstream(version) == upstream(driver):
            return f"{package}={version}"
    return ""


def foreign(seen: str) -> str:
    """Why a driver that is there already comes from elsewhere and must go first; empty for none.

    seen: a line `installer <path>` for each program or module that NVIDIA's .run file left and no package owns, and
    `package <name> <version> <state>` for each package with libcuda.
    """
    rows = [line.split() for line in seen.splitlines()]
    left = [row[1] for row in rows if row[:1] == ["installer"]]
    if left:
        return (
            f"NVIDIA's .run file installed a driver ({', '.join(left)}), which packages would break: "
            "run `sudo nvidia-uninstall` on the host, reboot it, and run this again"
        )
    # https://launchpad.net/~graphics-drivers marks its versions so.
    for row in rows:
        if row[:1] == ["package"] and row[-1] == "installed" and "~gpu" in row[2]:
            return (
                f"its driver is of the PPA graphics-drivers ({row[1]} {row[2]}): "
                "run `sudo ppa-purge ppa:graphics-drivers/ppa` on the host, reboot it, and run this again"
            )
    return ""


def upstream(version: str) -> str:
    """NVIDIA's part of a package's version: `580.95.05` of `580.95.05-0ubuntu0.24.04.1`."""
    found = re.match(r"(?:\d+:)?([\d.]+)", version)
    return found.group(1) if found else ""
