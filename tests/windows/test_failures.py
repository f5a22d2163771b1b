"""Every way in which a PC breaks: brought about in the model, named by its detector and by no other, and mended."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurig.catalogue import ROOT
from gpurig.windows import chain, failures, mending, questions
from gpurig.windows.failures import Case, Link
from gpurig.windows.state import SECTIONS
from tests.windows import rounds
from tests.windows.model import clock, faults
from tests.windows.model.faults import FAULTS, WELL
from tests.windows.model.fresh import fresh
from tests.windows.model.healthy import healthy, variables
from tests.windows.model.pc import Machine, PowerLostError


def look(machine: Machine, link: Link = WELL, **entry: object) -> Case:
    """What the doctor knows after its rounds: the second one asks for what is missing."""
    own = variables(**entry)
    asked = questions.sections(own)
    state = rounds.talk(machine, (), asked).state
    if state["wsl"]["path"] is None:
        urls = {"symptoms": {"urls": ["https://github.com/microsoft/WSL/wsl.msi"]}}
        state = {**state, **rounds.talk(machine, (), urls).state}
    return Case(state, own, link, str(entry.get("connection", "ssh")))


def numbers(case: Case) -> set[int]:
    return {failure.number for failure in failures.detect(case)}


@pytest.mark.parametrize("entry", [{}, {"reach": "direct"}, {"reach": "direct", "wsl": {"networking": "mirrored"}}])
def test_nothing_is_found_on_a_pc_that_is_well(entry: dict[str, Any]) -> None:
    case = look(healthy(**entry), **entry)
    assert failures.detect(case) == []
    assert {finding.level for finding in chain.findings(case)} == {"OK"}


def test_all_have_a_detector_a_name_and_a_fault() -> None:
    assert list(failures.FAILURES) == list(failures.NAMES) == list(FAULTS) == list(range(1, 33))


@pytest.mark.parametrize("number", FAULTS)
def test_a_fault_is_named_and_no_other(number: int) -> None:
    fault = FAULTS[number]
    entry = dict(fault.entry)
    machine = healthy(**entry)
    fault.breaks(machine)
    found = failures.detect(look(machine, fault.link, **entry))
    assert {failure.number for failure in found} == {number} | fault.companions
    named = next(failure for failure in found if failure.number == number)
    assert named.name == failures.NAMES[number]
    assert named.found
    assert named.meaning
    assert named.fix


@pytest.mark.parametrize("number", [number for number, fault in FAULTS.items() if fault.mends])
def test_what_is_safe_mends_it(number: int) -> None:
    fault = FAULTS[number]
    entry = dict(fault.entry)
    machine = healthy(**entry)
    fault.breaks(machine)
    case = look(machine, fault.link, **entry)
    todo = mending.mending(case, failures.detect(case))
    assert todo.held == ()
    answer = rounds.talk(machine, todo.actions, {})
    assert answer.failed() is None, answer.failed()
    after = look(machine, WELL, **entry)
    assert numbers(after) == set()


@pytest.mark.parametrize("language", ["de-DE", "zh-CN"])
@pytest.mark.parametrize("number", FAULTS)
def test_no_language_changes_what_is_found(number: int, language: str) -> None:
    fault = FAULTS[number]
    machine = healthy(**dict(fault.entry))
    machine.data["language"] = language
    fault.breaks(machine)
    assert numbers(look(machine, fault.link, **dict(fault.entry))) == {number} | fault.companions


def test_nothing_that_ends_work_is_done_while_somebody_works() -> None:
    for number in (3, 16, 31):
        machine = healthy()
        FAULTS[number].breaks(machine)
        data = faults.linux(machine).data
        assert data is not None
        data["busy"] = ["run 20261122-0900-train"]
        case = look(machine)
        todo = mending.mending(case, failures.detect(case))
        assert number in todo.held
        assert not {action.kind for action in todo.actions} & {"wsl_shutdown", "wsl_terminate"}


def test_the_keeper_mends_some_by_itself_and_what_it_cannot_is_still_known() -> None:
    for number, fault in FAULTS.items():
        machine = healthy(**dict(fault.entry))
        fault.breaks(machine)
        clock.advance(machine, 7)
        left = numbers(look(machine, fault.link, **dict(fault.entry)))
        assert left == (set() if number in {2, 10, 11, 12} else {number} | fault.companions), number


def test_the_question_that_starts_wsl_at_the_desk_is_no_failure() -> None:
    machine = healthy()
    faults.stopped(machine)
    machine.data["login"]["session"] = 1
    assert numbers(look(machine)) == set()
    assert numbers(look(machine)) == {3}


@pytest.mark.parametrize("number", [number for number, fault in FAULTS.items() if fault.mends])
def test_power_lost_while_mending_is_made_up_for(number: int) -> None:
    fault = FAULTS[number]
    entry = dict(fault.entry)
    for step in range(1, 12):
        machine = healthy(**entry)
        fault.breaks(machine)
        mend(machine, fault.link, power_lost_at=step, **entry)
        clock.advance(machine, 7)
        mend(machine, WELL, **entry)
        assert numbers(look(machine, **entry)) == set(), step


def mend(machine: Machine, link: Link, *, power_lost_at: int | None = None, **entry: Any) -> None:
    case = look(machine, link, **entry)
    machine.steps, machine.power_lost_at = 0, power_lost_at
    with suppress(PowerLostError):
        rounds.talk(machine, mending.mending(case, failures.detect(case)).actions, {})
    machine.power_lost_at = None


def test_nothing_restarts_windows_or_destroys() -> None:
    never = {
        "distribution_unregister",
        "distribution_move",
        "distribution_install",
        "disk_compact",
        "task_remove",
        "msi_install",
    }
    for fault in FAULTS.values():
        machine = healthy(**dict(fault.entry))
        fault.breaks(machine)
        for failure in failures.detect(look(machine, fault.link, **dict(fault.entry))):
            assert not {action.kind for action in failure.actions} & never


def test_a_fresh_pc_is_told_what_it_lacks() -> None:
    case = look(Machine(fresh()))
    found = list(chain.findings(case))
    assert {finding.what: finding.level for finding in found}["WSL"] == "FAIL"
    assert numbers(case) <= {1, 6}
    assert all("site.yml" in finding.advice or not finding.advice for finding in found)


@given(st.sets(st.sampled_from([*SECTIONS])), st.sets(st.sampled_from([*SECTIONS])), st.sampled_from([*FAULTS]))
@settings(max_examples=60)
def test_what_could_not_be_read_hides_failures_but_breaks_nothing(
    gone: set[str], failed: set[str], number: int
) -> None:
    fault = FAULTS[number]
    machine = healthy(**dict(fault.entry))
    fault.breaks(machine)
    case = look(machine, fault.link, **dict(fault.entry))
    problem = {"error": {"message": "Access is denied.", "id": "x", "hresult": "0x80070005"}}
    state = {name: problem if name in failed else part for name, part in case.state.items() if name not in gone}
    less = replace(case, state=state)  # type: ignore[arg-type]
    assert numbers(less) <= numbers(case) | ALONE
    assert all(finding.found for finding in chain.findings(less))


ALONE = {13, 16}
"""What the laptop sees of a PC that says nothing; and a dead network, where the service that explains it could not be read."""


def test_a_broken_way_is_not_blamed_on_the_sshd_at_its_end() -> None:
    machine = healthy(reach="direct")
    FAULTS[11].breaks(machine)
    found = {one.what: one for one in chain.findings(look(machine, FAULTS[11].link, reach="direct"))}
    assert found["WSL sshd"].level == found["portproxy"].level == "FAIL"
    assert "stands above" in found["WSL sshd"].advice


def test_from_outside_alone_a_silent_port_and_a_refused_key_are_known() -> None:
    silent = Case({}, variables(), Link(ports={22: "open", 2222: "silent"}, ssh="no answer"))
    assert numbers(silent) == {13}
    refused = Case({}, variables(), Link(ports={22: "open"}, ssh="me@192.168.1.50: Permission denied (publickey)."))
    assert numbers(refused) == {30}
    off = Case({}, variables(), Link(ports={22: "silent"}, ssh="no answer"))
    assert numbers(off) == set()
    assert "Is the PC on, awake" in next(chain.findings(off)).advice
    assert numbers(Case({}, variables(), Link(ports={22: "refused"}, ssh="Connection refused"))) == set()


def test_every_tag_that_is_named_is_in_the_playbook() -> None:
    site = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))
    roles = {role["role"] for play in site for role in play.get("roles", [])}
    named = set()
    for path in (ROOT / "gpurig" / "windows").rglob("*.py"):
        for call in re.findall(r"case\.site\(([^)]*)\)|--tags (\w+)", path.read_text(encoding="utf-8")):
            named |= set(re.findall(r"\w+", "".join(call)))
    assert {"win_keeper", "sshd", "win_disk"} <= named <= roles


def test_a_file_at_the_pc_is_written_as_the_entry_takes_it() -> None:
    machine = healthy()
    FAULTS[9].breaks(machine)
    case = look(machine)
    fix = next(failure.fix for failure in failures.detect(case) if failure.number == 9)
    written = yaml.safe_load(fix.split("`")[1])
    assert variables(**written)["win_wsl_msi_url"] == "C:\\wsl.msi"


def test_the_documentation_has_them_all() -> None:
    text = (ROOT / "docs" / "windows-failures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == list(failures.NAMES.items())
