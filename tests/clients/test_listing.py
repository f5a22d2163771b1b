"""Listings are shared among those who ask at the same time, and never older than the question."""

from __future__ import annotations

import threading
import time

from gpurig.providers import Machine, Owner, listing

OWNER = Owner("p", "s", "h")


def test_ten_who_ask_at_once_cost_two_calls_at_most() -> None:
    asked: list[float] = []

    ready = threading.Barrier(10)

    def ask() -> list[Machine]:
        asked.append(time.monotonic())
        time.sleep(0.3)
        return [Machine(str(len(asked)), OWNER, 1, "", running=True)]

    def one() -> None:
        ready.wait()
        listing.shared("ten", ask)

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) <= 2


def test_a_listing_that_was_begun_before_the_question_is_not_used() -> None:
    made: list[Machine] = []
    listing.shared("old", lambda: list(made))
    made.append(Machine("1", OWNER, 1, "", running=True))
    assert listing.shared("old", lambda: list(made)) == made


def test_a_listing_that_failed_is_asked_for_again() -> None:
    def fail() -> list[Machine]:
        raise OSError

    for _ in range(2):
        try:
            listing.shared("failed", fail)
        except OSError:
            continue
        raise AssertionError
    assert listing.shared("failed", list) == []
