"""A host's addresses, from a table as kernels print it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from plugins.modules import gpurig_release as facts

ADDRESSES = """\
fd00000200000000000000000000000a 02 40 00 80     eth0
fe80000000000000181227fffe0b99e1 02 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
fd000001000000000000000000000007 02 40 00 80     eth0
"""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(facts, "ADDRESSES", tmp_path / "if_inet6")
    return tmp_path


def test_addresses_that_others_may_call_are_told_in_order(tables: Path) -> None:
    (tables / "if_inet6").write_text(ADDRESSES)
    assert facts.ipv6() == ["fd00:1::7", "fd00:2::a"]


@pytest.mark.usefixtures("tables")
def test_a_kernel_without_such_a_table_has_no_addresses_to_tell() -> None:
    assert facts.ipv6() == []


def test_the_kernel_s_own_tables_say_what_ip_says() -> None:
    try:
        lines = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout.splitlines()
    except FileNotFoundError:
        pytest.skip("this machine has no `ip`")
    seen = [line.split()[3].partition("/")[0] for line in lines]
    assert facts.ipv6() == sorted(one for one in seen if ":" in one and not one.startswith(("fe80:", "::1")))
