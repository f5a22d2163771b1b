"""The embedded engine: the same life cycle as Pulumi's program, for machines without Pulumi's CLI.

It knows hosts only. Its state is the Host records that the life cycle writes for both engines, and the notes of
interrupted runs beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from gpurig import budget, entries, lifecycle, providers, records
from gpurig.config import StackConfig
from gpurig.errors import ConfigError, RigError, about
from gpurig.host import Host
from gpurig.ledger import Ledger, Rental
from gpurig.providers import Machine, Report
from gpurig.spec import HostSpec
from gpurig.stack import Stack, locked, remember

AT_ONCE = 16
"""Hosts that are worked on side by side."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one host. keys: the configuration keys that differ.

    `start` is for a machine that is there but does not run, as after a reboot.
    """

    host: str
    action: Literal["create", "update", "replace", "start", "end", "same"]
    provider: str
    keys: tuple[str, ...] = ()


def preview(stack: Stack, config: StackConfig) -> list[Step]:
    """What `up` would do: the configuration against the records, and the recorded machines as they are. Changes nothing."""
    recorded = records.load(stack)
    interrupted = records.intents(stack)
    steps = [
        _step(stack, name, spec, recorded.get(name), interrupted=name in interrupted)
        for name, spec in config.hosts.items()
    ]
    steps += [Step(name, "end", ", ".join(at)) for name, at in known(stack).items() if name not in config.hosts]
    return sorted(steps, key=lambda step: step.host)


def known(stack: Stack) -> dict[str, tuple[str, ...]]:
    """Hosts that have, or may have, a machine, with their providers: recorded, of interrupted runs, or in the ledger.

    A ledger that cannot be read tells nothing: every command has warned of it already, and it must keep nothing from ending.
    """
    found = {name: (host.provider,) for name, host in records.load(stack).items()} | records.intents(stack)
    rentals: list[Rental] = []
    with suppress(RigError):
        rentals = Ledger(stack.home).open_rentals()
    for rental in rentals:
        if (rental.project, rental.stack) == (stack.project, stack.name):
            found.setdefault(rental.host, (rental.provider,))
    return found


def up(stack: Stack, config: StackConfig, *, report: Report) -> list[Step]:
    """Bring every host to what the configuration says. Returns the steps; raises RigError listing the hosts that failed.

    Before anything changes, every host that is to be ended or replaced must pass the destroy gate.
    """
    possible(stack, config.hosts)
    with exclusive(stack):
        remember(stack)
        budget.remember(stack, config.budget)
        steps = preview(stack, config)
        pass_gate(stack, steps)
        _side_by_side([_action(stack, config, step, report) for step in steps if step.action != "same"])
        return steps


def refresh(stack: Stack, *, report: Report) -> list[str]:
    """Compare the records with what the providers list; forgets, and returns, the hosts that are gone."""
    with exclusive(stack):
        return forget_gone(stack, records.load(stack), report=report)


def down(stack: Stack, names: Iterable[str] | None, *, report: Report) -> list[str]:
    """End the named hosts, or all of the stack: recorded, interrupted, or only configured. Returns their names."""
    with exclusive(stack):
        chosen = choose(stack, known(stack), names)
        end(stack, chosen, report=report)
        return list(chosen)


def replace(stack: Stack, config: StackConfig, name: str, *, report: Report) -> None:
    """End one host, if it passes the destroy gate, and make it anew. Raises RigError."""
    with exclusive(stack):
        spec = configured(stack, config, name)
        possible(stack, {name: spec})
        end(stack, {host: at for host, at in known(stack).items() if host == name}, report=report)
        lifecycle.ensure(stack, name, spec, report=report)


def configured(stack: Stack, config: StackConfig, name: str) -> HostSpec:
    """The configuration of a host. Raises ConfigError where it has none."""
    if name not in config.hosts:
        raise ConfigError(f"No host {name!r} in {stack.file.name}. Hosts there: {', '.join(config.hosts) or 'none'}.")
    return config.hosts[name]


def choose(stack: Stack, hosts: Mapping[str, Sequence[str]], names: Iterable[str] | None) -> dict[str, Sequence[str]]:
    """The named ones of these hosts, or all. Raises ConfigError for a name that is not among them."""
    chosen = sorted(hosts if names is None else names)
    unknown = [name for name in chosen if name not in hosts]
    if unknown:
        raise ConfigError(
            f"No host {', '.join(unknown)} in stack {stack.name}. Hosts: {', '.join(sorted(hosts)) or 'none'}."
        )
    return {name: hosts[name] for name in chosen}


def forget_gone(stack: Stack, names: Iterable[str], *, report: Report) -> list[str]:
    """Drop the records of those of these hosts whose machines their providers no longer list; returns their names.

    Of the others, tells why one does not run, where its vendor says so.
    """
    gone = []
    for host in [host for name, host in records.load(stack).items() if name in set(names)]:
        machine = lifecycle.observe(stack, host)
        if machine:
            note(stack, host, machine, report=report)
        else:
            why = lifecycle.forget(stack, host)
            report(f"{host.name}: gone ({host.label}{f': {why}' if why else ''}); `rig up` makes it again")
            gone.append(host.name)
    return gone


def note(stack: Stack, host: Host, machine: Machine, *, report: Report) -> None:
    """Tell what its vendor says of a machine, and enter that the vendor stopped it, or let it go on: its price differs."""
    if machine.note:
        report(f"{host.name}: {machine.note}")
    if not providers.provider(host.provider).rents or records.worked_on(stack, host.name):
        return
    rental = entries.rental_of(stack, machine)
    if rental and machine.running and rental.state == "stopped":
        entries.enter(stack, rental.id, "started", report)
    elif rental and machine.note and not machine.running and rental.state not in ("stopped", "ending"):
        entries.enter(stack, rental.id, "stopped", report)


def end(stack: Stack, hosts: Mapping[str, Sequence[str]], *, report: Report) -> None:
    """End these hosts, given with their providers, if every one of them passes the destroy gate."""
    pass_gate(stack, [Step(name, "end", ", ".join(at)) for name, at in hosts.items()])
    _side_by_side([(name, _ender(stack, name, at, report)) for name, at in hosts.items()])


def pass_gate(stack: Stack, steps: Iterable[Step]) -> None:
    """Raise RigError that lists every host which these steps would end and whose results are not safe."""
    problems = []
    for step in steps:
        if step.action not in ("end", "replace"):
            continue
        try:
            lifecycle.may_end(stack, step.host)
        except RigError as error:
            problems.append(str(error))
    if problems:
        raise RigError("\n".join(problems))


@contextmanager
def exclusive(stack: Stack) -> Iterator[None]:
    """Held while an engine works on a stack. Raises ConfigError where another one does."""
    busy = f"Another `rig` is working on stack {stack.name}; wait for it, then run this again"
    with locked(stack.dir / "locks" / "engine", wait=False, busy=busy):
        yield


def possible(stack: Stack, hosts: Mapping[str, HostSpec]) -> None:
    """Raise ConfigError where a host's machine is one that only Pulumi's program makes."""
    impossible = [
        f"{stack.file.name}: gpurig:hosts.{name}: {spec.provider} needs Pulumi's CLI, whose program makes its machines; install "
        "it with `make setup-pulumi`, or leave this host out. Nothing was changed."
        for name, spec in hosts.items()
        if spec.in_program
    ]
    if impossible:
        raise ConfigError("\n".join(impossible))


def _step(stack: Stack, name: str, spec: HostSpec, recorded: Host | None, *, interrupted: bool) -> Step:
    machine = lifecycle.observe(stack, recorded) if recorded else None
    if recorded is None or machine is None:
        return Step(name, "create", ", ".join(spec.sources()))
    change = lifecycle.compare(recorded.spec, spec.normalised())
    if change.kind == "none" and interrupted:
        return Step(name, "update", recorded.provider)
    if change.kind == "none":
        return Step(name, "same" if machine.running else "start", recorded.provider)
    return Step(name, change.kind, ", ".join(spec.sources()), change.keys)


def _action(stack: Stack, config: StackConfig, step: Step, report: Report) -> tuple[str, Callable[[], object]]:
    if step.action == "end":
        return step.host, _ender(stack, step.host, (), report)
    spec = config.hosts[step.host]
    return step.host, lambda: lifecycle.ensure(stack, step.host, spec, report=report)


def _ender(stack: Stack, name: str, at: Sequence[str], report: Report) -> Callable[[], object]:
    return lambda: lifecycle.end(stack, name, at, report=report)


def _side_by_side(actions: list[tuple[str, Callable[[], object]]]) -> None:
    """Run actions at once; one that fails does not stop the others. Raises RigError with every failure."""
    if not actions:
        return
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(actions))) as pool:
        running = {name: pool.submit(action) for name, action in actions}
    failed = []
    for name, future in running.items():
        error = future.exception()
        if isinstance(error, RigError):
            failed.append(about(name, str(error)))
        elif error:
            raise error
    if failed:
        raise RigError("\n".join(failed))
