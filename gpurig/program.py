"""Hosts as Pulumi resources: a dynamic provider over the life cycle.

Pulumi's engine loads this module in two processes: in the program (`__main__.py`), and in the provider process, where
`HostProvider` makes and ends hosts. Its state holds a host's configuration and record, and nothing of this laptop.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pulumi
from pulumi import dynamic
from pulumi.output import Unknown
from pulumi.runtime import config as pulumi_config

from gpurig import accounts, budget, config, engine, lifecycle, providers, records
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.mistakes import NAMESPACE
from gpurig.spec import HostSpec
from gpurig.stack import Stack, home, project_root

Properties = dict[str, Any]


class HostResource(dynamic.Resource, module="gpurig", name="Host"):
    """One host of this stack.

    spec, record: its configuration and its Host record, both as JSON text, since Pulumi's own maps drop what is null.
    machine: the id of a machine that the program makes. While it is not known the host counts as one to replace, so that
    Pulumi ends the host, which asks the destroy gate, before it replaces the machine.
    """

    record: pulumi.Output[str]

    def __init__(self, name: str, spec: HostSpec, machine: pulumi.Output[str] | None = None) -> None:
        owner = {"project": pulumi.get_project(), "stack": pulumi.get_stack(), "name": name}
        inputs = {
            **owner,
            "spec": _text(spec.normalised()),
            "record": None,
            **({} if machine is None else {"machine": machine}),
        }
        # Also where Pulumi itself decides to replace (`--replace`): two machines of one host must never be.
        super().__init__(HostProvider(), name, inputs, pulumi.ResourceOptions(delete_before_replace=True))

    @property
    def host(self) -> pulumi.Output[dict[str, Any]]:
        """The Host record as plain data."""
        return self.record.apply(json.loads)


class HostProvider(dynamic.ResourceProvider):
    """Makes and ends hosts. It holds nothing, so that Pulumi's state holds only its name."""

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        """Give this process the keys that Pulumi decrypted, and an end."""
        threading.Thread(target=_end_with_engine, daemon=True).start()
        accounts.put(json.loads(req.config.get(f"{NAMESPACE}:secrets") or "{}"))

    def create(self, props: Properties) -> dynamic.CreateResult:
        with _plain_errors():
            return dynamic.CreateResult(f"{props['project']}/{props['stack']}/{props['name']}", _ensured(props))

    def update(self, _id: str, _olds: Properties, news: Properties) -> dynamic.UpdateResult:
        with _plain_errors():
            return dynamic.UpdateResult(_ensured(news))

    def delete(self, _id: str, props: Properties) -> None:
        """Raises ResultsAtRiskError while the host holds results that are nowhere else."""
        with _plain_errors():
            lifecycle.end(_stack(props), props["name"], [_living(props).provider], report=_report)

    def read(self, id_: str, props: Properties) -> dynamic.ReadResult:
        """Whether the host is still there, and as what the other engine may have left it."""
        with _plain_errors():
            stack, host = _stack(props), _living(props)
            machine = lifecycle.observe(stack, host)
            if machine:
                engine.note(stack, host, machine, report=_report)
                return dynamic.ReadResult(id_, _outputs(props, host))
            why = lifecycle.forget(stack, host)
            _report(f"{host.name}: gone ({host.label}{f': {why}' if why else ''})")
            return dynamic.ReadResult("", {})

    def diff(self, _id: str, olds: Properties, news: Properties) -> dynamic.DiffResult:
        """What the configuration asks of the host as it is: the other engine, or nobody, may have changed it since."""
        with _plain_errors():
            change = lifecycle.compare(_living(olds).spec, json.loads(news["spec"]))
            replaces = ["spec"] if change.kind == "replace" else []
            if replaces:
                keys = ", ".join(change.fixed)
                _report(
                    f"{news['name']}: {keys} cannot be changed on it: it is ended, with its disk and all that is on it"
                )
            if isinstance(news.get("machine"), Unknown):
                replaces.append("machine")
            same = change.kind == "none" and news.get("machine") == olds.get("machine")
            return dynamic.DiffResult(
                changes=bool(replaces) or not same or not _as_told(olds), replaces=replaces, delete_before_replace=True
            )


