"""Why a PC answers nobody, as what was brought from it tells; and what the doctor says of its sshd when it does answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpurig.windows import chain, front, proof
from gpurig.windows.failures import Link
from tests.windows.model import at_the_pc, fresh_sshd
from tests.windows.model.fresh_sshd import ADMIN_KEYS, CONFIG, HOST_KEY
from tests.windows.model.healthy import healthy
from tests.windows.model.pc import Machine
from tests.windows.patient import Patient
from tests.windows.test_failures import look

Breaks = Callable[[Machine], object]

STRANGER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv somebody"

OPENSSH = "HKLM:\\SOFTWARE\\OpenSSH"


@pytest.fixture
def mute(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """A PC that answers nobody; the laptop is where the model has it."""
    patient.link, patient.silent = Link(ports={22: "silent"}), "no answer from 192.168.1.50:22"
    monkeypatch.setattr("gpurig.doctor.ports.source", lambda _: "192.168.1.20")
    return patient


def brought(patient: Patient, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and words of the doctor over what its script found at the PC."""
    patient.rig("doctor", "home")
    script = Path("doctor-home.ps1").read_bytes().decode()
    Path("doctor-home.json").write_text(json.dumps(at_the_pc.run(patient.machine, script)))
    capsys.readouterr()
    code = patient.rig("doctor", "home", "--from=doctor-home.json")
    return code, capsys.readouterr().out


def file(machine: Machine, path: str, text: str) -> None:
    machine.data["files"][path] = base64.b64encode(text.encode()).decode()


def config(old: str, new: str) -> Breaks:
    """Edit sshd_config."""

    def breaks(machine: Machine) -> None:
        text = base64.b64decode(machine.data["files"][CONFIG]).decode()
        assert old in text
        file(machine, CONFIG, text.replace(old, new))

    return breaks


def service(**state: str) -> Breaks:
    return lambda pc: pc.data["services"]["sshd"].update(state)


def addresses(*found: str) -> Breaks:
    return lambda pc: pc.data["network"]["interfaces"]["Ethernet"].update(addresses=list(found))


def rights(**acl: Any) -> Breaks:
    return lambda pc: pc.data["acls"][ADMIN_KEYS].update(acl)


def program(machine: Machine) -> None:
    machine.data["services"]["sshd"]["state"] = "running"
    machine.data["ssh_port"] = 2022
    other = {"address": "0.0.0.0", "port": 22, "process": "Bitvise", "service": ""}  # noqa: S104 (the model's)
    machine.data["network"]["programs"].append(other)


FACES: dict[str, tuple[Breaks, str]] = {
    "stopped": (service(state="stopped", start="manual"), "its service is stopped, and its start is manual"),
    "not installed": (lambda pc: pc.data["services"].pop("sshd"), "Windows has no OpenSSH server"),
    "key gone": (lambda pc: file(pc, ADMIN_KEYS, ""), "does not have the key that we log in with"),
    "key off": (lambda pc: file(pc, ADMIN_KEYS, f"{STRANGER}\r\n"), "does not have the key that we log in with"),
    "keys for others": (rights(sids=["S-1-5-18", "S-1-5-32-544", "S-1-5-11"]), "may be touched by others: S-1-5-11"),
    "keys of somebody": (rights(owner="S-1-5-21-1-2-3-1001"), "belongs to S-1-5-21-1-2-3-1001"),
    "keys not for SYSTEM": (rights(sids=["S-1-5-32-544"]), "may not be read by S-1-5-18"),
    "another port": (lambda pc: pc.data.update(ssh_port=2022), "it does not listen on port 22, but on 2022"),
    "port taken": (program, "Bitvise has port 22"),
    "no keys at all": (config("PubkeyAuthentication yes", "PubkeyAuthentication no"), "takes no keys"),
    "another key file": (config("administrators_authorized_keys", "keys"), "does not name administrators_auth"),
    "no way through": (config("# gpurig: end", "AllowTcpForwarding no"), "no way through it to the Linux inside"),
    "shell": (lambda pc: pc.registry(OPENSSH).update(DefaultShell="C:\\Windows\\System32\\bash.exe"), "bash.exe"),
    "no shell": (lambda pc: pc.registry(OPENSSH).pop("DefaultShell"), "its shell is cmd.exe"),
    "set up anew": (lambda pc: file(pc, HOST_KEY, STRANGER), "its host key is not the pinned one (SHA256:"),
    "no host key": (lambda pc: pc.data["files"].pop(HOST_KEY), "it has no host key of the pinned type"),
    "moved": (addresses("192.168.7.66/24"), "the PC has 192.168.7.66, and its entry says 192.168.1.50"),
    "unplugged": (lambda pc: pc.data["network"]["interfaces"].clear(), "the PC is in no network"),
    "a rule for others": (
        lambda pc: pc.data["firewall"]["rules"]["gpurig-ssh"].update(remote=["10.9.0.0/255.255.0.0"]),
        "lets in 10.9.0.0/255.255.0.0, not us (192.168.1.20)",
    ),
}
"""Why nobody gets in, and by what that is known."""


