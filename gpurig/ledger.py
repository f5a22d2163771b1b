"""The ledger: what was rented, for how much, and what became of it. Nothing in it is ever changed or removed.

One SQLite file in GPURIG_HOME for all stacks. A rental's first entry, `intended`, is on disk before the call that may make a
machine. Every figure is worked out from the entries, so a process that is killed between two of them loses nothing but the
newer one, and what is missing keeps the rental open: "may still bill".
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from gpurig import clock
from gpurig.errors import RigError
from gpurig.stack import private_dir

Kind = Literal[
    "intended",  # before the call; provider, label, offer, price
    "adopted",  # a machine that no entry here knew was found by its label; as `intended` and `rented` together
    "refused",  # the vendor said no: nothing was made; reason
    "absent",  # the listing did not show it for longer than its known delay: nothing was made
    "rented",  # the vendor's reply says so; machine
    "listed",  # the listing shows it; machine
    "accepted",  # it is what was paid for
    "stopped",
    "started",
    "ending",  # before the call that ends it; reason
    "ended",  # the listing no longer shows it
    "gone",  # the listing no longer shows it, and it was not we who ended it; reason
]

UNSURE = ("intended", "rented", "ending")
"""Last entries of a call whose end is not known: a machine may bill, whatever a record tells."""

FIRST = ("intended", "adopted")
"""Entries that a rental begins with; they say what it is."""

CLOSED = ("refused", "absent", "ended", "gone")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, rental TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_rental ON entries (rental);
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS never_removed BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS never_replaced BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""

_NEWEST = "never_replaced"
"""What the schema makes last, so that a ledger without it gets what it lacks."""

_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """One machine, or the intent to have one, as its entries tell.

    id: of the rental here; machine: the vendor's id, empty while unknown. price, price_stopped: USD per hour, frozen when it
    was rented. state: the last entry's kind. times: (moment, kind) of each entry, oldest first. reason: of its end.
    """

    id: str
    provider: str
    label: str
    project: str
    stack: str
    host: str
    generation: int
    price: Decimal
    price_stopped: Decimal | None
    offer: Mapping[str, Any]
    state: Kind
    times: tuple[tuple[datetime, Kind], ...]
    machine: str = ""
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether it bills, or may."""
        return self.state not in CLOSED

    @property
    def unsure(self) -> bool:
        """Whether it may bill and nobody knows."""
        return self.state in UNSURE

    @property
    def since(self) -> datetime:
        """When its call was made."""
        return self.times[0][0]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of one GPURIG_HOME."""

    home: Path

    @property
    def file(self) -> Path:
        return self.home / "ledger.sqlite"

    def intend(self, **facts: Any) -> str:
        """Enter a rental before its call. Returns its id here. facts: Rental's fields from provider to offer.

        Raises RigError where it cannot be written, and then nothing may be rented.
        """
        rental = secrets.token_hex(6)
        self._append(rental, "intended", _plain(facts))
        return rental

    def adopt(self, machine: str, **facts: Any) -> str:
        """Enter a machine that was found by its label and that no entry tells of. Returns the rental's id here."""
        rental = secrets.token_hex(6)
        self._append(rental, "adopted", {**_plain(facts), "machine": machine})
        return rental

    def note(self, rental: str, kind: Kind, **data: Any) -> None:
        """Enter what became of a rental. Raises RigError where it cannot be written."""
        self._append(rental, kind, _plain(data))

    def rentals(self) -> list[Rental]:
        """Every rental ever, oldest first."""
        return self._fold("SELECT at, rental, kind, data FROM entries ORDER BY seq", ())

    def open_rentals(self, *, label: str = "") -> list[Rental]:
        """Those that bill, or may; of one label, or all. Quick, since every command asks."""
        marks = ",".join("?" * len(CLOSED))
        query = (
            "SELECT at, rental, kind, data FROM entries WHERE rental NOT IN "  # noqa: S608 (only question marks go in)
            f"(SELECT rental FROM entries WHERE kind IN ({marks})) ORDER BY seq"
        )
        return [rental for rental in self._fold(query, CLOSED) if rental.open and label in ("", rental.label)]

    def of_host(self, project: str, stack: str, host: str) -> list[Rental]:
        """The open rentals of one host."""
        return [r for r in self.open_rentals() if (r.project, r.stack, r.host) == (project, stack, host)]

    def of_stack(self, project: str, stack: str) -> list[Rental]:
        """Every rental ever of one stack, oldest first."""
        return [r for r in self.rentals() if (r.project, r.stack) == (project, stack)]

    def _fold(self, query: str, values: Iterable[str]) -> list[Rental]:
        if not self.file.exists():
            return []
        with self._connected() as connection:
            rows = connection.execute(query, tuple(values)).fetchall()
        found: dict[str, Rental] = {}
        try:
            for at, rental, kind, data in rows:
                found[rental] = _after(found.get(rental), rental, datetime.fromisoformat(at), kind, json.loads(data))
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise self._damaged(f"an entry is missing or not to be read: {type(error).__name__} {error}") from error
        return list(found.values())

    def _append(self, rental: str, kind: Kind, data: Mapping[str, Any]) -> None:
        with self._connected() as connection, connection:
            connection.execute(
                "INSERT INTO entries (at, rental, kind, data) VALUES (?, ?, ?, ?)",
                (clock.now().isoformat(), rental, kind, json.dumps(data)),
            )

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """An open ledger. Raises RigError where it cannot be read or written."""
        private_dir(self.home)
        try:
            if not self.file.exists():
                self._create()
            with closing(sqlite3.connect(self.file, timeout=30)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                if not connection.execute("SELECT 1 FROM sqlite_master WHERE name=?", (_NEWEST,)).fetchone():
                    connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
                    self.file.chmod(0o600)
                yield connection
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "").startswith(_DAMAGED):
                raise self._damaged(str(error)) from error
            raise RigError(
                f"{self.file}: the ledger cannot be used ({error}). Is the disk full? Nothing is rented without it; "
                "ending hosts works."
            ) from error

    def _create(self) -> None:
        """An empty file that only its user may read; made beside and linked, since closing it here would drop SQLite's locks."""
        descriptor, name = tempfile.mkstemp(prefix=".ledger-", dir=self.home)  # mode 0600
        os.close(descriptor)
        try:
            with suppress(FileExistsError):
                self.file.hardlink_to(name)
        finally:
            Path(name).unlink()

    def _damaged(self, why: str) -> RigError:
        return RigError(
            f"{self.file}: the ledger cannot be used, it is damaged ({why}). Move the file aside, then `rig down --all` ends "
            "a stack's hosts and `rig reap` finds everything else. Until then nothing is rented; ending hosts works."
        )


def _after(before: Rental | None, rental: str, at: datetime, kind: Kind, data: dict[str, Any]) -> Rental:
    """A rental after one more entry."""
    if before is None:
        if kind not in FIRST:
            raise ValueError(f"rental {rental} begins with `{kind}`")
        price_stopped = data.get("price_stopped")
        return Rental(
            id=rental,
            provider=data["provider"],
            label=data["label"],
            project=data["project"],
            stack=data["stack"],
            host=data["host"],
            generation=data["generation"],
            price=Decimal(data["price"]),
            price_stopped=None if price_stopped is None else Decimal(price_stopped),
            offer=data.get("offer") or {},
            state=kind,
            times=((at, kind),),
            machine=data.get("machine", ""),
        )
    return replace(
        before,
        state=kind,
        times=(*before.times, (at, kind)),
        machine=data.get("machine") or before.machine,
        reason=data.get("reason") or before.reason,
    )


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Decimal) else value for key, value in facts.items()}
