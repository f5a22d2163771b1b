"""A host's addresses, from tables as kernels print them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from plugins.modules import gpurig_release as facts

ROUTES = """\
Main:
  +-- 0.0.0.0/1 2 0 2
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.88.0.0/20 2 0 2
        |-- 10.88.0.0
           /16 link UNICAST
        |-- 10.88.13.150
           /32 host LOCAL
        |-- 10.88.255.255
           /32 link BROADCAST
        |-- 100.64.0.1
           /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 169.254.7.7
        /32 host LOCAL
Local:
        |-- 10.88.13.150
           /32 host LOCAL
"""

ADDRESSES = """\
fe80000000000000181227fffe0b99e1 02 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
fd000001000000000000000000000007 02 40 00 80     eth0
"""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(facts, "ROUTES", tmp_path / "fib_trie")
    monkeypatch.setattr(facts, "ADDRESSES", tmp_path / "if_inet6")
    return tmp_path


def test_addresses_that_others_may_call_are_told_once_and_in_order(tables: Path) -> None:
    (tables / "fib_trie").write_text(ROUTES)
    (tables / "if_inet6").write_text(ADDRESSES)
    assert facts.ipv4() == ["10.88.13.150", "100.64.0.1"]
    assert facts.ipv6() == ["fd00:1::7"]


@pytest.mark.usefixtures("tables")
def test_a_kernel_without_such_tables_has_no_addresses_to_tell() -> None:
    assert (facts.ipv4(), facts.ipv6()) == ([], [])


def test_the_kernel_s_own_tables_say_what_ip_says() -> None:
    try:
        lines = subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout.splitlines()
    except FileNotFoundError:
        pytest.skip("this machine has no `ip`")
    seen = [line.split()[3].partition("/")[0] for line in lines]
    assert facts.ipv4() == sorted(one for one in seen if "." in one and not one.startswith(("127.", "169.254.")))
    assert facts.ipv6() == sorted(one for one in seen if ":" in one and not one.startswith(("fe80:", "::1")))
