"""The machine itself: room on its disks, memory, clock, trusted certificates, units that failed."""

from __future__ import annotations

import time
from typing import Any

from gpurig import certificates
from gpurig.verdict import at_least, at_most
from gpurig.verification import Target

PLACES = ("/", "/opt/gpurig", "/tmp", "~")  # noqa: S108 (looked at, never written to)
"""Where much is written; each filesystem among them is checked once."""


def test_disks(target: Target, host: Any, check: Any) -> None:
    home = host.user(target.endpoint.user).home
    places = [home if place == "~" else place for place in PLACES]
    fields = "source,target,size,avail,itotal,iavail"
    # df fails for a folder that is not there, and prints the others all the same.
    listing = host.run(f"df --block-size=1 --output={fields} {' '.join(places)} 2>/dev/null").stdout.splitlines()[1:]
    for source, mount, *numbers in sorted({tuple(line.split()) for line in listing}):
        size, free, inodes, inodes_free = (int(number) if number != "-" else 0 for number in numbers)
        share = 100 * free / size
        check(
            f"free space on {mount}",
            at_least(share, warn=10, fail=3),
            value=f"{free / 1e9:.1f} GB, {share:.0f} % of {source}",
            expected="10 % or more",
            reason="Training stops when a checkpoint cannot be written.",
            advice=f"See what takes it: `rig connect {target.host.name} -- sudo du -xhd2 {mount} | sort -h | tail`.",
        )
        if not inodes:
            check.skip(f"free inodes on {mount}", f"{source} has no fixed number of them")
            continue
        share = 100 * inodes_free / inodes
        check(
            f"free inodes on {mount}",
            at_least(share, warn=10, fail=3),
            value=f"{share:.0f} %",
            expected="10 % or more",
            reason="No more files can be made, however much space is free.",
            advice="Remove folders with very many small files, such as old caches.",
        )


def test_memory(target: Target, host: Any, check: Any) -> None:
    """What is available, also within the limits of a container."""
    probe = (
        "cat /proc/meminfo; echo limit $(cat /sys/fs/cgroup/memory.max); echo used $(cat /sys/fs/cgroup/memory.current)"
    )
    lines = [line.replace(":", "").split() for line in host.run(f"{probe} 2>/dev/null").stdout.splitlines()]
    facts = {words[0]: words[1] for words in lines if len(words) > 1}
    total, available = int(facts["MemTotal"]) * 1024, int(facts["MemAvailable"]) * 1024
    if facts.get("limit", "max") != "max":
        total = min(total, int(facts["limit"]))
        available = min(available, total - int(facts["used"]))
    check(
        "available memory",
        at_least(100 * available / total, warn=10, fail=3),
        value=f"{available / 1e9:.1f} of {total / 1e9:.1f} GB",
        expected="10 % or more",
        reason="The next program that wants memory is killed, or kills another one.",
        advice=f"See who has it: `rig connect {target.host.name} -- ps aux --sort=-rss | head`.",
    )


def test_clock(target: Target, host: Any, check: Any) -> None:
    """Against this computer's, with half of the way there and back taken off."""
    before = time.time()
    there = float(host.check_output("date +%s.%N"))
    after = time.time()
    offset, doubt = there - (before + after) / 2, (after - before) / 2
    check(
        "clock",
        at_most(max(0.0, abs(offset) - doubt), warn=2, fail=30),
        value=f"{offset:+.2f} s from this computer's (± {doubt:.2f} s)",
        expected="within 2 s",
        reason="Certificates and tokens seem invalid, logs and costs get the wrong time.",
        advice="Set the clock that is wrong: `sudo timedatectl set-ntp true`; in WSL2 `sudo hwclock -s`.",
    )


def test_clock_is_kept(target: Target, host: Any, check: Any) -> None:
    if target.capabilities.kernel == "shared":
        check.skip("clock is kept right", "a container has its machine's clock and cannot see who sets it")
        return
    if target.host.guest is not None:
        # systemd takes WSL for a container, and its timesyncd does not run in one.
        check.skip("clock is kept right", "Windows keeps this clock, and Linux cannot see whether it does")
        return
    if target.capabilities.init != "systemd":
        check.skip("clock is kept right", "only systemd can tell")
        return
    kept = host.run("timedatectl show --property=NTPSynchronized --value").stdout.strip()
    check(
        "clock is kept right",
        "PASS" if kept == "yes" else "WARN",
        value="synchronised" if kept == "yes" else "not synchronised",
        expected="synchronised",
        reason="It will be wrong after some weeks.",
        advice="On the host: `sudo timedatectl set-ntp true`.",
    )


def test_certificates(target: Target, host: Any, check: Any) -> None:
    """Extra authorities of this computer's bundle are trusted by the host as well."""
    given = target.host.variables.get("base_ca_certificates")
    extra = given or certificates.extra(str(target.host.variables.get("gpurig_ca_bundle") or ""))
    if not extra:
        check.skip("extra certificate authorities", "none are configured for this host")
        return
    bundle = "".join(host.file("/etc/ssl/certs/ca-certificates.crt").content_string.split())
    missing = [pem for pem in extra if "".join(pem.split()) not in bundle]
    check(
        "extra certificate authorities",
        not missing,
        value=f"{len(extra) - len(missing)} of {len(extra)} trusted",
        expected="all",
        reason="Downloads fail where the network inspects TLS.",
        advice=f"Run `ansible-playbook playbooks/site.yml --tags base --limit {target.name}`.",
    )


def test_failed_units(target: Target, host: Any, check: Any) -> None:
    if target.capabilities.init != "systemd":
        check.skip("units that failed", "this host has no systemd")
        return
    listed = host.check_output("systemctl list-units --failed --plain --no-legend --no-pager")
    failed = [line.split()[0] for line in listed.splitlines() if line]
    ours = [unit for unit in failed if unit.startswith("gpurig-")]
    check(
        "units that failed",
        "FAIL" if ours else "WARN" if failed else "PASS",
        value=", ".join(ours or failed) or "none",
        expected="none",
        reason="Something that should run does not.",
        advice=f"Read why: `rig connect {target.host.name} -- systemctl status {' '.join(ours or failed)}`.",
    )


def test_restart(target: Target, host: Any, check: Any) -> None:
    if target.capabilities.kernel == "shared":
        check.skip("restart after updates", "a container does not restart by itself")
        return
    waiting = host.file("/run/reboot-required").exists
    check(
        "restart after updates",
        "WARN" if waiting else "PASS",
        value="waiting" if waiting else "not needed",
        expected="not needed",
        reason="A security update of the kernel is installed but not in force.",
        advice=f"When no run is going on: `rig connect {target.host.name} -- sudo reboot`.",
    )


def test_open_files(target: Target, host: Any, check: Any) -> None:
    """What runs here as root, or as the user, can be changed by nobody else. uv's own lock files are open and empty."""
    where = "/etc/gpurig /opt/gpurig/bin /opt/gpurig/environments"
    found = host.run(
        f"find {where} -xdev -not -type l -not -name .lock -perm /002 2>/dev/null | head -n 5"
    ).stdout.split()
    check(
        "files that anyone can change",
        not found,
        value=", ".join(found) or "none",
        expected="none",
        reason="Whoever gets onto this host as any user could run programs as another one.",
        advice=f"On the host: `sudo chmod o-w {' '.join(found)}`.",
    )
