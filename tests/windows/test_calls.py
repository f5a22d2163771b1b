"""Scripts do and answer what their twins stand for: what stands in model/calls, and never what no script may do."""

from __future__ import annotations

import re

import pytest

from gpurig.windows import at_the_pc, wire
from gpurig.windows.state import SECTIONS
from tests.windows import calls
from tests.windows.model.at_the_pc import TEXTS

SCRIPTS = calls.names()

COLLECTS = [name for name in SCRIPTS if name.startswith("collect/")]

READ_ONLY = frozenset({"invoke-native", "getresponse", "close"})
"""All that a collector may call beside its own functions: programs (their arguments are in the table), and a HEAD request."""

FORBIDDEN = {
    r"--unregister\b": ("apply/distribution_unregister",),
    r"--terminate\b": ("apply/wsl_terminate", "apply/distribution_move"),
    r"--shutdown\b": ("apply/wsl_shutdown", "apply/disk_compact", "doctor"),
    r"--(import|import-in-place|mount|update|uninstall)\b": (),
    r"'reset'|\breset\b": ("bootstrap",),  # of icacls, for the one file or folder that is then closed
    r"'delete'": ("apply/portproxy_delete",),
    r"disable-feature|/remove-package|/deletevalue": (),
    r"-Recurse\b": ("apply/logon_right_grant",),  # its own folder of two files
    r"\b(Remove|Unregister)-(?!Item\b|NetFirewallRule\b|NetFirewallHyperVRule\b|ScheduledTask\b)\w+": ("bootstrap",),
    r"Remove-NetFirewall\w*Rule\b": ("apply/firewall_remove", "apply/hyperv_remove", "bootstrap"),
    r"DefaultInboundAction": ("collect/network",),
    r"\bSet-NetFirewall(Hyper\w+)?(Profile|Setting|VMSetting)\b": (),
    r"winnat": ("collect/features",),
    r"\b(Stop|Restart)-Computer\b|\bshutdown\.exe\b": (),
    r"\b(Format|Clear|Initialize)-(Disk|Volume)\b|\bclean\b|\bFormat-Volume\b": (),
    r"\b(Invoke-Expression|iex|Set-ExecutionPolicy|Set-MpPreference|Add-MpPreference)\b": (),
    r"NetFirewallRule -All\b|-(RemoteAddress|Remote|LocalPort)\s+'?(Any|\*)": (),
    r"S-1-1-0\b|S-1-5-(7|11)\b|/inheritance:e": (),  # everybody, nobody by name, whoever is logged on; what the folder above gives
    r"System32\\wsl\.exe": ("collect/wsl",),  # whether the stub is there
}
"""What would harm a PC → the scripts that may have it."""

CHANGED = [
    ("keeper", "'portproxy', 'set'", "'portproxy', 'reset'"),
    ("keeper", '"connectaddress=$address"', '"connectaddress=$at"'),
    ("keeper", "$at, $port = $listen", "$port, $at = $listen"),
    ("keeper", "'sleep', 'infinity'", "'sleep', '1'"),
    ("apply/portproxy_set", "'portproxy', 'set'", "'portproxy', 'reset'"),
    ("apply/distribution_export", "'--export'", "'--unregister'"),
    ("apply/distribution_export", "'--export', $Name, $partial", "'--export', $Name, $Path"),
    ("apply/feature_enable", "'/enable-feature'", "'/disable-feature'"),
    ("apply/feature_enable", "'/norestart', ", ""),
    ("apply/task_remove", "TaskName = $Name", "TaskName = '*' + $Name"),
    ("apply/service_set", "Stop-Service", "Remove-Service"),
    ("apply/firewall_set", "$group = 'gpurig'", "$group = 'Core Networking'"),
    ("apply/file_remove", "Remove-Item -LiteralPath $Path", "Remove-Item -Path $Path -Recurse"),
    ("apply/file_write", "[IO.File]::Replace($new, $Path", "[IO.File]::Replace($Path, $new"),
    ("apply/distribution_unregister", "-ne $Name", "-eq $Name"),
    ("apply/distribution_unregister", "Lxss\\$Guid", "Lxss"),
    ("apply/service_set", "if ($Running)", "if (-not $Running)"),
    ("apply/disk_compact", "[Text.Encoding]::ASCII", "[Text.Encoding]::Unicode"),
    ("apply/logon_right_grant", "-notin @(0, 3)", "-ne 0"),
    ("apply/task_start", ".State -ne 4", ".State -eq 4"),
    ("library", "Set-Acl -LiteralPath $path", "Set-Acl -LiteralPath $env:ProgramData"),
    ("collect/rdp", "$edition = ", "Stop-Service TermService\n$edition = "),
    ("collect/gpu", "$smi = $null", "$smi = $null\n& $env:ComSpec /c del x"),
    ("bootstrap", "-RemoteAddress $allowed", "-RemoteAddress Any"),
    ("bootstrap", "-LocalPort $port -RemoteAddress", "-RemoteAddress"),
    ("bootstrap", "'*S-1-5-18:F', '*S-1-5-32-544:F'", "'*S-1-5-18:F', '*S-1-5-32-544:F', '*S-1-1-0:F'"),
    ("bootstrap", "'/inheritance:r'", "'/inheritance:e'"),
    ("bootstrap", "-and $who -eq", "-or $who -eq"),
    ("bootstrap", "-ne $sum", "-eq $sum"),
    ("bootstrap", "Disable-NetFirewallRule -Name $wide", "Disable-NetFirewallRule -All"),
    ("bootstrap", "-StartupType Automatic", "-StartupType Manual"),
    ("bootstrap", "if (-not (New-Object Security.Principal", "if ((New-Object Security.Principal"),
    ("bootstrap", "-notcontains $sid", "-contains $sid"),
    ("bootstrap", "Remove-Item -LiteralPath $noted,", "Remove-Item $ssh -Recurse; Remove-Item -LiteralPath $noted,"),
    ("bootstrap", "Set-Text $admins (((@($there)", "Set-Text $config (((@($there)"),
    ("bootstrap", ".TrimEnd('=')", ""),
    ("bootstrap", "if (-not $PSCmdlet.ShouldProcess", "if ($PSCmdlet.ShouldProcess"),
    ("bootstrap", "'PasswordAuthentication no'", "'PasswordAuthentication yes'"),
    ("doctor", "--shutdown", "--unregister Ubuntu-24.04"),
    ("doctor", "-and -not $wsl.running.out", "-and $wsl.running.out"),
    ("collect/machine", "admin   = $principal", "admin   = -not $principal"),
    ("collect/network", "AllowInboundRules -eq 0", "AllowInboundRules -ne 0"),
    ("collect/network", "[int]$rule.Direction -eq 1", "[int]$rule.Direction -eq 2"),
    ("collect/power", "'HiberbootEnabled') -eq 1", "'HiberbootEnabled') -ne 1"),
    ("collect/wsl", "'Flags') -band 8", "'Flags') -band 4"),
    ("keeper", "AddHours(-6)", "AddHours(+6)"),
    ("library", "'$1$1\\\"'", "'$1\\\"'"),
]


