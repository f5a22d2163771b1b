"""`rig services` and `rig top`: what runs on hosts, and how hard they work."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gpurig.errors import ConfigError, RigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import place_of, stack_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.context import Context

    from gpurig.host import Host
    from gpurig.remote import Place

LINES, TAIL = 20, 5
"""Lines of a log that was asked for, and of one that is shown since its service does not run."""

TOP = """PATH="$PATH:/usr/lib/wsl/lib"
if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
  if [ -t 1 ]; then
    for program in /opt/gpurig/environments/*/.venv/bin/nvitop; do
      if [ -x "$program" ]; then exec "$program"; fi
    done
    exec nvidia-smi --loop=2
  fi
  exec nvidia-smi
fi
if [ -t 1 ]; then exec top; fi
exec top -b -n 1
"""
"""The best view of a host's GPUs that it has; of its processes where it has none. One picture where there is no terminal."""


@command(
    "host",
    help={
        "host": "The host; default: all.",
        "log": "Show the end of this service's log.",
        "lines": f"How many lines of it. Default: {LINES}.",
    },
)
def services(c: Context, host: str = "", log: str = "", lines: int = 0) -> None:
    """What runs on hosts: state, memory, URL, how to open it, and the log of what does not run."""
    places = [place_of(c, host)] if host else _all(c)
    if log:
        _show_log(c, places, log, lines or LINES)
        return
    rows = [row for place, found in _looked(places, lines or TAIL) for row in _rows(place, found)]
    console.show(c, rows, _text(rows))


@command("host", help={"host": "The host; may be left out where there is only one."})
def top(c: Context, host: str = "") -> None:
    """Watch a host's GPUs: nvitop where an environment has it, else nvidia-smi; without a GPU, its processes."""
    place = place_of(c, host)
    place.reach()
    options = ["-t"] if os.isatty(0) and os.isatty(1) else []
    os.execvp("ssh", [*place.ssh(*options), TOP])  # noqa: S606 (ssh takes this process's place and its terminal)


def _all(c: Context) -> list[Place]:
    from gpurig import records
    from gpurig.remote import Place

    stack = stack_of(c)
    found = [Place(stack, host) for host in records.load(stack).values() if host.services]
    if not found:
        raise ConfigError(
            f"No host of stack {stack.name} runs services; {stack.file.name} lists them under `services`."
        )
    return found


def _looked(places: list[Place], lines: int) -> list[tuple[Place, dict[str, Any] | RigError]]:
    """What each host says, side by side; or why it says nothing, which is raised where only one was asked."""
    from concurrent.futures import ThreadPoolExecutor

    def look(place: Place) -> dict[str, Any] | RigError:
        try:
            return _ask(place, list(place.host.services), lines)
        except RigError as error:
            if len(places) == 1:
                raise
            return error

    with ThreadPoolExecutor(max_workers=min(64, len(places))) as pool:
        return list(zip(places, pool.map(look, places), strict=True))


def _ask(place: Place, names: list[str], lines: int) -> dict[str, Any]:
    from pathlib import Path

    from gpurig import far_services
    from gpurig import services as data

    program = Path(far_services.__file__).read_text(encoding="utf-8")
    machine = place.host.work()[2]
    root = ("sudo", "-n") if machine.privilege == "sudo" else ()
    asked = {"names": names, "lines": lines, "systemd": machine.init == "systemd"}
    said = place.run(*root, "python3", "-c", program, json.dumps(asked)).decode()
    for name in names:
        said = said.replace(data.token(place.stack.dir, place.alias, name), "<token>")
    found: dict[str, Any] = json.loads(said)
    return found


def _rows(place: Place, found: dict[str, Any] | RigError) -> list[dict[str, Any]]:
    from gpurig import services as data

    rows = []
    for name, service in data.of_host(place.host).items():
        state: dict[str, Any] = (
            {"state": "no answer", "problem": str(found)} if isinstance(found, RigError) else found[name]
        )
        rows.append(
            {
                "host": place.host.name,
                "service": name,
                "description": service.description,
                "port": service.port if service.listens else None,
                "url": f"http://127.0.0.1:{service.port}" if service.listens else None,
                "open": f"rig open {name} {place.host.name}",
                "experimental": service.experimental,
                **state,
                "exposed": None if isinstance(found, RigError) else exposed(place.host, name, state["exposed"]),
            }
        )
    return rows


def exposed(host: Host, name: str, seen: Mapping[str, Any] | None) -> str | None:
    """What a network reaches a service by, of what the host says of it; None where nothing is nor shall be."""
    wanted = host.spec.get("expose", {}).get(name)
    if not seen:
        return f"not up (wanted: from {wanted})" if wanted else None
    return f"http://{_address(host, seen)}:{seen['port']} from {seen['source']}"


def _address(host: Host, seen: Mapping[str, Any]) -> str:
    """By which address they reach it whom it lets in: its own one in their range, where it has one."""
    from ipaddress import ip_address, ip_network

    own = [ip_address(text) for text in seen["addresses"]]
    range_ = None if seen["source"] == "everywhere" else ip_network(seen["source"])
    inside = [address for address in own if range_ and address in range_]
    by_ssh = host.work()[1].address
    loopback = by_ssh in ("localhost", "::1") or by_ssh.startswith("127.")
    address = str(inside[0] if inside else own[0] if loopback and own else by_ssh)
    return f"[{address}]" if ":" in address else address


def _show_log(c: Context, places: list[Place], name: str, lines: int) -> None:
    having = [place for place in places if name in place.host.services]
    if len(having) != 1:
        known = "; ".join(f"{place.host.name}: {', '.join(place.host.services) or 'none'}" for place in places)
        raise ConfigError(f"Which host? {len(having)} of them run {name!r}. Services: {known}.")
    log = _ask(having[0], [name], lines)[name]["log"]
    console.show(c, {"host": having[0].host.name, "service": name, "log": log}, "\n".join(log))


def _text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "This host runs no services; its `services` in the stack's file lists them."
    table = [["HOST", "SERVICE", "STATE", "SINCE", "MEMORY", "URL ON THE HOST", "OPEN IT WITH", "EXPOSED"]]
    for row in rows:
        since, memory = row.get("since"), row.get("memory")
        table.append(
            [
                row["host"],
                row["service"] + (" (experimental)" if row["experimental"] else ""),
                row["state"],
                console.moment(datetime.fromtimestamp(since, UTC)) if since else "-",
                console.size(memory) if memory is not None else "-",
                row["url"] or "-",
                row["open"],
                row["exposed"] or "-",
            ]
        )
    tails = [
        f"\n{row['host']}, {row['service']}: {row['state']}. {row.get('problem') or 'The end of its log:'}\n"
        + "\n".join(row.get("log", ()))
        for row in rows
        if row["state"] != "running"
    ]
    return "\n".join([console.table(table), *(tail.rstrip() for tail in tails)])
