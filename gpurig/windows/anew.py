"""A Windows PC's distribution is taken out, so that the next site.yml makes it from its file again."""

from __future__ import annotations

import re
from typing import Any

from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.stack import Stack
from gpurig.windows import plan, questions, variables
from gpurig.windows.session import Session
from gpurig.windows.topics import distribution

SECTIONS = ("machine", "wsl")

SECONDS = 86_400.0
"""How long an export may take: a distribution may hold hundreds of GB."""

PLACE = re.compile(r'[A-Za-z]:\\[^"<>|?*:]+\.tar')


def possible(export_to: str, *, discard: bool) -> None:
    """Raise ConfigError unless it is said what becomes of the files in it. export_to: a new .tar file on the PC."""
    if not export_to and not discard:
        raise ConfigError(
            "--fresh destroys the distribution with everything in it. Add --export 'D:\\home.tar', a new file on the PC "
            "that gets all of it first, or --discard if nothing of it is needed. Nothing was changed."
        )
    if export_to and not PLACE.fullmatch(export_to):
        raise ConfigError(f"--export {export_to}: write a path of the PC that ends in .tar, such as 'D:\\home.tar'.")


def unregister(stack: Stack, host: Host, *, export_to: str, discard: bool) -> list[str]:
    """Export the distribution of a PC, if a path is given, and take it out. Returns what was done; nothing where there is none.

    Raises RigError that says how far it came; nothing is destroyed after an export that failed.
    """
    possible(export_to, discard=discard)
    given = variables.of_host(stack, host)
    name, asked = str(given["win_distribution_name"]), questions.sections(given)
    sections = {section: asked[section] for section in SECTIONS}
    session = Session(stack, host)
    state = session.round(sections).state
    if unread := plan.unread(state, SECTIONS):
        raise RigError("\n".join(f"{host.name}: {refusal.text}" for refusal in unread))
    actions = distribution.removal(state, name, export_to, discard=discard)
    if not actions:
        return []
    _room(state, host.name, name, export_to)
    answer = session.round(sections, actions, seconds=SECONDS)
    failed = answer.failed()
    if failed is not None:
        says = actions[len(answer.outcomes) - 1].says
        raise RigError(f"{host.name}: {says}: {failed.words()}")
    if distribution.named(answer.state, name) is not None:
        raise RigError(f"{host.name}: {name} is still registered on the PC; run this again.")
    return [action.says for action in actions]


def _room(state: Any, host: str, name: str, export_to: str) -> None:
    """Raise RigError where an export cannot fit, before anything is stopped: no such drive, or too little room on it."""
    if not export_to:
        return
    drives, letter = state["machine"]["drives"], export_to[0].upper()
    if letter not in drives:
        there = ", ".join(f"{drive}:" for drive in sorted(drives))
        raise RigError(
            f"{host}: --export {export_to}: the PC has no drive {letter}:, only {there}. Nothing was changed."
        )
    found = distribution.named(state, name)
    needed = (found["vhd_size"] if found else None) or 0
    free = drives[letter]["free"]
    if free < needed:
        raise RigError(
            f"{host}: --export {export_to}: {letter}: has {free / 1e9:.0f} GB free, and {name}'s disk holds up to "
            f"{needed / 1e9:.0f} GB. Name a file on another drive. Nothing was changed."
        )
