"""The file .wslconfig: read, checked and edited as WSL has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurig.windows import configfile, wslconfig
from gpurig.windows.wslkeys import keys, known, meaning

GIB = 2**30

BY_HAND = """\
# My settings. Do not touch!
[wsl2]
  Memory = 20GB   # enough for the game
processors=8
swapFile="D:\\\\my swap # 1.vhdx"

; this is no comment
[experimental]
NetworkingMode=mirrored
autoMemoryReclaim = gradual
"""


def lint(text: str) -> list[tuple[int, str, bool]]:
    found = wslconfig.lint(text, windows_build=26100, wsl_version="2.6.3.0", memory=64 * GIB, processors=24)
    return [(problem.line, problem.key, problem.harmful) for problem in found]


def told(text: str, **changed: object) -> str:
    computer = {"windows_build": 26100, "wsl_version": "2.6.3.0", "memory": 64 * GIB, "processors": 24, **changed}
    return "\n".join(problem.text for problem in wslconfig.lint(text, **computer))  # type: ignore[arg-type]  # one of them


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[wsl2]\nmemory=8GB\n", {"wsl2.memory": "8GB"}),
        ("[WSL2]\nMEMORY=8GB", {"wsl2.memory": "8GB"}),
        ("[wsl2]\r\nmemory = 8GB \t # c\r\nswap=0", {"wsl2.memory": "8GB", "wsl2.swap": "0"}),
        ("\ufeff[wsl2]\nswap=0", {"wsl2.swap": "0"}),
        ("[wsl2]\nmemory=1GB\nMemory=2GB", {"wsl2.memory": "1GB"}),
        ("[experimental]\nfirewall=false\n[wsl2]\nfirewall=true", {"wsl2.firewall": "false"}),
        ('[wsl2]\nkernelCommandLine="a # b" # c', {"wsl2.kernelCommandLine": "a # b"}),
        ('[wsl2]\nkernelCommandLine="  a  "  ', {"wsl2.kernelCommandLine": "  a  "}),
        ('[wsl2]\nkernelCommandLine=say \\"a\\"', {"wsl2.kernelCommandLine": 'say "a"'}),
        ("[wsl2]\nkernel=C:\\\\k\nswap=0", {"wsl2.kernel": "C:\\k", "wsl2.swap": "0"}),
        ("[wsl2]\nkernel=C:\\temp\nswap=0", {"wsl2.kernel": "C:\temp", "wsl2.swap": "0"}),
        ("[wsl2]\nkernel=C:\\Users\nswap=0", {"wsl2.swap": "0"}),
        ("[wsl2]\nkernelCommandLine=a \\\r\n b", {"wsl2.kernelCommandLine": "a  b"}),
        ('[wsl2]\nmemory="8GB\nswap=0', {"wsl2.swap": "0"}),
        ("[wsl2]\n; memory=8GB\nswap=0", {"wsl2.swap": "0"}),
        ("[wsl2]\nmem_ory=8GB\n2=3\nswap 0\nswap=0", {"wsl2.swap": "0"}),
        ("[wsl2] here\nmemory=8GB", {"memory": "8GB"}),
        ("[wsl2]\n[general two]\nswap=0", {"gene.swap": "0"}),
        ("[wsl2]\n[2]\nswap=0", {"wsl2.swap": "0"}),
        ("memory=8GB\n[wsl2]\nswap=0\x1a\nprocessors=2", {"memory": "8GB", "wsl2.swap": "0"}),
        ("[wsl2]\nmemory=", {"wsl2.memory": ""}),
        ("", {}),
    ],
)
def test_a_file_is_read_as_wsl_reads_it(text: str, found: dict[str, str]) -> None:
    assert wslconfig.parse(text) == found


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("wsl2.memory", "24GB", 24 * GIB),
        ("wsl2.memory", "24G", 24 * GIB),
        ("wsl2.memory", "512MB", 512 * 2**20),
        ("wsl2.memory", "1048576", 2**20),
        ("wsl2.memory", "7B", 7),
        ("wsl2.swap", "0", 0),
        ("wsl2.swap", "0GB", 0),
        ("wsl2.swap", "00", None),
        ("wsl2.memory", "24 GB", None),
        ("wsl2.memory", "24gb", None),
        ("wsl2.memory", "24Gb", None),
        ("wsl2.memory", "24GiB", None),
        ("wsl2.memory", "50%", None),
        ("wsl2.memory", "1.5GB", None),
        ("wsl2.memory", "", None),
        ("wsl2.firewall", "TRUE", True),
        ("wsl2.firewall", "0", False),
        ("wsl2.firewall", "yes", None),
        ("wsl2.firewall", "on", None),
        ("wsl2.processors", "0x10", 16),
        ("wsl2.processors", "010", 8),
        ("wsl2.processors", "08", None),
        ("wsl2.vmIdleTimeout", "-1", -1),
        ("wsl2.vmIdleTimeout", "99999999999", None),
        ("wsl2.vmIdleTimeout", "1s", None),
        ("wsl2.networkingMode", "Mirrored", "mirrored"),
        ("wsl2.networkingMode", "auto", None),
        ("wsl2.macAddress", "00-11-22-33-44-55", "00-11-22-33-44-55"),
        ("wsl2.macAddress", "00-11:22-33-44-55", None),
        ("experimental.dnsTunnelingIpAddress", "10.255.255.254", "10.255.255.254"),
        ("experimental.dnsTunnelingIpAddress", "10.255.255", None),
        ("experimental.ignoredPorts", "80,443", "80,443"),
        ("experimental.ignoredPorts", "80-443", None),
    ],
)
def test_a_value_means_what_wsl_makes_of_it(name: str, value: str, meant: object) -> None:
    assert meaning(name, value) == meant


def test_every_key_of_the_table_is_found_in_any_case() -> None:
    assert all(known(name.upper()) == name for name in keys())
    assert known("experimental.networkingmode") == "wsl2.networkingMode"
    assert len(keys()) > 50


def test_what_is_written_by_hand_is_judged_line_by_line() -> None:
    assert lint(BY_HAND) == [(7, "; this is no comment", False), (10, "experimental.autoMemoryReclaim", False)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[experimental]\nsparseVhd=true", "can lose data"),
        ("[wsl2]\nkernelCommandLine=quiet NVIDIA-drm.modeset=1", "/dev/dxg"),
        ("[wsl2]\ngpuSupport=false", "takes the GPU away"),
        ("[wsl2]\nsafeMode=1", "takes GPU"),
    ],
)
def test_harm_is_told_with_its_reason(line: str, words: str) -> None:
    assert [harmful for *_, harmful in lint(line)] == [True]
    assert words in told(line)


@pytest.mark.parametrize(
    "line", ["[experimental]\nsparseVhd=false", "[wsl2]\ngpuSupport=true\nkernelCommandLine=cgroup_no_v1=all"]
)
def test_the_same_keys_do_no_harm_with_other_values(line: str) -> None:
    assert lint(line) == []


@pytest.mark.parametrize(
    ("text", "changed", "words"),
    [
        ("[wsl2]\nmemory=24gb", {}, "in capitals and without a blank"),
        ("[wsl2]\nmemory=128GB", {}, "is more than the PC has, 64.0 GB"),
        ("[wsl2]\nprocessors=32", {}, "is more than the PC has, 24"),
        ("[wsl2]\npageReporting=true", {}, "WSL does not know it"),
        ("[wsl2]\nmemroy=8GB", {}, "is memory in [wsl2] meant?"),
        ("[wsl2]\nsparseVhd=false", {}, "is sparseVhd in [experimental] meant?"),
        ("memory=8GB", {}, "above every [section]"),
        ("[wsl2]\nswap=0\nswap=1GB", {}, "line 2 has it already"),
        ("[wsl2]\nkernel=C:\\Users\\me", {}, "a backslash must be doubled"),
        ("[wsl2]\nnetworkingMode=mirrored", {"windows_build": 19045}, "needs Windows 11 22H2"),
        ("[wsl2]\nnetworkingMode=mirrored\nlocalhostForwarding=true", {}, "no effect with networkingMode=mirrored"),
        ("[general]\ninstanceIdleTimeout=-1", {"wsl_version": "2.4.13.0"}, "before WSL 2.5.8"),
        ("[wsl2]\nnetworkingMode=consomme", {}, "before WSL 2.9"),
        ("[wsl2]\nkernel=x", {"policy": {"AllowKernelUserSetting": 0}}, "group policy (AllowKernelUserSetting)"),
        ("[wsl2]\nswapFile=D:\\\\Größe", {}, "beyond ASCII"),
    ],
)
def test_what_has_no_effect_is_told(text: str, changed: dict[str, object], words: str) -> None:
    assert words in told(text, **changed)


def test_the_users_own_is_kept_byte_for_byte() -> None:
    wanted = {
        "wsl2": {"memory": "48GB", "processors": "0x8", "networkingMode": "nat", "swap": "12GB"},
        "general": {"instanceIdleTimeout": "-1"},
        "experimental": {"autoMemoryReclaim": "dropCache"},
    }
    text = BY_HAND.replace("\n", "\r\n")
    expected = (
        BY_HAND.replace("20GB", "48GB")
        .replace("mirrored", "nat")
        .replace("gradual", "dropCache")
        .replace('1.vhdx"\n', '1.vhdx"\nswap=12GB\n')
    )
    expected += "\n[general]\ninstanceIdleTimeout=-1\n"
    assert wslconfig.edit(text, wanted) == expected.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[wsl2]\r\nswap=0\r\n"),
        ("\ufeff", "\ufeff[wsl2]\r\nswap=0\r\n"),
        ("[wsl2]", "[wsl2]\r\nswap=0\r\n"),
        ("[wsl2]\n", "[wsl2]\nswap=0\n"),
        ("[wsl2]\nswap=8GB\nswap=4GB\n", "[wsl2]\nswap=0\nswap=4GB\n"),
        ("[wsl2]\nswap=0GB # none\n", "[wsl2]\nswap=0GB # none\n"),
        ('[wsl2]\nswap="8GB"# some', "[wsl2]\nswap=0# some"),
        ("[wsl2]\nswap=\nmemory=1GB", "[wsl2]\nswap=0\nmemory=1GB"),
        ("[wsl2]\r\nswap=\r\nmemory=1GB", "[wsl2]\r\nswap=0\r\nmemory=1GB"),
        ("[wsl2]\nswap=8\\\nGB\nmemory=1GB", "[wsl2]\nswap=0\nmemory=1GB"),
        ('[wsl2]\nswap="8GB\n', '[wsl2]\nswap=0\nswap="8GB\n'),
        ("[wsl2]\nmemory=1GB\n\n[general]\n", "[wsl2]\nmemory=1GB\nswap=0\n\n[general]\n"),
        ("[wsl2] here\nswap=8GB\n", "[wsl2] here\nswap=8GB\n\n[wsl2]\nswap=0\n"),
        ("[a]\nb=1\x1afoo", "[a]\nb=1\n\n[wsl2]\nswap=0\n\x1afoo"),
        ("[a]\nb=1\\", "[wsl2]\nswap=0\n\n[a]\nb=1\\"),
    ],
)
def test_a_value_goes_where_it_counts(before: str, after: str) -> None:
    assert wslconfig.edit(before, {"wsl2": {"swap": "0"}}) == after


NAMES = st.sampled_from([*keys(), "wsl2.foo", "other.bar", "experimental.firewall", "experimental.networkingMode"])
VALUES = st.one_of(
    st.sampled_from(["", "true", "0", "8GB", '"a # b"', "C:\\\\x", "C:\\x", '"', "a \\\r\n b", "x\\", "mirrored"]),
    st.text(alphabet=' ab1#"\\\t;=[]ü', max_size=8),
)
LINES = st.one_of(
    st.builds(
        lambda name, value, gap: f"{name.partition('.')[2]}{gap}={gap}{value}",
        NAMES,
        VALUES,
        st.sampled_from(["", " "]),
    ),
    st.sampled_from(
        ["[wsl2]", "[WSL2] # c", "[general]", "[experimental]", "[wsl2] x", "[bad one]", "[", "# comment", "; no", ""]
    ),
    st.text(alphabet=' ab1#"\\\t;=[]ü', max_size=8),
)
TEXTS = st.builds(
    lambda lines, end, last, mark: mark + end.join(lines) + (end if last else ""),
    st.lists(LINES, max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from(["", "\ufeff"]),
)
WANTED = st.dictionaries(
    st.sampled_from(sorted(keys())), st.text(alphabet=' ab1#"\\\t\nGB', min_size=1, max_size=6), min_size=1, max_size=4
)


def nested(flat: dict[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        found.setdefault(section, {})[key] = value
    return found


@given(TEXTS, WANTED)
def test_an_edited_file_has_what_is_wanted_and_all_else_as_before(text: str, flat: dict[str, str]) -> None:
    edited = wslconfig.edit(text, nested(flat))
    found = wslconfig.parse(edited)
    for name, value in flat.items():
        assert found[name] == value or meaning(name, found[name]) == meaning(name, value) is not None
    assert wslconfig.edit(edited, nested(flat)) == edited
    before = wslconfig.parse(text)
    assert {k: v for k, v in found.items() if k not in flat and known(k)} == {
        k: v for k, v in before.items() if k not in flat and known(k)
    }
    kept = [fault.text for fault in configfile.read(text, windows=True).faults if not fault.text.endswith("\\")]
    assert [f for f in kept if f not in [fault.text for fault in configfile.read(edited, windows=True).faults]] == []


@given(TEXTS)
def test_nothing_is_changed_where_all_is_as_wanted(text: str) -> None:
    found = {name: value for name, value in wslconfig.parse(text).items() if name in keys() and "\0" not in value}
    assert wslconfig.edit(text, nested(found)) == text
