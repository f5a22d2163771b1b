"""What the doctor sees of a PC from the laptop: how its ports answer, how soon that is told, and by which connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import records
from gpurig.doctor import ports, windows
from gpurig.windows.failures import Case, Link
from tests.windows.patient import Patient


@contextmanager
def listening(banner: bytes) -> Iterator[socket.socket]:
    """What accepts one connection and says this, if anything."""
    with socket.create_server(("127.0.0.1", 0)) as found:

        def answer() -> None:
            with suppress(OSError), found.accept()[0] as link:
                link.sendall(banner)
                link.recv(1)  # until the other side has gone

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield found


def test_ports_are_open_or_refused(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with listening(b"SSH-2.0-OpenSSH_for_Windows_9.5\r\n") as sshd, socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
        closed.close()
        host = records.require(patient.stack, "home")
        endpoint = replace(host.endpoint, address="127.0.0.1", port=sshd.getsockname()[1])
        seen = ports.seen(replace(host, endpoint=endpoint), Case({}, {"win_network_ports": {free: "any"}}))
    assert (seen.ports, seen.source) == ({endpoint.port: "open", free: "refused"}, "127.0.0.1")


def test_our_own_address_is_known_though_nobody_answers() -> None:
    assert ports.source("127.0.0.1") == "127.0.0.1"
    assert ports.source("no.such.name.invalid") is None
    assert ports.addresses("127.0.0.1") == ("127.0.0.1",)
    assert ports.addresses("no.such.name.invalid") == ()


def test_a_frozen_pc_is_told_soon(patient: Patient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its network card takes connections, and nobody speaks."""
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    host = records.require(patient.stack, "home")
    with listening(b"") as frozen:
        port = frozen.getsockname()[1]
        endpoint = replace(host.endpoint, address="127.0.0.1", port=port)
        variables = {**host.variables, "win_network_ssh_port": port}
        began = time.monotonic()
        found = list(windows.examine(patient.stack, replace(host, endpoint=endpoint, variables=variables)))
    assert time.monotonic() - began < 10
    assert [(one.level, one.what) for one in found] == [("FAIL", "reachable"), ("WARN", "at the PC")]
    assert "its sshd says nothing: the PC sleeps, wakes up, or is frozen" in found[0].found


def test_each_step_is_told_as_soon_as_it_is_known(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    log_ins: list[str] = []
    answer = windows.Patient._guest

    def guest(one: windows.Patient, link: Link) -> Link:
        log_ins.append(one.host.name)
        return answer(one, link)

    monkeypatch.setattr(windows.Patient, "_guest", guest)
    seen = {
        one.what: (len(patient.rounds), len(log_ins))
        for one in windows.examine(patient.stack, records.require(patient.stack, "home"))
    }
    assert (seen["reachable"], seen["Windows sshd"], seen["firewall"]) == ((0, 0), (1, 0), (1, 0))
    assert seen["WSL sshd"] == seen["room"] == (1, 1)


def test_the_doctor_shares_no_connection(patient: Patient) -> None:
    options = windows.Patient(patient.stack, records.require(patient.stack, "home")).session.options
    assert {"ControlMaster=no", "ControlPath=none", "ConnectTimeout=5"} <= set(options)
