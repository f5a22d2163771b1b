"""`rig status`: what is recorded, quickly; nothing is asked over the network unless told to."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpurig import gate, records
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import reading_records, stack_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from gpurig.host import Host
    from gpurig.ledger import Rental
    from gpurig.stack import Stack


@command(help={"check": "Also log in to every host, side by side."})
def status(c: Context, check: bool = False) -> None:
    """Hosts, environments, services and runs, from what is recorded here; of rented ones what they cost in an hour now."""
    stack = stack_of(c)
    interrupted = records.intents(stack)
    with reading_records():
        recorded = list(records.load(stack).values())
    rentals = _rentals(stack)
    hosts = [_facts(stack, host, rentals, interrupted=host.name in interrupted) for host in recorded]
    hosts += [
        {"name": name, "state": "interrupted", "provider": ", ".join(at)}
        for name, at in interrupted.items()
        if name not in {host.name for host in recorded}
    ]
    hosts += [
        {"name": rental.host, "state": "no record", "provider": rental.provider}
        for rental in {rental.host: rental for rental in rentals}.values()
        if rental.host not in {host["name"] for host in hosts}
    ]
    for facts in hosts:
        facts.update(_billing(facts, recorded, rentals))
    if check:
        for facts, problem in zip(hosts, _problems(stack, recorded), strict=False):
            facts.update({"state": "answers"} if problem is None else {"state": "no answer", "problem": problem})
    if interrupted:
        console.say(
            f"Warning: `rig up` was interrupted; a machine may exist for {', '.join(interrupted)}. "
            "`rig up` finds it and goes on, `rig down` ends it."
        )
    data = {"project": stack.project, "stack": stack.name, "interrupted": sorted(interrupted), "hosts": hosts}
    console.show(c, data, _text(stack, hosts))


def _rentals(stack: Stack) -> list[Rental]:
    """What the ledger has open of this stack; nothing where there is none or it cannot be read, which is told already."""
    if not (stack.home / "ledger.sqlite").exists():
        return []
    from gpurig.errors import RigError
    from gpurig.ledger import Ledger

    with suppress(RigError):
        return [r for r in Ledger(stack.home).open_rentals() if (r.project, r.stack) == (stack.project, stack.name)]
    return []


def _billing(facts: dict[str, Any], recorded: Sequence[Host], rentals: Sequence[Rental]) -> dict[str, str]:
    """USD per hour that a host costs now, as text, and that it is stopped. Of several machines, the newest tells."""
    own = {host.name: host.id for host in recorded}.get(facts["name"])
    of_host = [r for r in rentals if r.host == facts["name"] and own in (None, r.machine)]
    if not of_host:
        return {}
    rental = of_host[-1]
    stopped = rental.state == "stopped"
    price = rental.price_stopped if stopped and rental.price_stopped is not None else rental.price
    return {"hourly": f"{price:f}", **({"state": "stopped"} if stopped and facts["state"] == "up" else {})}


def _facts(stack: Stack, host: Host, rentals: Sequence[Rental], *, interrupted: bool) -> dict[str, Any]:
    runs = _runs(stack, host)
    return {
        "name": host.name,
        "state": "interrupted" if interrupted else "up",
        "provider": host.provider,
        "address": host.endpoint.address,
        "port": host.endpoint.port,
        "user": host.endpoint.user,
        "environments": list(host.environments),
        "services": list(host.services),
        "verified": _verdict(stack, host, rentals),
        "runs_going_on": [run["id"] for run in runs if run["state"] == "running"],
        "results_not_here": [run["id"] for run in runs if run["results"] is None and run["state"] != "running"],
    }


def _runs(stack: Stack, host: Host) -> list[dict[str, Any]]:
    """The host's runs as noted here; read plainly, since the classes for them cost more than the reading."""
    files = sorted(gate.runs_dir(stack, host.name).glob("*/run.json"))
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return [run for run in runs if run["label"] == host.label and run["results"] != "discarded"]


def _verdict(stack: Stack, host: Host, rentals: Sequence[Rental]) -> str | None:
    """What the last verification of this very machine found; nothing where a stop has wiped it since."""
    keeps = host.capabilities.stop_keeps == "all"
    starts = [at for r in rentals if r.machine == host.id for at, kind in r.times if kind == "started" and not keeps]
    with suppress(OSError, ValueError):
        report = json.loads((stack.dir / "reports" / host.work()[0] / "latest.json").read_text(encoding="utf-8"))
        of_it = report.get("label") == host.label
        if of_it and all(datetime.fromisoformat(report["started"]) > at for at in starts):
            return str(report["verdict"])
    return None


def _problems(stack: Stack, hosts: Sequence[Host]) -> list[str | None]:
    """For each host why it cannot be logged in to, or None."""
    from concurrent.futures import ThreadPoolExecutor

    from gpurig import access, reach
    from gpurig.errors import RigError

    def problem(host: Host) -> str | None:
        try:
            for name, _, _ in host.machines():
                reach.check(stack, host, name, access.config_file(stack))
        except RigError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(max_workers=64) as pool:
        return list(pool.map(problem, hosts))


def _text(stack: Stack, hosts: Sequence[dict[str, Any]]) -> str:
    if not hosts:
        return f"Stack {stack.name} has no hosts; `rig up` stands them up."
    rented = any("hourly" in host for host in hosts)
    heads = ["HOST", "STATE", "VERIFIED", "PROVIDER", "SSH", "ENVIRONMENTS", "SERVICES", "RUNS"]
    rows = [[*heads, "$/H"] if rented else heads]
    for host in hosts:
        rows += [
            [
                host["name"],
                host["state"],
                host.get("verified") or "-",
                host["provider"],
                f"{host['user']}@{host['address']}:{host['port']}" if "address" in host else "-",
                ", ".join(host.get("environments", ())) or "-",
                ", ".join(host.get("services", ())) or "-",
                _runs_text(host),
                *([f"{float(host['hourly']):.3f}" if "hourly" in host else "-"] if rented else []),
            ]
        ]
    problems = [host["problem"] for host in hosts if "problem" in host]
    return "\n".join([console.table(rows), *problems])


def _runs_text(host: dict[str, Any]) -> str:
    going, waiting = len(host.get("runs_going_on", ())), len(host.get("results_not_here", ()))
    parts = [f"{going} going on"] if going else []
    parts += [f"{waiting} not brought back"] if waiting else []
    return ", ".join(parts) or "-"