def configuration() -> config.StackConfig:
    """What this stack's file says under `gpurig:`, decrypted. Raises pulumi.RunError that lists every mistake.

    Hosts that an interrupted run left and that are no longer configured are ended here, but not in a preview.
    """
    try:
        stack = Stack(pulumi.get_project(), pulumi.get_stack(), project_root(), home())
        found = _checked(stack)
        accounts.put(found.secrets)
        if not pulumi.runtime.is_dry_run():
            budget.remember(stack, found.budget)
            left = {name: at for name, at in records.intents(stack).items() if name not in found.hosts}
            engine.end(stack, left, report=_report)
    except RigError as error:
        raise pulumi.RunError(str(error)) from None
    return found


def host(name: str, spec: HostSpec) -> HostResource:
    """The resource of one host, and of its machine where the program makes that. Raises pulumi.RunError that says why not."""
    if not spec.in_program:
        return HostResource(name, spec)
    stack = Stack(pulumi.get_project(), pulumi.get_stack(), project_root(), home())
    maker = import_module(f"{providers.REGISTRY[spec.provider]}.program")
    try:
        return HostResource(name, spec, maker.machine(stack, name, spec))
    except RigError as error:
        raise pulumi.RunError(f"{stack.file.name}: {NAMESPACE}:hosts.{name}: {error}") from None


def _checked(stack: Stack) -> config.StackConfig:
    prefix = f"{NAMESPACE}:"
    values = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    raw = {key.removeprefix(prefix): _data(value) for key, value in values.items() if key.startswith(prefix)}
    mistakes = []
    if raw.get("secrets") and not pulumi_config.is_config_secret(f"{prefix}secrets"):
        mistakes.append(
            f"{stack.file.name}: {prefix}secrets: not encrypted, so Pulumi would keep them readable in its state; set each "
            f"with `pulumi config set --secret --path {prefix}secrets.NAME`, or as an environment variable."
        )
    if pulumi_config.is_config_secret(f"{prefix}hosts"):
        mistakes.append(
            f"{stack.file.name}: {prefix}hosts: encrypted values are read only under {prefix}secrets; move them there."
        )
    try:
        found = config.parse(raw, stack.file.name)
    except ConfigError as error:
        mistakes.append(str(error))
    else:
        if not mistakes:
            return found
    raise ConfigError("\n".join(mistakes))


def _ensured(props: Properties) -> Properties:
    spec = json.loads(props["spec"])
    wanted = providers.spec_of(spec).model_validate(spec)
    return _outputs(props, lifecycle.ensure(_stack(props), props["name"], wanted, report=_report))


def _outputs(props: Properties, host: Host) -> Properties:
    kept: Properties = {key: props[key] for key in ("project", "stack", "name", "machine") if key in props}
    return {**kept, "spec": _text(dict(host.spec)), "record": _text(host.to_dict())}


def _living(props: Properties) -> Host:
    """The host as recorded on this machine, else as Pulumi's state has it."""
    return records.get(_stack(props), props["name"]) or Host.from_dict(json.loads(props["record"]))


def _as_told(props: Properties) -> bool:
    """Whether Pulumi's state still tells the truth: the host is as recorded here, whole, there, and running."""
    stack, told = _stack(props), Host.from_dict(json.loads(props["record"]))
    if records.get(stack, told.name) != told or told.name in records.intents(stack):
        return False
    machine = lifecycle.observe(stack, told)
    return machine is not None and machine.running


def _stack(props: Properties) -> Stack:
    """The stack of a resource, in the provider process: found anew, so that state can be shared between laptops."""
    return Stack(props["project"], props["stack"], project_root(), home())


def _end_with_engine() -> None:
    """End this process once nobody reads what it writes: an engine that was killed would leave it behind for good."""
    unread = select.poll()
    unread.register(1, 0)
    unread.poll()
    os._exit(1)


def _report(line: str) -> None:
    """Progress: Pulumi shows what this process writes."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Pulumi shows a provider's exception with its traceback; a RigError needs none, since its message says it all."""
    try:
        yield
    except RigError as error:
        sys.tracebacklimit = 0
        raise error from None
    except BaseException:
        sys.tracebacklimit = 1000
        raise


def _data(value: str) -> Any:
    """A configuration value, which Pulumi hands over as text: JSON where it is more than a string."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _text(data: dict[str, Any]) -> str:
    return json.dumps(data, sort_keys=True)
