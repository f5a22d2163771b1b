"""Topic linux: the distribution has systemd, our user with a key, and sshd on its port, so that the Linux roles can do the rest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpurig import keys
from gpurig.windows import inside, wslconf
from gpurig.windows.actions import Action
from gpurig.windows.inside import Facts
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.questions import WSL_PORT
from gpurig.windows.state import State

SECTIONS = ("inside",)

USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")

KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-\S+|sk-\S+) [A-Za-z0-9+/=]+( .*)?")

DEFAULTS = {"boot.systemd": "false", "automount.enabled": "true"}
"""What WSL does where wsl.conf does not say."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """distribution: its name. user: made where it is missing; root logins are not used. port: of its sshd.

    public_key: may log in, one line as in authorized_keys. host_key: path here of the private host key that its sshd shall have, empty
    leaves its own. automount: Windows' drives are under /mnt.
    """

    distribution: str = ""
    user: str = ""
    port: int = WSL_PORT
    public_key: str = ""
    host_key: str = ""
    automount: bool = True


def plan(state: State, wanted: Wanted) -> Plan:
    """Do what is missing; a distribution that is not there yet is taken to lack all of it."""
    missing = unread(state, SECTIONS)
    problems = [*missing, *_refusals(wanted)]
    if problems:
        return Plan(refusals=tuple(problems))
    section = state["inside"]
    facts = inside.facts(section)
    if section["facts"] is None:
        facts = Facts(systemd="running", wsl_conf="", busy=())
    elif facts.problem is not None:
        return Plan(refusals=(Refusal("", f"{wanted.distribution} does not answer: {facts.problem}", passing=True),))
    actions = [*_account(facts, wanted)]
    settings = _settings(facts, wanted)
    actions += settings
    without = facts.systemd == "offline"
    warnings: list[str] = [
        f"/etc/wsl.conf in {wanted.distribution}, line {one.line}: {one.key}: {one.text}"
        for one in wslconf.lint(_edited(facts, wanted))
    ]
    if settings or without:
        if facts.busy:
            sshd = "so sshd was not set up either, " if without else ""
            warnings.append(
                f"{wanted.distribution} was not restarted, so /etc/wsl.conf is not wholly in force, {sshd}since somebody works in it: "
                f"{'; '.join(facts.busy)}. When that has ended, run this again, or `wsl --terminate {wanted.distribution}` on the PC"
            )
        else:
            why = "since its wsl.conf changed" if settings else "so that its systemd starts"
            says = f"restart {wanted.distribution}, {why}"
            runs, anew = f"{wanted.distribution}: runs", f"{wanted.distribution}: ended and started anew"
            actions.append(Action("wsl_terminate", {"name": wanted.distribution}, says, runs, anew))
    if not (without and facts.busy):
        actions += _sshd(facts, wanted)
    return Plan(actions=tuple(actions), warnings=tuple(warnings))


def _refusals(wanted: Wanted) -> Iterator[Refusal]:
    if not wanted.distribution:
        yield Refusal("wsl.distribution", "is empty: write a name such as Ubuntu-24.04")
    if wanted.user == "root" or not USER.fullmatch(wanted.user):
        why = "is root, as whom nobody logs in" if wanted.user == "root" else f"is {wanted.user!r}"
        yield Refusal("wsl.user", f"{why}: write a name of lower-case letters, digits, - and _, such as me")
    if not 1 <= wanted.port <= 65535:  # noqa: PLR2004 (what a port can be)
        yield Refusal("wsl.port", f"is {wanted.port}: write a port, such as {WSL_PORT}")
    if not KEY.fullmatch(wanted.public_key):
        yield Refusal(
            "", f"win_linux_public_key is {wanted.public_key[:40]!r}: it must be one line as in authorized_keys"
        )
    if wanted.host_key and not Path(wanted.host_key).is_file():
        yield Refusal("", f"win_linux_host_key: {wanted.host_key} is not there; `rig register` makes it")


def _account(facts: Facts, wanted: Wanted) -> list[Action]:
    known = {" ".join(line.split()[:2]) for line in facts.authorized_keys or ()}
    there = {
        f"user {wanted.user}": facts.user_exists,
        "its key": " ".join(wanted.public_key.split()[:2]) in known,
        "sudo without a password": facts.sudo_ok,
        "Python": facts.python3,
    }
    lacking = [name for name, found in there.items() if not found]
    if not lacking:
        return []
    data = f"{wanted.user}\n{wanted.public_key}\n".encode()
    told = _told(wanted, lacking, list(there))
    return [inside.run(wanted.distribution, "account", data=data, **told)]


def _edited(facts: Facts, wanted: Wanted) -> str:
    """The text that /etc/wsl.conf shall have. A key that only says what WSL does anyway is not added."""
    # Behind a malformed line there may be more, which counts once that line is a comment.
    text = wslconf.edit(facts.wsl_conf or "", {})
    wishes = {"boot.systemd": "true", "user.default": wanted.user, "automount.enabled": str(wanted.automount).lower()}
    found = DEFAULTS | wslconf.parse(text)
    nested: dict[str, dict[str, str]] = {}
    for name, value in wishes.items():
        if found.get(name) != value:
            section, _, key = name.partition(".")
            nested.setdefault(section, {})[key] = value
    return wslconf.edit(text, nested)


def _settings(facts: Facts, wanted: Wanted) -> list[Action]:
    text, edited = facts.wsl_conf or "", _edited(facts, wanted)
    if edited == text:
        return []
    digest = "none" if facts.wsl_conf is None else hashlib.sha256(_bytes(text)).hexdigest()
    says = f"{wanted.distribution}: /etc/wsl.conf has systemd and its user"
    return [inside.run(wanted.distribution, "wsl_conf", [digest], _bytes(edited), says=says, before=text, after=edited)]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _sshd(facts: Facts, wanted: Wanted) -> list[Action]:
    expected = keys.public_half(Path(wanted.host_key)) if wanted.host_key else ""
    listening = {address.rpartition(":")[2] for address in facts.sshd_ports or ()}
    there = {
        "sshd": facts.sshd_installed,
        "a sound configuration": facts.sshd_config_ok,
        "keys only": facts.sshd_own is not None or facts.password_login is False,
        "this laptop's host key": not expected or expected in (facts.host_keys or ()),
        "no ssh.socket": facts.ssh_socket_active is False,
        "ssh.service at boot": facts.sshd_enabled,
        f"port {wanted.port}": facts.sshd_active and str(wanted.port) in listening,
    }
    lacking = [name for name, found in there.items() if not found]
    if not lacking:
        return []
    data = Path(wanted.host_key).read_bytes() if wanted.host_key else b""
    told = _told(wanted, lacking, list(there))
    return [inside.run(wanted.distribution, "sshd", [str(wanted.port)], data, **told)]


def _told(wanted: Wanted, lacking: list[str], all_of_it: list[str]) -> dict[str, str]:
    present = [name for name in all_of_it if name not in lacking]
    return {
        "says": f"{wanted.distribution}: {', '.join(lacking)}",
        "before": f"{wanted.distribution}: {', '.join(present) or 'nothing'}",
        "after": f"{wanted.distribution}: {', '.join(all_of_it)}",
    }
