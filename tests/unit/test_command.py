"""How `rig` reads its words, what it prints where, and what it exits with."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest

from gpurig import records
from gpurig.cli import COMMANDS, main
from gpurig.errors import ConfigError
from gpurig.host import Host
from gpurig.ops import GROUPS, collection, completion, help_text
from gpurig.ops.command import help_wanted, spelled_out
from gpurig.stack import Stack
from tests.unit.far import host


def rig(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as end:
        main(words)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        ("status", "status"),
        ("down demo", "down --host=demo"),
        ("--stack x down demo --yes", "--stack x down --host=demo --yes"),
        ("down demo --stack x", "--stack x down --host=demo"),
        ("connect --stack=x --host demo --json", "--stack=x --json connect --host demo"),
        ("logs -f demo", "logs --host=demo -f"),
        ("logs demo 2026-train -f", "logs --host=demo --run=2026-train -f"),
        ("train --env system demo a.py", "train --host=demo --script=a.py --env system"),
        ("train demo a.py --epochs 5 --json", "train --host=demo --script=a.py '--args= --epochs 5 --json'"),
        ("train demo a.py -- --x", "train --host=demo --script=a.py '--args= --x'"),
        ("train demo a.py 'a b'", """train --host=demo --script=a.py "--args= 'a b'" """),
        ("connect demo -- ls -la", "connect --host=demo '--line= ls -la'"),
        ("tunnel demo jupyter tensorboard --json", "--json tunnel --host=demo '--services= jupyter tensorboard'"),
        ("down --host demo", "down --host demo"),
        ("nonsense a b", "nonsense a b"),
        ("--complete -- rig down", "--complete -- rig down"),
    ],
)
def test_bare_words_become_the_options_that_they_stand_for(words: str, spelled: str) -> None:
    assert spelled_out(shlex.split(words), COMMANDS) == shlex.split(spelled)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("connect", "HOST is missing"),
        ("train demo", "SCRIPT is missing"),
        ("down a b", "'b' is one word too many"),
        ("status -- x", "takes nothing after `--`"),
    ],
)
def test_wrong_words_are_said_with_the_usage(words: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)) as error:
        spelled_out(words.split(), COMMANDS)
    assert "Usage: rig " in str(error.value)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("train --help", "train"),
        ("train demo -h", "train"),
        ("train demo a.py --help", None),
        ("connect demo -- ls -h", None),
        ("logs -f -h", "logs"),
        ("--help", None),
    ],
)
def test_help_after_a_script_is_the_scripts(words: str, wanted: str | None) -> None:
    assert help_wanted(words.split(), COMMANDS) == wanted


def test_help_has_every_command_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = rig(capsys, "--help")
    assert (code, err) == (0, "")
    for command in COMMANDS.values():
        assert re.search(rf"^  {command.name}\b.*  \S", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 130


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_each_of_its_words_and_options_is(name: str) -> None:
    text = help_text.of_command(COMMANDS[name])
    for line in text.partition("\nWords")[2].splitlines() + text.partition("\nOptions")[2].splitlines():
        if line.startswith("  ") and line[2] != " ":
            assert re.search(r"\S {2,}\S", line.strip()), line


def test_help_of_a_command_can_be_asked_more_than_once(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = rig(capsys, "train", "--help"), rig(capsys, "train", "--help")
    assert first == second
    assert "--detach" in first[1]


def test_no_option_takes_h_from_help() -> None:
    for command in COMMANDS.values():
        assert not any("h" in argument.names for argument in command.get_arguments())


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--nonsense"], ["train", "demo"], ["down", "a", "b"]])
def test_wrong_use_exits_with_2_and_says_so_on_stderr(
    stack: Stack, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code, out, err = rig(capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_wrong_configuration_exits_with_2(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    stack.file.write_text("config:\n  gpurig:hosts:\n    a: {provider: contaner}\n")
    code, _, err = rig(capsys, "up", "--stack", "test")
    assert code == 2
    assert "did you mean 'container'" in err


def test_wrong_use_exits_with_2_and_debug_shows_where(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = rig(capsys, "connect", "nobody", "--stack", "test")
    assert (code, out) == (2, "")
    assert err == "No host 'nobody' in stack test. Hosts: none; `rig up` stands them up.\n"
    assert "Traceback" in rig(capsys, "connect", "nobody", "--stack", "test", "--debug")[2]


def test_the_stack_is_named_before_or_after_the_command(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    records.save(stack, host())
    for words in (["--stack", "test", "status"], ["status", "--stack", "test"], ["status", "--stack=test"]):
        assert "far " in rig(capsys, *words)[1]
    assert "has no hosts" in rig(capsys, "status", "--stack", "other")[1]


def test_json_is_all_that_is_on_stdout(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    records.save(stack, host())
    records.intend(stack, "lost", ["memory"])
    code, out, err = rig(capsys, "status", "--json", "--stack", "test")
    data = json.loads(out)
    assert (code, data["interrupted"]) == (0, ["lost"])
    assert {item["name"]: item["state"] for item in data["hosts"]} == {"far": "up", "lost": "interrupted"}
    assert err.startswith("Warning: `rig up` was interrupted; a machine may exist for lost.")


def test_without_a_terminal_a_destroying_command_wants_to_hear_yes(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    records.save(stack, host())
    code, _, err = rig(capsys, "down", "--stack", "test")
    assert code == 2
    assert "say --yes" in err
    assert list(records.load(stack)) == ["far"]


def test_fab_gets_the_same_commands() -> None:
    assert set(collection().task_names) == set(COMMANDS)
    assert {command.name for group in GROUPS.values() for command in group} == set(COMMANDS)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([], "train"),
        (["tra"], "train"),
        (["logs", ""], "far"),
        (["logs", "fa"], "far"),
        (["open", ""], "jupyter"),
        (["open", "jupyter", ""], "far"),
        (["train", "--"], "--detach"),
        (["--"], "--stack"),
    ],
)
def test_completion_offers_what_may_come_next(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, words: list[str], offered: str
) -> None:
    monkeypatch.setenv("GPURIG_STACK", "test")
    made = host()
    records.save(stack, Host.from_dict({**made.to_dict(), "services": ["jupyter"]}))
    assert offered in completion.candidates(words, COMMANDS)


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_the_completion_script_is_printed(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert rig(capsys, "--print-completion-script", shell) == (0, completion.SCRIPTS[shell], "")


def test_bash_completes_with_it(stack: Stack) -> None:
    line = "COMP_WORDS=(rig tra); COMP_CWORD=1; _rig; echo ${COMPREPLY[@]}"
    program = f'rig() {{ "{sys.executable}" -m gpurig.cli "$@"; }}\n{completion.SCRIPTS["bash"]}\n{line}'
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=stack.root)
    assert done.stdout == "train\n"


def test_status_loads_nothing_heavy(stack: Stack) -> None:
    records.save(stack, host())
    code = (
        "import sys, gpurig.cli\n"
        "try: gpurig.cli.main(['status', '--stack', 'test'])\n"
        "finally: print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=stack.root)
    assert not {"pydantic", "jinja2", "rich", "fabric", "paramiko", "pulumi", "ansible", "httpx"} & set(
        done.stderr.split()
    )
