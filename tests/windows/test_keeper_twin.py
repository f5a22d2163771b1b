"""keeper.ps1 and its twin in the model say the same, end the same and know the same places."""

from __future__ import annotations

import re
from pathlib import Path

from gpurig.windows import wire
from gpurig.windows.topics.keeper import SCRIPT, SETTINGS
from tests.windows import calls, powershell
from tests.windows.model import keeper, netsh

TEXT = wire.script("keeper")

TWIN = Path(keeper.__file__).read_text(encoding="utf-8")


def test_both_write_the_same_into_the_log() -> None:
    written = set(re.findall(r"Write-Line '(\w+)'", TEXT))
    assert written == set(re.findall(r'_log\(machine, "(\w+)"', TWIN))


def test_both_end_with_the_same_codes() -> None:
    codes = {keeper.FAILED, keeper.NO_WSL, keeper.NO_START, keeper.AS_SYSTEM, 0}
    assert set(map(int, re.findall(r"exit (\d+)", TEXT))) == codes


def test_both_know_the_same_places() -> None:
    for name in (keeper.LOG, keeper.PAUSE, keeper.LOCK, SETTINGS, SCRIPT):
        assert f"'{name.rpartition(chr(92))[2]}'" in TEXT
    assert keeper.OURS in TEXT
    assert netsh.KEY.format("v4tov4") in TEXT


def test_whatever_goes_wrong_at_work_is_logged() -> None:
    tree = powershell.PARSER.parse(TEXT.encode()).root_node
    tried = [
        node
        for node in powershell.all_of(tree, "try_statement")
        if "Write-Line 'failed'" in (node.text or b"").decode()
    ]
    inside = "\n".join((node.text or b"").decode() for node in tried)
    for call in calls.calls(TEXT):
        assert call.function or call.name == "write-line" or call.text in inside, call


def test_nobody_else_can_take_the_keepers_place() -> None:
    assert not re.search(r"Global\\|Threading\.(Mutex|Semaphore|EventWaitHandle)", TEXT)
    lock = "[IO.File]::Open((Join-Path $folder 'keeper.lock'), 'OpenOrCreate', 'ReadWrite', 'None')"
    assert lock in {call.text for call in calls.calls(TEXT)}


def test_both_put_a_long_log_aside() -> None:
    assert f".Length -gt {keeper.LONGEST_LOG})" in TEXT
    assert 'Move-Item -LiteralPath $log -Destination "$log.1" -Force' in {call.text for call in calls.calls(TEXT)}
    assert '"$log.1"' in wire.script("collect/keeper")
