"""A stack whose records, configuration or engine's state are lost or damaged: which hosts it has nevertheless, and ending them.

Asked is everything that may still tell: readable records, the names of unreadable ones, notes of interrupted runs, the
configuration, the ledger, and what vendors list with this stack's mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpurig import config, engine, gate, lifecycle, providers, records, settle
from gpurig.errors import ResultsAtRiskError, RigError, about
from gpurig.ledger import Ledger
from gpurig.providers import Owner, Report
from gpurig.reap import Listing
from gpurig.stack import Stack


def hosts(stack: Stack, listed: Listing, *, report: Report) -> dict[str, tuple[str, ...]]:
    """Every host that has, or may have, a machine, with the providers that may have it. Tells what cannot be read."""
    found: dict[str, list[str]] = {}
    unreadable = []
    for path in sorted((stack.dir / "hosts").glob("*.json")):
        noted = found.setdefault(path.stem, [])
        try:
            record = records.get(stack, path.stem)
        except RigError as error:
            report(f"{path.stem}: {error}")
            unreadable.append(path.stem)
        else:
            noted += [record.provider] if record else []
    for name, at in _interrupted(stack):
        found.setdefault(name, []).extend(at)
    for name, provider in _entered(stack, report):
        found.setdefault(name, []).append(provider)
    for machine in listed.machines:
        if (machine.owner.project, machine.owner.stack) == (stack.project, stack.name):
            found.setdefault(machine.owner.host, []).append(machine.provider)
    for name in unreadable:
        found[name] += _guessed(stack, name, report)
    known = {name: tuple(dict.fromkeys(at)) for name, at in sorted(found.items())}
    return {name: tuple(provider for provider in at if provider in providers.REGISTRY) for name, at in known.items()}


def secure(stack: Stack, found: Mapping[str, Sequence[str]]) -> None:
    """Write down whose machines are looked for where, and put unreadable records out of the way; what was killed goes on."""
    for name, at in found.items():
        try:
            records.get(stack, name)
        except RigError:
            records.intend(stack, name, at)
            records.set_aside(stack, name)
        else:
            if name in dict(_interrupted(stack)):
                records.intend(stack, name, at)


def end(stack: Stack, found: Mapping[str, Sequence[str]], listed: Listing, *, report: Report) -> dict[str, str]:
    """End every one of these hosts that can be; the others do not stop it. Returns host → why it was not ended for sure.

    Where one of a host's vendors cannot be asked, what the others list of it is ended nevertheless.
    """

    def ended(name: str) -> str:
        try:
            lifecycle.may_end(stack, name)
            lifecycle.end(stack, name, found[name], report=report)
        except ResultsAtRiskError as error:
            return str(error)
        except RigError as error:
            return "\n".join([about(name, str(error)), *_rest(stack, name, listed, report)])
        return ""

    with ThreadPoolExecutor(max_workers=engine.AT_ONCE) as pool:
        outcomes = dict(zip(found, pool.map(ended, found), strict=True))
    return {name: why for name, why in outcomes.items() if why}


def _rest(stack: Stack, name: str, listed: Listing, report: Report) -> list[str]:
    """End the machines of a host that were listed, one by one. Returns what went wrong."""
    problems = []
    owner = Owner(stack.project, stack.name, name)
    with records.host_lock(stack, name):
        for machine in [machine for machine in listed.machines if machine.owner == owner]:
            try:
                gate.check(stack, name, running=machine.running)
                report(f"{name}: ending {machine.label} ({machine.provider} {machine.id})")
                settle.remove(stack, machine, "ended by its owner", report)
            except RigError as error:
                problems.append(about(name, str(error)))
    return problems


def _interrupted(stack: Stack) -> Iterable[tuple[str, list[str]]]:
    """Notes of interrupted runs, of which a damaged one still has the host's name."""
    for path in sorted((stack.dir / "intents").glob("[!.]*")):
        yield path.name, _words(path)


def _words(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").split()


def _entered(stack: Stack, report: Report) -> list[tuple[str, str]]:
    """Hosts and vendors of what the ledger has open."""
    try:
        rentals = Ledger(stack.home).open_rentals()
    except RigError as error:
        report(f"Warning: {error}")
        return []
    return [(r.host, r.provider) for r in rentals if (r.project, r.stack) == (stack.project, stack.name)]


def _guessed(stack: Stack, name: str, report: Report) -> list[str]:
    """Providers that a host with an unreadable record may be at: as configured, and those on this computer that list it."""
    found: list[str] = []
    try:
        spec = config.load(stack, pulumi_decrypts=True).hosts.get(name)
        found += spec.sources() if spec else []
    except RigError as error:
        report(f"Warning: {error}")
    owner = Owner(stack.project, stack.name, name)
    for other in [other for other in providers.REGISTRY if other not in (*found, *providers.RENTERS)]:
        try:
            found += [other] if providers.provider(other).machines(stack, owner) else []
        except RigError as error:
            report(f"{name}: {other} was not asked: {error}")
    return found
