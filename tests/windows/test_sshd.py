"""Section sshd: what is read of Windows' own sshd."""

from __future__ import annotations

import base64

from gpurig import keys
from tests.windows.model.fresh import fresh
from tests.windows.model.fresh_sshd import ADMIN_KEYS, HOST_KEY
from tests.windows.model.pc import Machine
from tests.windows.rounds import look


def test_after_the_bootstrap_keys_alone_get_in() -> None:
    found = look(Machine(fresh()), "sshd")["sshd"]
    assert (found["source"], (found["default_shell"] or "").rpartition("\\")[2]) == ("capability", "powershell.exe")
    config = base64.b64decode(found["config"] or "").decode()
    assert "PasswordAuthentication no" in config
    assert found["acl"] == {"owner": "S-1-5-32-544", "sids": ["S-1-5-18", "S-1-5-32-544"], "inherited": False}
    assert [keys.fingerprint(key)[:7] for key in found["host_keys"]] == ["SHA256:"]


def test_without_the_file_of_keys_there_is_none() -> None:
    machine = Machine(fresh())
    del machine.data["files"][ADMIN_KEYS]
    found = look(machine, "sshd")["sshd"]
    assert (found["admin_keys"], found["acl"]) == (None, None)


def test_rights_that_nobody_set_come_from_the_folder() -> None:
    machine = Machine(fresh())
    del machine.data["acls"][ADMIN_KEYS]
    acl = look(machine, "sshd")["sshd"]["acl"]
    assert acl is not None
    assert acl["inherited"]


def test_a_pc_without_sshd_says_so() -> None:
    machine = Machine(fresh())
    del machine.data["services"]["sshd"], machine.data["files"][HOST_KEY]
    found = look(machine, "sshd")["sshd"]
    assert (found["source"], found["version"], found["host_keys"]) == ("", "", [])
