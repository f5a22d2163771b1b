"""Rounds with a simulated PC without any network: what the action plugin and the doctor do, in a few microseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpurig.windows import questions, topics, wire
from gpurig.windows.actions import Action
from gpurig.windows.plan import Plan
from gpurig.windows.state import State
from tests.windows.model import boot, shell
from tests.windows.model.pc import Machine


def talk(machine: Machine, actions: Sequence[Action], sections: Mapping[str, Mapping[str, Any]]) -> wire.Answer:
    """One round over the wire's own texts."""
    code, out, err = shell.run(machine, wire.COMMAND.split()[1:], wire.request(actions, sections))
    return wire.answer(code, out, err)


def look(machine: Machine, *sections: str, variables: Mapping[str, Any] | None = None) -> State:
    """These sections of the PC's state."""
    asked = questions.sections(variables or {})
    return talk(machine, (), {name: asked[name] for name in sections}).state


def converge(machine: Machine, topic: str, variables: Mapping[str, Any]) -> Plan:
    """Do what a topic's role does, restarts included, and hold that a second round is empty. Returns the first plan."""
    sections = topics.sections(topic)
    first = topics.decide(topic, look(machine, *sections, variables=variables), variables)
    assert not first.refusals, first.refusals
    plan = first
    for _ in range(4):
        answer = talk(machine, plan.actions, {})
        assert answer.failed() is None, answer.failed()
        state = look(machine, *sections, variables=variables)
        plan = topics.decide(topic, state, variables)
        if plan.reboot:
            boot.boot(machine)
            plan = topics.decide(topic, look(machine, *sections, variables=variables), variables)
        if not plan.unsettled():
            return first
    raise AssertionError(f"{topic} does not settle: {[action.says for action in plan.unsettled()]}")
