"""What costs money, or may, and is in no stack: machines with our mark that no record here has, and calls whose end nobody knows.

A machine without our exact mark is not even seen here: vendors' listings are read through `Renter.everything`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from gpurig import clock, costs, providers, records
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.ledger import Rental
from gpurig.providers import Machine, Owner
from gpurig.stack import Stack, held

PROJECT = re.compile(r"[\w-][\w.-]*")
"""Names of projects, so that a mark never leads out of GPURIG_HOME."""

ELSEWHERE = "unknown here: perhaps another computer's"


@dataclass(frozen=True, slots=True)
class Listing:
    """What vendors list with our mark. problems: vendor → why it could not be asked."""

    machines: tuple[Machine, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Something that costs money, or may, and that no stack has.

    machine: as its vendor lists it, None where only the ledger tells of it. rental: its entry in the ledger, if any.
    why: it is listed. here: this computer made it. kept: why it is left alone for now, if it is.
    """

    provider: str
    owner: Owner
    generation: int
    machine: Machine | None
    rental: Rental | None
    why: str
    here: bool = True
    kept: str = ""

    @property
    def label(self) -> str:
        return self.owner.label(self.generation)

    @property
    def id(self) -> str:
        """The vendor's id; empty where it is not known."""
        return self.machine.id if self.machine else self.rental.machine if self.rental else ""

    @property
    def hourly(self) -> Decimal | None:
        """USD per hour: as entered when it was rented, else as the vendor lists it; None where nobody says."""
        if self.rental and self.rental.open and self.rental.price:
            return costs.hourly(self.rental, clock.now())
        return self.machine.price if self.machine else None


def listing(names: Sequence[str]) -> Listing:
    """Everything with our mark at these vendors, asked side by side; one that cannot be asked does not hide the others."""

    def ask(name: str) -> list[Machine] | str:
        try:
            return [replace(machine, provider=name) for machine in providers.renter(name).everything()]
        except RigError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 (a broken provider must not hide the others)
            return f"{name}: its listing was not understood ({type(error).__name__}: {error})"

    if not names:
        return Listing()
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        answers = dict(zip(names, pool.map(ask, names), strict=True))
    found = [machine for answer in answers.values() if not isinstance(answer, str) for machine in answer]
    return Listing(
        tuple(machine for machine in found if PROJECT.fullmatch(machine.owner.project)),
        {name: answer for name, answer in answers.items() if isinstance(answer, str)},
    )


def left(home: Path, listed: Listing, asked: Iterable[str], rentals: Sequence[Rental]) -> list[Left]:
    """What vendors list, and the ledger has open, that no stack under this GPURIG_HOME has.

    asked: the vendors that the listing is of. rentals: the ledger's entries, none where it cannot be read.
    """
    found = [_machine(home, machine, rentals, listed) for machine in listed.machines]
    answered = set(asked) - set(listed.problems)
    found += [
        _unlisted(home, rental, answered=rental.provider in answered)
        for rental in rentals
        if rental.open and not any(_is(rental, machine) for machine in listed.machines)
    ]
    return sorted(filter(None, found), key=lambda one: (one.provider, one.label, one.id))


def stack_of(home: Path, owner: Owner) -> Stack:
    """The stack that a mark names, as far as its local files go; its project's folder is not known."""
    return Stack(owner.project, owner.stack, home, home)


def _machine(home: Path, machine: Machine, rentals: Sequence[Rental], listed: Listing) -> Left | None:
    """What is to be said of a listed machine; None where a stack has it, and is not ending it."""
    rental = _rental(rentals, machine)
    stack, host = stack_of(home, machine.owner), machine.owner.host
    one = Left(
        provider=machine.provider,
        owner=machine.owner,
        generation=machine.generation,
        machine=machine,
        rental=rental,
        why="",
    )
    try:
        recorded = records.get(stack, host)
    except RigError as error:
        return replace(one, why="its record cannot be read", kept=f"{error} Or `rig down --all` ends the whole stack.")
    if is_recorded(recorded, one) and not (rental and rental.state == "ending"):
        return None
    if _worked_on(stack, host):
        return replace(one, why="somebody works on it now", kept=f"another `rig` works on {host}; wait for it")
    if rental and rental.state == "ending":
        why = "its end was begun and never confirmed"
    elif not _made_here(home, machine, rentals):
        return replace(one, why=ELSEWHERE, here=False)
    elif recorded and any((m.provider, m.id) == (recorded.provider, recorded.id) for m in listed.machines):
        why = f"one too many: {host} is {recorded.provider} {recorded.id}"
    elif host in records.intents(stack):
        why = "an interrupted run left it; `rig up` would take it over"
    elif rental and not rental.open:
        why = f"the ledger has it as {rental.state}"
    else:
        why = "no stack has it"
    return replace(one, why=why)


def _unlisted(home: Path, rental: Rental, *, answered: bool) -> Left | None:
    """What is to be said of an open entry of the ledger that no listing shows; None where a stack has it."""
    owner = Owner(rental.project, rental.stack, rental.host)
    stack = stack_of(home, owner)
    one = Left(provider=rental.provider, owner=owner, generation=rental.generation, machine=None, rental=rental, why="")
    try:
        recorded = records.get(stack, owner.host)
    except RigError:
        recorded = None
    if is_recorded(recorded, one) and not rental.unsure:
        return None
    if _worked_on(stack, owner.host):
        return replace(one, why="somebody works on it now", kept=f"another `rig` works on {owner.host}; wait for it")
    if not answered:
        return replace(one, why="its vendor was not asked", kept=f"{rental.provider} was not asked, or did not answer")
    said = {
        "intended": "the call to rent it had no clear answer; it is not listed",
        "ending": "its end was begun and never confirmed; it is not listed",
    }
    return replace(one, why=said.get(rental.state, "the ledger has it open; it is not listed"))


def _worked_on(stack: Stack, host: str) -> bool:
    """Whether an engine works on this host, or on its stack: Pulumi's may make a machine before it asks for the host."""
    return records.worked_on(stack, host) or held(stack.dir / "locks" / "engine")


def _made_here(home: Path, machine: Machine, rentals: Sequence[Rental]) -> bool:
    """Whether this computer made it: the ledger tells, or, where that was lost, the host key that was made for it.

    What was only found and entered afterwards (`adopted`) may be another computer's.
    """
    of_label = [r for r in rentals if (r.provider, r.label) == (machine.provider, machine.label)]
    if of_label:
        return any(_is(rental, machine) and rental.times[0][1] != "adopted" for rental in of_label)
    key = f"{machine.owner.host}-{machine.generation}"
    return (stack_of(home, machine.owner).dir / "hostkeys" / key).exists()


def is_recorded(recorded: Host | None, one: Left) -> bool:
    """Whether this is the machine that a stack's record has."""
    return recorded is not None and (recorded.provider, recorded.id) == (one.provider, one.id)


def _is(rental: Rental, machine: Machine) -> bool:
    same = rental.provider == machine.provider and rental.label == machine.label
    return same and rental.machine in ("", machine.id)


def _rental(rentals: Iterable[Rental], machine: Machine) -> Rental | None:
    """The newest entry of a machine, an open one before all others."""
    of_it = [rental for rental in rentals if _is(rental, machine)]
    return max(of_it, key=lambda rental: (rental.open, rental.since), default=None)