def test_every_script_is_in_the_table() -> None:
    assert sorted(calls.golden()) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_does_and_answers_exactly_what_its_twin_stands_for(script: str) -> None:
    found, known = calls.told(calls.script(script)), calls.golden()[script]
    assert found == known, "change the twin alike, then write model/calls anew (how: calls.py)"


@pytest.mark.parametrize("script", COLLECTS)
def test_a_collector_changes_nothing(script: str) -> None:
    found = calls.calls(calls.script(script))
    own = {call.function.lower() for call in found}
    harmless = {call for call in found if call.text.endswith("-MethodName GetOwnerSid")}
    assert {call.name for call in set(found) - harmless} - own <= READ_ONLY


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_what_would_harm_a_pc_is_only_where_it_must_be(pattern: str) -> None:
    found = [name for name in SCRIPTS if re.search(pattern, calls.without_comments(calls.script(name)), re.IGNORECASE)]
    assert sorted(found) == sorted(FORBIDDEN[pattern])


@pytest.mark.parametrize(("script", "old", "new"), CHANGED)
def test_another_call_is_noticed(script: str, old: str, new: str) -> None:
    text = calls.script(script)
    assert text.count(old) == 1
    assert calls.told(text.replace(old, new)) != calls.golden()[script]


def test_what_comes_through_a_pipe_counts() -> None:
    found = calls.calls("Get-Item $a | Where-Object { $_.Length } | Remove-Item -Force")
    assert [call.text for call in found] == ["Get-Item $a | Where-Object { $_.Length } | Remove-Item -Force"]


def test_a_table_has_what_is_done_and_answered_and_what_that_depends_on() -> None:
    text = """
# Only words.
$idle = 1
$limit = 2 # of a condition
function Get-Size([string] $Path) {
    if (-not (Test-Path $Path)) { return 0 }
    throw "no words of $idle"
}
try {
    if ((Get-Size $at) -gt $limit) { $problem = 1 } else { Remove-Item $at `
        -Force }
} catch { $problem = $_ }
@{
    size = @(foreach ($one in $all) { Get-Size $one })
    # Why.
    more = -not $idle.Count
}
"""
    assert calls.told(text) == [
        "  $idle = 1",
        "  $limit = 2",
        "  function Get-Size([string] $Path)",
        "    if (-not (Test-Path $Path)) { return 0 }",
        "    throw",
        "  try { if ((Get-Size $at) -gt $limit) { } else { Remove-Item $at -Force } } catch { }",
        "  @{",
        "      size = @(foreach ($one in $all) { Get-Size $one })",
        "      more = -not $idle.Count",
        "  }",
    ]
    assert calls.told(text.replace("-not $idle.Count", "1")) == [
        line.replace("-not $idle.Count", "1") for line in calls.told(text)[1:]
    ]


def test_the_doctors_script_carries_the_others_as_they_are() -> None:
    held = dict(TEXTS.findall(at_the_pc.script("home", {section: {} for section in SECTIONS})))
    names = {"driver": "driver", "library": "library", **{name: f"collect/{name}" for name in SECTIONS}}
    assert held == {name: wire.script(script).rstrip("\n") for name, script in names.items()}
