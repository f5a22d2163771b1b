"""Topic distribution: our distribution is there, from a file with a known SHA-256. Those of others are never touched."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpurig.errors import ResultsAtRiskError
from gpurig.mistakes import did_you_mean
from gpurig.windows import account, packages
from gpurig.windows.actions import Action
from gpurig.windows.packages import File
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.state import Distribution, MachineSection, State

SECTIONS = ("machine", "wsl")

INSTALLED, INSTALLING = 1, 3
"""States in the registry (microsoft/WSL, wslservice.idl)."""

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """name: of wsl.toml, or any with url and sha256. url: https://… or a path on the PC. location: a folder; empty: Windows' own."""

    name: str = "Ubuntu-24.04"
    url: str = ""
    sha256: str = ""
    location: str = ""


def plan(state: State, wanted: Wanted) -> Plan:
    """Install it where it is missing."""
    missing = unread(state, SECTIONS)
    if missing:
        return Plan(refusals=missing)
    file, problems = _file(state["machine"], wanted)
    present = named(state, wanted.name)
    problems += [*account.refusals(state["machine"]), *_unfit(present)]
    if file is None or problems:
        return Plan(refusals=tuple(problems))
    if present is not None and present["state"] == INSTALLED:
        return Plan()
    parameters = {"name": wanted.name, "file": file.path, "location": wanted.location}
    after = f"{wanted.name}: installed{f' in {wanted.location}' if wanted.location else ''}"
    install = Action(
        "distribution_install",
        parameters,
        says=f"install {wanted.name}",
        before=f"{wanted.name}: {'half installed' if present else 'none'}",
        after=after,
    )
    return Plan(actions=(packages.fetch(file, "wsl.distribution"), *_half(present), install))


def removal(state: State, name: str, export_to: str, *, discard: bool = False) -> tuple[Action, ...]:
    """What removes a distribution: first its files go into export_to, a new .tar file on the PC; nothing where there is none.

    Raises ResultsAtRiskError without export_to, unless discard says that nothing of it is needed.
    """
    present = named(state, name)
    if present is None:
        return ()
    if not (export_to or discard):
        raise ResultsAtRiskError(
            f"{name} would be destroyed with everything in it: name a file on the PC that it is exported to, or say that it is not needed."
        )
    return (*([export(present, export_to)] if export_to else []), _unregister(present))


def export(present: Distribution, path: str) -> Action:
    """Write all files of a distribution to a new .tar file on the PC, which ends what runs in it."""
    return Action(
        "distribution_export",
        {"name": present["name"], "path": path},
        says=f"export {present['name']} to {path}",
        before=f"{path}: none",
        after=f"{path}: all files of {present['name']}, which is ended for that",
    )


def named(state: State, name: str) -> Distribution | None:
    """Our user's distribution of that name; WSL does not look at letters' case."""
    return next((one for one in state["wsl"]["distributions"] if one["name"].lower() == name.lower()), None)


def _file(machine: MachineSection, wanted: Wanted) -> tuple[File | None, list[Refusal]]:
    problems = []
    if not NAME.fullmatch(wanted.name):
        text = f"found {wanted.name!r}; a distribution's name has letters, digits, `.`, `_` and `-`."
        problems.append(Refusal("wsl.distribution", text))
    if wanted.url or wanted.sha256:
        if not (wanted.url.startswith("https://") or wanted.url[1:3] == ":\\"):
            text = f"found {wanted.url!r}; write https://… or a path on the PC such as D:\\{wanted.name}.wsl."
            problems.append(Refusal("wsl.distribution.url", text))
        if not packages.is_sha256(wanted.sha256):
            text = f"found {wanted.sha256!r}; write the SHA-256 of {wanted.url or 'its file'}: 64 hexadecimal digits."
            problems.append(Refusal("wsl.distribution.sha256", text))
        return File(wanted.url, wanted.sha256.lower()), problems
    file = packages.distribution(wanted.name, machine)
    if file is None and not problems:
        known = packages.distributions()
        text = (
            f"no distribution {wanted.name!r} is pinned{did_you_mean(wanted.name, known)}; there are: {', '.join(known)}; "
            "or write {name, url, sha256} of another one."
        )
        problems.append(Refusal("wsl.distribution", text))
    return file, problems


def _unfit(present: Distribution | None) -> list[Refusal]:
    if present is None:
        return []
    name = present["name"]
    if present["wsl"] != 2:  # noqa: PLR2004  # the second WSL
        text = f"{name} runs as WSL 1, without GPU; convert it by `wsl --set-version {name} 2` on the PC, or choose another name."
        return [Refusal("wsl.distribution", text)]
    if present["state"] not in (INSTALLED, INSTALLING):
        text = f"{name} is being converted, exported or removed (state {present['state']}); if nothing does that any more, `wsl --unregister {name}` on the PC ends it and DESTROYS its files."
        return [Refusal("wsl.distribution", text)]
    return []


def _half(present: Distribution | None) -> list[Action]:
    """An installation that lost power left an entry without a user's data, which WSL never completes and never replaces."""
    return [_unregister(present)] if present else []


def _unregister(present: Distribution) -> Action:
    return Action(
        "distribution_unregister",
        {"name": present["name"], "guid": present["guid"]},
        says=f"remove {present['name']}" + (" (half installed)" if present["state"] == INSTALLING else ""),
        before=f"{present['name']}: {present['base_path']}",
        after=f"{present['name']}: none",
    )
