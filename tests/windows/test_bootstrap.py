"""The script of `rig bootstrap`: what it is made of, as far as that can be said without Windows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import tree_sitter

from gpurig.windows import bootstrap
from tests.windows import powershell

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv gpurig"

CHANGING = re.compile(
    r"(Add|Remove|Set|New|Enable|Disable|Start|Stop|Restart|Move|Copy|Rename|Clear|Install|Uninstall|Register|Unregister|Invoke|Out)-\w+"
)
READS = {"New-Object", "Start-Sleep", "Out-Null"}
"""Commands that are called so and change nothing."""

CALLS = ("[IO.File]::WriteAllBytes", "[IO.File]::Replace", "icacls.exe")

FORBIDDEN = (
    "Invoke-Expression",
    "iex",
    "netsh",
    "Set-ExecutionPolicy",
    "Set-MpPreference",
    "Set-NetFirewallProfile",
    "Set-NetConnectionProfile",
    "Enable-PSRemoting",
    "Set-LocalUser",
    "New-LocalUser",
    "Add-LocalGroupMember",
    "Restart-Computer",
    "wsl",
    "reg",
    "sc",
)


def rendered(**changes: object) -> str:
    given = {"host": "home", "user": "me", "public_key": KEY, "allow_from": ("192.168.1.0/24",), "port": 22, **changes}
    return bootstrap.render(**given)  # type: ignore[arg-type]


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text_of(node: tree_sitter.Node | None) -> str:
    return (node.text or b"").decode() if node else ""


def root(script: str) -> tree_sitter.Node:
    return powershell.PARSER.parse(script.encode()).root_node


def command_name(node: tree_sitter.Node) -> str:
    return text_of(node.child_by_field_name("command_name")) or text_of(node).split(maxsplit=1)[0]


def ancestors(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    while node.parent:
        node = node.parent
        yield node


def function_of(node: tree_sitter.Node) -> str:
    around = next((one for one in ancestors(node) if one.type == "function_statement"), None)
    return text_of(next(one for one in around.children if one.type == "function_name")) if around else ""


def in_step(node: tree_sitter.Node) -> bool:
    """Within a script block that is handed to Step."""
    return any(one.type == "command" and command_name(one) == "Step" for one in ancestors(node))


def unguarded(script: str) -> list[str]:
    """What changes something although nobody asked ShouldProcess."""
    tree = root(script)
    commands = [node for node in walk(tree) if node.type == "command"]
    changing = [one for one in commands if CHANGING.fullmatch(command_name(one)) and command_name(one) not in READS]
    changing += [one for one in commands if "icacls.exe" in text_of(one) and in_no_inner_command(one, commands)]
    changing += [
        node for node in walk(tree) if node.type == "invokation_expression" and text_of(node).startswith(CALLS[:2])
    ]
    own = {text_of(node) for node in walk(tree) if node.type == "function_name"}
    found, seen = [], set[str]()
    left = [one for one in changing if command_name(one) not in own]
    while left:
        node = left.pop()
        function = function_of(node)
        if in_step(node) or function == "Step":
            continue
        if not function:
            found.append(text_of(node))
        elif function not in seen:
            seen.add(function)
            left += [one for one in commands if command_name(one) == function]
    return found


def in_no_inner_command(node: tree_sitter.Node, commands: list[tree_sitter.Node]) -> bool:
    return not any(one is not node and one in commands for child in node.children for one in walk(child))


@pytest.mark.parametrize("port", [22, 2200])
def test_it_parses_and_is_ascii(port: int) -> None:
    script = rendered(port=port, user="Jürgen O'Neill", allow_from=("LocalSubnet", "10.0.0.0/8"))
    assert powershell.mistakes(script) == []
    assert script.isascii()
    assert max(map(len, script.splitlines())) < 400


def test_it_is_the_same_each_time() -> None:
    assert rendered() == rendered()


def test_nothing_changes_without_the_question() -> None:
    assert unguarded(rendered()) == []


@pytest.mark.parametrize(
    "line",
    [
        "Set-Service -Name sshd -StartupType Manual",
        "Write-Config 'x'",
        "[IO.File]::WriteAllBytes($config, 'x')",
        "Set-Text $config 'x'",
        "if ($true) { Close-Path $admins }",
        '& "$env:SystemRoot\\System32\\icacls.exe" x',
    ],
)
def test_a_change_without_the_question_would_be_noticed(line: str) -> None:
    assert unguarded(rendered() + line + "\n") != []


def test_the_question_is_the_first_thing_of_a_step() -> None:
    functions = [node for node in walk(root(rendered())) if node.type == "function_statement"]
    step = next(text_of(one) for one in functions if text_of(one).startswith("function Step"))
    lines = [line.strip() for line in step.splitlines() if not line.strip().startswith(("#", "function"))]
    assert lines[0] == "if (-not $PSCmdlet.ShouldProcess($Target, $What)) { return }"


def test_it_does_nothing_else_than_it_says() -> None:
    commands = {command_name(node) for node in walk(root(rendered())) if node.type == "command"}
    assert commands & set(FORBIDDEN) == set()
    changing = {name for name in commands if CHANGING.fullmatch(name) and name not in READS}
    assert {name for name in changing if "Firewall" in name} == {
        "New-NetFirewallRule",
        "Remove-NetFirewallRule",
        "Disable-NetFirewallRule",
        "Enable-NetFirewallRule",
    }
    for node in walk(root(rendered())):
        if node.type == "command" and command_name(node).endswith("-Service"):
            assert "-Name sshd" in text_of(node)
        if node.type == "command" and command_name(node) in ("New-NetFirewallRule", "Remove-NetFirewallRule"):
            assert "-Name gpurig-ssh" in text_of(node)


def test_the_group_of_administrators_is_read_only_for_another_account_and_as_every_powershell_can() -> None:
    """The account that runs the script as administrator is one. https://github.com/PowerShell/PowerShell/issues/11782"""
    script = rendered()
    before, _, rest = script.partition("[ADSI]")
    assert before[before.rindex("\nif ") :].startswith("\nif ($sid -ne $me.User.Value) {\n")
    assert "([ADSI]$member).psbase.InvokeGet('objectSid')" in rest
    assert ".InvokeMember('" not in script


