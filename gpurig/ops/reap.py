"""`rig reap`: find and end what costs money and is in no stack."""

from __future__ import annotations

import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from gpurig.errors import ConfigError, RigError
from gpurig.ops import console
from gpurig.ops.command import command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from invoke.context import Context

    from gpurig.ledger import Rental
    from gpurig.reap import Left


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found, and what could not be looked at: vendor, or `ledger` → why."""

    left: list[Left]
    problems: dict[str, str]


@command(
    rest="labels",
    repeated=["provider"],
    help={
        "labels": "Only these, by their labels; what is unknown here is ended only when named.",
        "provider": "Ask this vendor; may be repeated, or several by comma. Default: all whose key is here.",
        "discard": "Let results be lost that were not brought back.",
        "yes": "End them; without it nothing is changed.",
    },
)
def reap(
    c: Context, labels: str = "", provider: list[str] | None = None, discard: bool = False, yes: bool = False
) -> None:
    """List machines that cost money and are in no stack, and with --yes end them.

    Every vendor whose key is here is asked for all that carries our mark, gpurig.PROJECT.STACK.HOST.GENERATION; nothing else
    is ever touched. What no stack on this computer has is listed, with what it costs and since when, and so are calls
    whose end nobody knows. What another `rig` works on is left alone.

    A machine that this computer never made, as far as it knows, is `unknown here`: another computer may be working with it.
    It is ended only when named: `rig reap gpurig.PROJECT.STACK.HOST.GENERATION --yes`.

    Exits with 1 where a vendor could not be asked, or an end was not confirmed.
    """
    from gpurig.ops import wishes
    from gpurig.stack import home

    names: tuple[str, ...] = ()
    keyless = {}
    try:
        names = wishes.vendors(c, provider or ())
    except wishes.NoKeyError as error:  # what the ledger has open is told nevertheless
        keyless = {"keys": str(error)}
    found = _looked(home(), names, keyless, only=bool(provider))
    chosen = _chosen(found.left, shlex.split(labels))
    failed: dict[str, str] = {}
    if yes and chosen:
        failed = _ended(home(), chosen, discard=discard)
    done = [one for one in chosen if yes and one.label not in failed]
    data = {
        "left": [_as_data(one, "ended" if one in done else "") for one in found.left],
        "problems": found.problems,
        "failed": failed,
    }
    console.show(c, data, _text(found, done))
    _advise(found.left, chosen, yes=yes)
    if found.problems or failed:
        raise Exit("\n".join([*found.problems.values(), *failed.values()]), code=1)


def _looked(home: Path, names: Sequence[str], keyless: dict[str, str], *, only: bool) -> _Found:
    """Everything that is left. keyless: why none can be asked; only: leave out what the ledger has of other vendors."""
    from gpurig import reap as left_over
    from gpurig.ledger import Ledger

    rentals: list[Rental] = []
    problems = dict(keyless)
    try:
        rentals = [rental for rental in Ledger(home).rentals() if not only or rental.provider in names]
    except RigError as error:
        problems["ledger"] = str(error)
    with console.working(f"Asking {', '.join(names) or 'nobody'}"):
        listed = left_over.listing(names)
    return _Found(left_over.left(home, listed, names, rentals), problems | dict(listed.problems))


def _chosen(left: Sequence[Left], named: Sequence[str]) -> list[Left]:
    """What is to be ended. Raises ConfigError for a name that nothing has, or that must be left alone."""
    known = {one.label for one in left}
    for name in named:
        if name not in known:
            raise ConfigError(
                f"{name}: not among what no stack has. There {'are' if known else 'is'}: {', '.join(sorted(known)) or 'nothing'}."
            )
    kept = [one for one in left if one.label in named and one.kept]
    if kept:
        raise ConfigError("\n".join(f"{one.label}: left alone: {one.kept}" for one in kept))
    return [one for one in left if not one.kept and (one.label in named if named else one.here)]


def _ended(home: Path, chosen: Sequence[Left], *, discard: bool) -> dict[str, str]:
    """End these, those of different hosts side by side. Returns label → what went wrong."""
    from gpurig import gate, reaping

    by_owner: dict[Any, list[Left]] = {}
    for one in chosen:
        by_owner.setdefault(one.owner, []).append(one)

    with ExitStack() as context:
        context.enter_context(gate.discarding({one.owner.host for one in chosen} if discard else ()))
        report = context.enter_context(console.working("Ending"))

        def end(of_owner: list[Left]) -> dict[str, str]:
            failed = {}
            for one in of_owner:
                try:
                    reaping.end(home, one, report=report)
                except RigError as error:
                    failed[one.label] = str(error)
            return failed

        with ThreadPoolExecutor(max_workers=16) as pool:
            return {label: why for failed in pool.map(end, by_owner.values()) for label, why in failed.items()}


def _as_data(one: Left, done: str) -> dict[str, object]:
    return {
        "provider": one.provider,
        "id": one.id,
        "label": one.label,
        "hourly": None if one.hourly is None else f"{one.hourly:f}",
        "since": at.isoformat(timespec="seconds") if (at := _since(one)) else "",
        "state": one.machine.state if one.machine else one.rental.state if one.rental else "",
        "why": one.why,
        "known_here": one.here,
        "left_alone": one.kept,
        "done": done,
    }


def _text(found: _Found, done: Sequence[Left]) -> str:
    if not found.left and found.problems:
        return "Nothing was found, but not everything could be looked at."
    if not found.left:
        return "Nothing is left over: every machine with our mark is in a stack."
    rows = [("PROVIDER", "ID", "LABEL", "$/H", "SINCE", "WHY")]
    for one in found.left:
        price, since = one.hourly, _since(one)
        told = one.machine.since if one.machine else ""
        rows.append(
            (
                one.provider,
                one.id or "-",
                one.label,
                "?" if price is None else f"{price:.3f}",
                console.moment(since) if since else told or "-",
                one.why,
            )
        )
    ended = ", ".join(one.label for one in done if one.machine)
    closed = ", ".join(one.label for one in done if not one.machine)
    lines = [console.table(rows), f"Ended: {ended}" if ended else "", f"Nothing is left of: {closed}" if closed else ""]
    return "\n".join(filter(None, lines))


def _since(one: Left) -> datetime | None:
    """When it was made: as entered, else as its vendor says; None where that is not understood."""
    if one.rental:
        return one.rental.since
    told = one.machine.since if one.machine else ""
    try:
        return datetime.fromtimestamp(float(told), UTC)  # Vast.ai counts seconds
    except (ValueError, OverflowError, OSError):
        pass
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)? ?(Z|[+-]\d\d:?\d\d)?", told)
    try:
        at = datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3] or '+00:00'}") if found else None
    except ValueError:
        return None
    return at


def _advise(left: Sequence[Left], chosen: Sequence[Left], *, yes: bool) -> None:
    for one in left:
        if one.kept:
            console.say(f"{one.label}: left alone: {one.kept}")
    if yes:
        return
    if chosen:
        hourly = sum(one.hourly for one in chosen if one.hourly is not None)
        console.say(f"`rig reap --yes` ends {len(chosen)} of {len(left)}: ${hourly:.2f} an hour.")
    strangers = sorted({one.label for one in left if not one.here and one not in chosen})
    if strangers:
        console.say(f"What is unknown here is ended only when named: `rig reap {strangers[0]} --yes`.")
