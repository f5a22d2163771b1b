"""The ledger: what is entered stays, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gpurig.errors import RigError
from gpurig.ledger import Ledger

FACTS: dict[str, Any] = {
    "provider": "vastai", "label": "gpurig.p.s.a.1", "project": "p", "stack": "s", "host": "a", "generation": 1,
    "price": Decimal("0.3604"), "price_stopped": Decimal("0.0104"), "offer": {"id": "7", "gpu": "RTX 4090"},
}  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "home")


def test_a_rental_is_what_its_entries_tell(ledger: Ledger) -> None:
    rental = ledger.intend(**FACTS)
    ledger.note(rental, "rented", machine="1001")
    ledger.note(rental, "accepted")
    ledger.note(rental, "ending", reason="ended by its owner")
    ledger.note(rental, "ended")
    (found,) = ledger.rentals()
    assert (found.price, found.price_stopped, found.machine) == (Decimal("0.3604"), Decimal("0.0104"), "1001")
    assert [kind for _, kind in found.times] == ["intended", "rented", "accepted", "ending", "ended"]
    assert (found.state, found.reason, found.open) == ("ended", "ended by its owner", False)
    assert found.times == tuple(sorted(found.times))


def test_prices_stay_exact(ledger: Ledger) -> None:
    ledger.intend(**{**FACTS, "price": Decimal("0.1000000000000000000000001"), "price_stopped": None})
    (found,) = ledger.rentals()
    assert (str(found.price), found.price_stopped) == ("0.1000000000000000000000001", None)


def test_nothing_is_written_by_reading(ledger: Ledger) -> None:
    assert ledger.rentals() == ledger.open_rentals() == []
    assert not ledger.file.exists()


def test_open_and_unsure_rentals_are_found(ledger: Ledger) -> None:
    states: dict[str, list[Any]] = {
        "intended": [], "rented": ["rented"], "listed": ["rented", "listed"], "accepted": ["rented", "listed", "accepted"],
        "stopped": ["rented", "accepted", "stopped"], "ending": ["rented", "accepted", "ending"],
        "refused": ["refused"], "absent": ["absent"], "ended": ["rented", "ending", "ended"], "gone": ["rented", "gone"],
    }  # fmt: skip
    for host, kinds in states.items():
        rental = ledger.intend(**{**FACTS, "host": host, "label": f"gpurig.p.s.{host}.1"})
        for kind in kinds:
            ledger.note(rental, kind)
    assert {r.host for r in ledger.open_rentals()} == {"intended", "rented", "listed", "accepted", "stopped", "ending"}
    assert {r.host for r in ledger.open_rentals() if r.unsure} == {"intended", "rented", "ending"}
    assert [r.host for r in ledger.open_rentals(label="gpurig.p.s.listed.1")] == ["listed"]
    assert [r.host for r in ledger.of_host("p", "s", "stopped")] == ["stopped"]
    assert len(ledger.of_stack("p", "s")) == len(states)
    assert ledger.of_stack("p", "other") == []


@pytest.mark.parametrize("statement", ["UPDATE entries SET kind='ended'", "DELETE FROM entries"])
def test_entries_are_never_changed_nor_removed(ledger: Ledger, statement: str) -> None:
    ledger.intend(**FACTS)
    with (
        closing(sqlite3.connect(ledger.file)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append only"),
    ):
        connection.execute(statement)
    assert [rental.state for rental in ledger.rentals()] == ["intended"]


def test_an_entry_is_not_replaced_either(ledger: Ledger) -> None:
    ledger.intend(**FACTS)
    with closing(sqlite3.connect(ledger.file)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            connection.execute("INSERT OR REPLACE INTO entries VALUES (1, '2026', 'r', 'ended', '{}')")
        connection.rollback()
    assert [rental.state for rental in ledger.rentals()] == ["intended"]


def test_an_older_ledger_gets_what_it_lacks(ledger: Ledger) -> None:
    ledger.intend(**FACTS)
    with closing(sqlite3.connect(ledger.file)) as connection:
        connection.execute("DROP TRIGGER never_replaced")
    ledger.rentals()
    with closing(sqlite3.connect(ledger.file)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT OR REPLACE INTO entries VALUES (1, '2026', 'r', 'ended', '{}')")


def test_a_rental_without_its_first_entry_is_told(ledger: Ledger) -> None:
    ledger.note("lost", "rented", machine="1")
    with pytest.raises(RigError, match=r"rental lost begins with `rented`.*Move the file aside"):
        ledger.open_rentals()


def test_nobody_else_reads_it_even_while_it_is_made(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    connect: Any = sqlite3.connect
    modes: list[int] = []

    def seen(file: Path, **options: Any) -> Any:
        modes.append(file.stat().st_mode & 0o777)
        return connect(file, **options)

    monkeypatch.setattr(sqlite3, "connect", seen)
    ledger.intend(**FACTS)
    assert modes == [0o600]
    assert [path.name for path in ledger.home.iterdir()] == ["ledger.sqlite"]


def test_only_its_user_reads_it(ledger: Ledger) -> None:
    ledger.intend(**FACTS)
    assert ledger.file.stat().st_mode & 0o077 == 0


def test_what_was_entered_survives_sigkill(ledger: Ledger) -> None:
    code = (
        "import sys; from pathlib import Path; from decimal import Decimal; from gpurig.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "facts = dict(provider='vastai', project='p', stack='s', host='a', generation=1, price=Decimal(1), price_stopped=None)\n"
        "number = 0\n"
        "while True:\n"
        "    ledger.intend(label=f'l{number}', **facts); number += 1\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(ledger.home)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = 0
        for line in process.stdout:
            told = int(line)
            if told == 25:
                process.send_signal(signal.SIGKILL)
    found = ledger.rentals()
    assert len(found) in (told, told + 1)
    ledger.intend(**FACTS)
    assert len(ledger.rentals()) == len(found) + 1


def test_many_write_at_once(ledger: Ledger) -> None:
    threads = [threading.Thread(target=ledger.intend, kwargs=FACTS) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.rentals()) == 16


@pytest.fixture
def full_disk(ledger: Ledger) -> Iterator[Ledger]:
    """A ledger whose file cannot grow any more, as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    ledger.intend(**FACTS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ledger.file.stat().st_size, before[1]))
    yield ledger
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_on_a_full_disk_nothing_is_rented_and_nothing_lost(full_disk: Ledger) -> None:
    with pytest.raises(RigError, match="Is the disk full"):
        full_disk.intend(**{**FACTS, "offer": {"text": "x" * 50_000}})
    assert full_disk.rentals()[0].offer == {"id": "7", "gpu": "RTX 4090"}


def test_a_file_that_is_no_ledger_is_told(ledger: Ledger) -> None:
    ledger.home.mkdir()
    ledger.file.write_text("no database " * 100)
    with pytest.raises(
        RigError, match=r"the ledger cannot be used.*Move the file aside, then `rig down --all`"
    ) as caught:
        ledger.rentals()
    assert "disk full" not in str(caught.value)