def test_the_settings_are_those_of_the_entry() -> None:
    script = rendered(port=2200, allow_from=("192.168.1.0/24", "100.64.0.0/10"))
    assert "\n$port = 2200\n" in script
    assert "\n$allowed = @('192.168.1.0/24', '100.64.0.0/10')\n" in script
    assert f"\n$key = '{KEY}'\n" in script
    assert (
        "'Port 2200', 'PubkeyAuthentication yes', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no'"
        in script
    )
    assert "Port " not in re.findall(r"\$lines = @\('# gpurig.*", rendered())[0]


@pytest.mark.parametrize(
    "name", ["O'Brien", "$(calc)", "`whoami`", "a\u2019b", "Jürgen", "John Smith", "😀", '"x', "DESK\\me", "'; calc; '"]
)
def test_a_name_is_read_back_as_it_was(name: str) -> None:
    text = bootstrap.quoted(name)
    assert text.isascii()
    if text.startswith("'"):
        body = text[1:-1]
        assert "'" not in body.replace("''", "")
        assert body.replace("''", "'") == name
    else:
        codes = [int(code) for code in re.findall(r"\d+", text)]
        assert b"".join(code.to_bytes(2, "little") for code in codes).decode("utf-16-le") == name
    nodes = [node for node in walk(root(f"$account = {text}\n")) if node.type == "command"]
    assert nodes == []
    assert powershell.mistakes(rendered(user=name)) == []


def test_a_control_character_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        bootstrap.quoted("a\nb")


def test_its_own_lines_are_found_and_taken_out_again() -> None:
    """The regular expression of the script, which Python and .NET read alike."""
    (pattern,) = re.findall(r"\$own = '(.*)'\n", rendered())
    mine = "# gpurig: begin\r\nPubkeyAuthentication yes\r\n# gpurig: end\r\n"
    match = "# gpurig: begin\r\nMatch Group administrators\r\n# gpurig: end\r\n"
    theirs = "# My own\r\nAllowUsers me\r\nMatch User bob\r\n  PasswordAuthentication yes\r\n"
    assert re.sub(pattern.replace(r"\z", r"\Z"), "", mine + theirs + match) == theirs
    assert re.sub(pattern.replace(r"\z", r"\Z"), "", theirs) == theirs


def test_installers_are_pinned() -> None:
    for installer in bootstrap.INSTALLERS.values():
        assert re.fullmatch(r"[0-9A-F]{64}", installer.sha256)
        assert installer.url.startswith("https://github.com/PowerShell/Win32-OpenSSH/")
        assert f"'{installer.url}', '{installer.sha256}'" in rendered()


def test_its_last_line_is_what_the_laptop_wants() -> None:
    assert rendered().rstrip().splitlines()[-1].startswith("'rig register home --fingerprint SHA256:' + ")
