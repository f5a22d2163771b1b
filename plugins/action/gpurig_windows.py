"""Reads a Windows PC's state and brings one topic of it to what its role's variables want; gpurig/windows decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from gpurig import reach
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.windows import packages, questions, topics, wire
from gpurig.windows.actions import Action
from gpurig.windows.plan import Plan, Refusal

DOCUMENTATION = r"""
module: gpurig_windows
short_description: Configures one topic of a Windows PC with WSL2
description:
  - Without O(topic) and O(check), reads the PC's state into C(ansible_facts.gpurig_windows).
  - With O(topic), compares that state with the variables C(win_<topic>_*), does what differs, reads the state anew, and
    fails where a second look would still change something. With C(--check) it only tells; C(--diff) has something of every step.
options:
  topic:
    description: One of gpurig.windows.topics.TOPICS.
    type: str
  check:
    description: Topics whose refusals are told, all at once, before anything changes.
    type: list
    elements: str
"""


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible carries no types
    """Runs on the controller; on the PC runs PowerShell, with one connection for each round."""

    _VALID_ARGS = frozenset({"topic", "check"})
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = self._variables(task_vars or {})
        try:
            if self._task.args.get("topic"):
                return {**result, **self._topic(str(self._task.args["topic"]), variables, task_vars or {})}
            if "check" in self._task.args:
                return {**result, **self._check(list(self._task.args["check"]), variables, task_vars or {})}
            return {**result, **self._facts(self._round((), variables).state), "changed": False}
        except RigError as error:
            raise AnsibleActionFail(str(error)) from error
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(_lost(task_vars or {}, str(error))) from None  # Ansible would tell both

    def _topic(self, topic: str, variables: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        plan = topics.decide(topic, self._state(task_vars), variables)
        if plan.refusals:
            raise AnsibleActionFail(_refused(task_vars, [plan], "this step changed nothing on the PC"))
        told = _told(plan)
        if not plan.actions or self._task.check_mode:
            return told
        answer = self._round(plan.actions, variables)
        facts = self._facts(answer.state)
        failed = answer.failed()
        if failed is not None:
            # Without the facts: Ansible prints all that a failure's result has, and nothing after it reads them.
            raise AnsibleActionFail(
                _failed(task_vars, plan.actions[len(answer.outcomes) - 1], failed),
                result={**told, "changed": any(outcome.changed for outcome in answer.outcomes)},
            )
        after = topics.decide(topic, answer.state, variables)
        left = [action.says for action in after.unsettled()]
        if left and not (plan.reboot or after.reboot):
            raise AnsibleActionFail(f"{topic}: done, and yet to be done again: {'; '.join(left)}", result=told)
        reboot = plan.reboot or after.reboot
        return {
            **told,
            **facts,
            "reboot": reboot,
            "reboot_required": bool(reboot),
            "changed": any(outcome.changed for outcome in answer.outcomes),
        }

    def _check(self, names: list[str], variables: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        plans = [topics.decide(name, self._state(task_vars), variables) for name in names]
        plans = [replace(plan, refusals=tuple(one for one in plan.refusals if not one.passing)) for plan in plans]
        if any(plan.refusals for plan in plans):
            raise AnsibleActionFail(_refused(task_vars, plans, "nothing was changed on the PC"))
        return {"changed": False, "warnings": [line for plan in plans for line in plan.warnings]}

    def _round(self, actions: tuple[Action, ...], variables: dict[str, Any]) -> wire.Answer:
        payload = wire.request(actions, questions.sections(variables))
        code, out, err = self._connection.exec_command(wire.COMMAND, in_data=payload, sudoable=False)
        return wire.answer(code, out, err)

    def _state(self, task_vars: dict[str, Any]) -> Any:
        state = (task_vars.get("ansible_facts") or {}).get("gpurig_windows")
        if state is None:
            raise AnsibleActionFail("The state of the PC was not read yet: run gpurig_windows without arguments first.")
        return state

    def _variables(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        names = [name for name in task_vars if name.startswith("win_")]
        return {name: self._templar.template(task_vars[name]) for name in names}

    @staticmethod
    def _facts(state: Any) -> dict[str, Any]:
        return {"ansible_facts": {"gpurig_windows": dict(state)}}


def _told(plan: Plan) -> dict[str, Any]:
    """What a task's result says of a plan."""
    return {
        "changed": bool(plan.actions),
        "actions": [action.told() for action in plan.actions],
        "reboot": plan.reboot,
        "reboot_required": bool(plan.reboot),
        "warnings": list(plan.warnings),
        "diff": plan.diff(),
    }


def _refused(task_vars: dict[str, Any], plans: list[Plan], changed: str) -> str:
    """All refusals. changed: what can be said of the PC."""
    host = _host(task_vars)
    lines = [_line(host, refusal) for plan in plans for refusal in plan.refusals]
    return "\n".join([f"{host['name']}: {changed}.", *dict.fromkeys(lines)])


def _failed(task_vars: dict[str, Any], action: Action, outcome: wire.Outcome) -> str:
    """Why a step failed, with file and key where a key is to blame."""
    if action.kind == "file_fetch" and outcome.problem:
        return _line(_host(task_vars), packages.refusal(action, outcome.problem["message"]))
    return f"{action.told()}: {outcome.words()}"


def _lost(task_vars: dict[str, Any], said: str) -> str:
    """Why the PC cannot be reached, with file and key. said: by the connection."""
    record = task_vars.get("gpurig_host")
    return str(reach.told(Host.from_dict(record), task_vars["inventory_hostname"], said)) if record else said


def _line(host: dict[str, Any], refusal: Refusal) -> str:
    if not refusal.key:
        return refusal.text
    return f"Pulumi.{host['stack']}.yaml: gpurig:hosts.{host['name']}.{refusal.key}: {refusal.text}"


def _host(task_vars: dict[str, Any]) -> dict[str, Any]:
    return task_vars.get("gpurig_host") or {"name": task_vars["inventory_hostname"], "stack": "<stack>"}