@pytest.mark.parametrize("face", FACES)
def test_why_a_pc_answers_nobody_is_known_from_what_it_says(
    face: str, mute: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks, says = FACES[face]
    breaks(mute.machine)
    code, told = brought(mute, capsys)
    assert says in told
    assert code == 1
    line = next(line for line in told.splitlines() if says in line)
    assert told.splitlines()[told.splitlines().index(line) + 1].startswith("      → ")
    assert "`--fix` does it" not in told  # nobody gets in to do it


def test_a_pc_that_is_well_is_so_from_its_desk_too(mute: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = brought(mute, capsys)
    assert code == 0
    assert "OK    reachable: the PC has 192.168.1.50, as its entry says" in told
    assert "OK    Windows sshd: it runs, and has port 22" in told
    assert "FAIL" not in told
    assert "WARN" not in told


def test_a_name_that_leads_nowhere_is_told(
    mute: Patient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpurig.doctor.ports.addresses", lambda _: ())
    assert "FAIL  reachable: the name 192.168.1.50 leads nowhere" in brought(mute, capsys)[1]


def test_a_new_host_key_is_told_with_what_takes_it_over(mute: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    file(mute.machine, HOST_KEY, STRANGER)
    told = brought(mute, capsys)[1]
    assert "rig register home --fingerprint SHA256:" in told


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (config("PasswordAuthentication no", "PasswordAuthentication yes"), "it takes passwords"),
        (config("PasswordAuthentication no\r\n", ""), "it takes passwords"),
        (
            config("Match Group administrators\r\n", "Match User a\r\n  PasswordAuthentication yes\r\n"),
            "takes passwords",
        ),
        (service(start="manual"), "after a restart of Windows it would not run"),
        (lambda pc: pc.registry(OPENSSH).pop("DefaultShell"), "its shell is cmd.exe"),
    ],
)
def test_what_is_wrong_with_an_sshd_that_lets_us_in_is_a_warning(breaks: Breaks, says: str) -> None:
    machine = healthy()
    breaks(machine)
    found = {one.what: one for one in chain.findings(look(machine))}["Windows sshd"]
    assert (found.level, says in found.found, bool(found.advice)) == ("WARN", True, True)


def test_of_two_settings_sshd_takes_the_first() -> None:
    own = base64.b64decode(fresh_sshd.SSHD["files"][CONFIG]).decode()

    def takes(text: str) -> bool:
        return front.takes_passwords({"config": base64.b64encode(text.encode()).decode()})

    assert not takes(own)
    assert takes(f"passwordauthentication=yes\r\n{own}")
    assert not takes(f"#PasswordAuthentication yes\r\n{own}")
    assert not front.takes_passwords({})


def test_verification_fails_where_windows_takes_passwords() -> None:
    def verdict(machine: Machine) -> str:
        case = look(machine)
        found = proof.judge(case.state, case.variables, gpu=True, toolkit="")
        return {one.name: one.verdict for one in found}["sshd in WSL"]

    machine = healthy()
    assert verdict(machine) == "PASS"
    config("PasswordAuthentication no", "PasswordAuthentication yes")(machine)
    assert verdict(machine) == "FAIL"
