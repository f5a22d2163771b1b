"""SSH: only keys open it, and only modern algorithms are spoken. Read from the wire, then from sshd's own files."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig import handshake, keys
from gpurig.handshake import MODERN, Handshake
from gpurig.verification import Target

ROLE = "sshd"

ROOT_BY_KEY = ("no", "prohibit-password", "without-password", "forced-commands-only")

SETTINGS = {
    "PasswordAuthentication": ("no", "Passwords can be guessed."),
    "KbdInteractiveAuthentication": ("no", "Passwords can be guessed; this is their second way in."),
    "HostbasedAuthentication": ("no", "Another machine could vouch for its users."),
    "PermitEmptyPasswords": ("no", "An account without a password would be open."),
    "PubkeyAuthentication": ("yes", "It is how we log in."),
    "StrictModes": ("yes", "Keys that other users can change would be accepted."),
    "X11Forwarding": ("no", "A host could watch the laptop's keyboard."),
    "AllowAgentForwarding": ("no", "A host could use the laptop's other keys."),
    "GatewayPorts": ("no", "A tunnel would open a port to the whole network."),
}
"""sshd's keyword → what is right, and what anything else means."""


@pytest.fixture(scope="module")
def stranger(target: Target) -> Handshake:
    """How the running sshd treats somebody with the login user's name, a wrong password and no key."""
    return handshake.attempt(target.stack, target.name, target.endpoint.user)


def test_passwords(target: Target, stranger: Handshake, check: Any, fix: str) -> None:
    tries = {target.endpoint.user: stranger}
    if "root" not in tries:
        tries["root"] = handshake.attempt(target.stack, target.name, "root")
    for user, tried in tries.items():
        check(
            f"password login of {user}",
            not tried.asked and not tried.entered,
            value="let in"
            if tried.entered
            else f"anyone may try ({', '.join(tried.asked)})"
            if tried.asked
            else "refused",
            expected="refused without being asked",
            reason="Whoever reaches the port can guess passwords.",
            advice=fix,
        )


def test_algorithms(stranger: Handshake, check: Any, fix: str) -> None:
    for kind in MODERN:
        weak = stranger.weak(kind)
        check(
            f"{kind} algorithms",
            bool(stranger.offers[kind]) and not weak,
            value=", ".join(weak) if weak else f"{len(stranger.offers[kind])} offered, all modern",
            expected="none that is old",
            reason="An attacker in between may talk both sides into a weak algorithm.",
            advice=fix,
        )


def test_host_key(target: Target, host: Any, stranger: Handshake, check: Any, fix: str) -> None:
    pinned = target.endpoint.host_key
    first = next(iter(stranger.offers["host key"]), "none")
    check(
        "preferred host key",
        first == "ssh-ed25519",
        value=first,
        expected="ssh-ed25519",
        reason="Clients take the first one that they know.",
        advice=fix,
    )
    found = " ".join(
        host.file(f"/etc/ssh/ssh_host_{pinned.split()[0].split('-')[1]}_key.pub").content_string.split()[:2]
    )
    check(
        "host key",
        found == pinned,
        value=keys.fingerprint(found),
        expected="the one pinned here" if found == pinned else f"{keys.fingerprint(pinned)}, as pinned here",
        reason="The key on the disk is not the one that sshd showed; its next start will lock us out.",
        advice=f"Find out who changed it, then `rig rebuild {target.host.name}`, or for a registered machine `rig register`.",
    )


def test_settings(target: Target, host: Any, check: Any, fix: str) -> None:
    """As sshd understands its files, for the login user; `sshd -T` prints each keyword in lower case."""
    user, address = target.endpoint.user, "203.0.113.1"  # an address kept for documentation
    lines = host.check_output("/usr/sbin/sshd -T -C user=%s,host=%s,addr=%s", user, address, address).splitlines()
    found = dict(line.partition(" ")[::2] for line in lines)
    wrong = {word: right for word, (right, _) in SETTINGS.items() if found.get(word.lower()) != right}
    if not wrong:
        check("settings of sshd", True, value=f"{len(SETTINGS)} as wanted", expected="as wanted", reason="", advice=fix)
    for word, right in wrong.items():
        check(word, False, value=found.get(word.lower()), expected=right, reason=SETTINGS[word][1], advice=fix)
    check(
        "login of root",
        found["permitrootlogin"] in ROOT_BY_KEY,
        value=found["permitrootlogin"],
        expected="no, or by key",
        reason="Every attacker knows the name root.",
        advice=fix,
    )


def test_login_files(target: Target, host: Any, check: Any, fix: str) -> None:
    keys_file = host.file(f"{host.user(target.endpoint.user).home}/.ssh/authorized_keys")
    check(
        "authorized_keys",
        keys_file.user in (target.endpoint.user, "root") and not keys_file.mode & 0o022,
        value=f"{keys_file.user}, {keys_file.mode:04o}",
        expected="writable by its owner only",
        reason="Whoever can write to this file can log in.",
        advice=f"On the host: `chmod 600 {keys_file.path}`.",
    )
