"""What the doctor says of WSL itself can be done: the command that it names does something, or says what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import failures, topics
from gpurig.windows.failures import Case, Failure
from tests.windows import rounds
from tests.windows.model.faults import FAULTS, Breaks, fails, stopped
from tests.windows.model.healthy import healthy, variables
from tests.windows.model.pc import Machine
from tests.windows.test_failures import look, numbers

MENDS = "site.yml --limit home --tags win_wsl` installs WSL from its MSI"


def found(case: Case, number: int) -> Failure:
    return next(failure for failure in failures.detect(case) if failure.number == number)


def without_service(machine: Machine) -> None:
    stopped(machine)
    machine.data["services"].pop("WSLService")


@pytest.mark.parametrize(("number", "breaks"), [(7, without_service), (7, FAULTS[7].breaks), (1, FAULTS[1].breaks)])
def test_the_role_that_is_named_installs_wsl_again(number: int, breaks: Breaks) -> None:
    machine = healthy()
    breaks(machine)
    case = look(machine)
    assert MENDS in found(case, number).fix
    stopped(machine)  # the simulated PC starts WSL for the doctor's questions even so
    rounds.converge(machine, "wsl", variables())
    assert number not in numbers(look(machine))


@pytest.mark.parametrize(("code", "number"), [("E_UNEXPECTED", 7), ("ERROR_CANT_ACCESS_FILE", 1)])
def test_what_the_role_does_not_see_is_repaired_by_hand(code: str, number: int) -> None:
    machine = healthy()
    fails(code)(machine)
    case = look(machine)
    assert topics.decide("wsl", case.state, case.variables).actions == ()
    fix = found(case, number).fix
    assert "site.yml" not in fix
    assert "wsl.2.6.3.0.x64.msi REINSTALL=ALL REINSTALLMODE=vamus" in fix


def test_the_owners_own_package_is_the_one_to_repair() -> None:
    own: dict[str, Any] = {"wsl": {"msi": {"version": "2.6.3", "url": "D:\\own.msi", "sha256": "ab" * 32}}}
    machine = healthy()
    fails("E_UNEXPECTED")(machine)
    assert "`msiexec /i D:\\own.msi REINSTALL=ALL" in found(look(machine, **own), 7).fix


def test_what_the_role_refuses_to_do_is_said_with_its_key() -> None:
    machine = healthy()
    machine.data["wsl"]["version"] = "2.1.5.0"
    fix = found(look(machine), 1).fix
    assert "would stop Ubuntu-24.04" in fix
    assert "`variables: {win_wsl_upgrade: true}`" in fix
    assert "wsl --update" not in fix
