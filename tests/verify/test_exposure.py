"""Services that a network may reach are reached from where they may; those without a login are their user's alone."""

from __future__ import annotations

import json
import shlex
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from gpurig import exposure, probe, services
from gpurig.exposure import Exposed
from gpurig.services import Service
from gpurig.verification import Target

ROLE = "services"

OK = 200

EXPOSED = Path(__file__).parent / "probes" / "exposed.py"


def test_exposure(target: Target, host: Any, check: Any, fix: str) -> None:
    """Asked from the host's own addresses: those in the range are let in and served, by the address that they call; others are not."""
    exposed = exposure.of_host(target.services, target.host.variables.get("gpurig_expose", {}), target.host.variables)
    if not exposed:
        pytest.skip("this host exposes nothing")
    for name, one in exposed.items():
        command = f"python3 -I -c {shlex.quote(EXPOSED.read_text(encoding='utf-8'))} {one.port}"
        answers = {ip_address(text): said for text, said in json.loads(host.check_output(command)).items()}
        inside = {address: said for address, said in answers.items() if address in one.source}
        strangers = [str(address) for address, said in answers.items() if said and address not in inside]
        check(
            f"{name}: refuses others than {one.source}",
            not strangers,
            value=f"answers {', '.join(strangers)}" if strangers else "refuses them",
            expected=f"answers {one.source} alone",
            reason="Networks that were not named can reach it.",
            advice=fix,
        )
        if not inside:
            check.skip(
                f"{name}: answers {one.source}",
                "no address of this host is in that range, so it cannot be tried from here",
            )
            continue
        served = {address: _login(target, one, str(address)) for address in inside}
        check(
            f"{name}: answers {one.source}",
            all(answer.status == OK for answer in served.values()),
            value=", ".join(f"{address}: {answer}" for address, answer in served.items()),
            expected=f"HTTP {OK} with its token",
            reason="Whoever it was exposed to cannot use it.",
            advice=f"Read `rig services {target.host.name} --log {name}`. {fix}",
        )


def _login(target: Target, one: Exposed, address: str) -> probe.Answer:
    """What it says to whoever has its token and calls it by this address, as a program or, where it knows none, a browser does."""
    service, token = one.service, services.token(target.stack.dir, target.name, one.service.name)
    path = service.refuse if service.header else service.open.replace("{token}", token)
    headers = probe.shown(service.header, token)
    return probe.get(target.stack, target.name, one.port, path, headers, address=address)


def test_sockets(wanted: dict[str, Service], target: Target, host: Any, check: Any, fix: str) -> None:
    """Services without a login: their user alone can enter the folder of their socket, and they have their own network."""
    private = [name for name, service in wanted.items() if service.socket]
    if not private:
        pytest.skip("no service without a login is configured for this host")
    for name in private:
        folder = host.file(f"{services.SOCKETS}/{name}")
        there = folder.exists and host.file(f"{services.SOCKETS}/{name}/socket").exists
        check(
            f"{name}: for its user alone",
            there and folder.user == target.endpoint.user and folder.mode & 0o077 == 0,
            value=f"{folder.user}, {folder.mode:o}" if there else "no socket",
            expected=f"{target.endpoint.user}, 700",
            reason="It has no login: whoever enters that folder can use it." if there else "Nobody can reach it.",
            advice=fix,
        )
        said = host.run(f"cat {services.SOCKETS}/{name}/isolated").stdout.strip() or "unknown"
        check(
            f"{name}: network of its own",
            "PASS" if said == "yes" else "WARN",
            value=said,
            expected="yes",
            reason="Its ports are on loopback, where every user of this host reaches them and runs code as its user.",
            advice="Let nobody else log in to this host, or remove the service.",
        )
