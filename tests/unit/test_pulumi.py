"""How Pulumi's CLI is found, run and understood. A simulated `pulumi` answers here; the real one is in tests/e2e."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpurig import pulumi_cli, pulumi_process, records
from gpurig.config import StackConfig
from gpurig.errors import ConfigError, RigError
from gpurig.pulumi_cli import TYPE
from gpurig.pulumi_process import LockedError, PulumiError
from gpurig.stack import Stack
from tests.unit.simulated import Cloud, MemorySpec

SIMULATED_PULUMI = f"""\
#!{sys.executable}
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
verb = " ".join(word for word in sys.argv[1:3] if not word.startswith("-"))
asked = {{"words": sys.argv[1:], "input": "" if sys.stdin.isatty() else sys.stdin.read()}}
asked["environment"] = {{key: value for key, value in os.environ.items() if key.startswith("PULUMI")}}
with (here / "asked").open("a") as log:
    log.write(json.dumps(asked) + "\\n")
answers = json.loads((here / "answers").read_text())
code, output, errors = answers.get(verb, [[0, "", ""]])[0]
if len(answers.get(verb, [])) > 1:
    del answers[verb][0]
(here / "answers").write_text(json.dumps(answers))
sys.stdout.write(output)
sys.stderr.write(errors)
sys.stdout.flush()
os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""

NO_STACK = [1, "", "error: no stack named 'test' found\n"]


class Pulumi:
    """The simulated CLI: `answers` maps a verb to its answers in turn, the last one for ever."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        program = folder / "pulumi"
        program.write_text(SIMULATED_PULUMI)
        program.chmod(0o755)
        self.answer(**{"stack export": [exported()]})

    def answer(self, **answers: list[list[Any]]) -> None:
        path = self.folder / "answers"
        path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **answers}))

    @property
    def asked(self) -> list[dict[str, Any]]:
        log = self.folder / "asked"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def verbs(self) -> list[str]:
        """The commands that were given, without their flags."""
        return [" ".join(word for word in asked["words"][:2] if not word.startswith("-")) for asked in self.asked]

    def words(self, verb: str) -> list[str]:
        """The words of the only command with this verb."""
        (found,) = [asked["words"] for asked in self.asked if " ".join(asked["words"]).startswith(verb)]
        return list(found)


def exported(*hosts: str, pending: tuple[str, ...] = ()) -> list[Any]:
    """The answer of `pulumi stack export` for a stack with these hosts."""
    resources = [{"urn": f"urn:pulumi:test::unit::{TYPE}::{host}", "type": TYPE} for host in hosts]
    operations = [{"type": "creating", "resource": {"type": kind}} for kind in pending]
    return [0, json.dumps({"version": 3, "deployment": {"resources": resources, "pending_operations": operations}}), ""]


def events(*told: dict[str, Any]) -> str:
    """Pulumi's stream of JSON events."""
    return "".join(json.dumps(event) + "\n" for event in told)


def said(message: str, severity: str = "info#err", urn: str = "") -> dict[str, Any]:
    return {"diagnosticEvent": {"message": f"{message}\n\n", "severity": severity, **({"urn": urn} if urn else {})}}


def locked(pid: int, machine: str = "") -> list[Any]:
    """The answer of a command that meets a lock."""
    holder = f"me@{machine or socket.gethostname()} (pid {pid}) at 2026-01-01T00:00:00Z"
    return [1, "", f"error: the stack is currently locked by 1 lock(s).\n  file:///state/l.json: created by {holder}\n"]


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    """The simulated CLI, first on PATH; the user is logged in nowhere and has set nothing."""
    for name in [name for name in os.environ if name.startswith(("PULUMI_", "GPURIG_ENGINE"))]:
        monkeypatch.delenv(name)
    made = Pulumi(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(pulumi_process, "LOCK_SECONDS", 0.0)
    return made


@pytest.fixture
def told() -> list[str]:
    """Lines of progress."""
    return []


def up(stack: Stack, told: list[str], **hosts: MemorySpec) -> None:
    pulumi_cli.up(stack, StackConfig(hosts=dict(hosts)), report=told.append)


def test_the_engine_is_pulumi_where_it_is_found(pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pulumi_process.find() == pulumi.folder / "pulumi"
    monkeypatch.setenv("GPURIG_ENGINE", "embedded")
    assert pulumi_process.find() is None


def test_places_beside_path_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPURIG_ENGINE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pulumi_process, "ROOT", tmp_path / "project")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert pulumi_process.find() is None
    for place in (tmp_path / "project/.tools/pulumi/bin", tmp_path / "home/.pulumi/bin"):
        place.mkdir(parents=True)
        (place / "pulumi").touch(mode=0o755)
        assert pulumi_process.find() == place / "pulumi"


@pytest.mark.parametrize(
    ("forced", "advice"), [("pulumi", "make setup-pulumi"), ("terraform", "`pulumi` or `embedded`")]
)
def test_a_forced_engine_that_is_not_there_is_wrong_use(
    forced: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(pulumi_process, "ROOT", tmp_path)
    monkeypatch.setenv("GPURIG_ENGINE", forced)
    with pytest.raises(ConfigError, match=advice):
        pulumi_process.find()


def test_progress_is_told_as_it_comes(pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]) -> None:
    step = {"urn": f"urn:pulumi:test::unit::{TYPE}::one"}
    stream = events(
        said("registering", "debug"),
        {"resourcePreEvent": {"metadata": {**step, "op": "create"}}},
        said("one: making gpurig.unit.test.one.1"),
        {"resourcePreEvent": {"metadata": {**step, "op": "same"}}},
    )
    pulumi.answer(up=[[0, stream, ""]])
    up(stack, told)
    assert told[-2:] == ["one: create", "one: making gpurig.unit.test.one.1"]


def test_a_failed_hosts_own_words_are_the_error(pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]) -> None:
    urn = f"urn:pulumi:test::unit::{TYPE}::"
    stream = events(
        said("gpurig.errors.ConfigError: gpurig:hosts.one.port: 22 is in use", "error", f"{urn}one"),
        said("gpurig.providers.container.client.PodmanError: Podman is missing", "error", f"{urn}two"),
        said("Program failed with an unhandled exception:\nTraceback …", "error"),
        said("update failed", "error", "urn:pulumi:test::unit::pulumi:pulumi:Stack::unit-test"),
    )
    pulumi.answer(up=[[255, stream, ""]])
    with pytest.raises(RigError) as caught:
        up(stack, told)
    assert str(caught.value) == "gpurig:hosts.one.port: 22 is in use\ntwo: Podman is missing"


def test_an_error_of_the_program_is_told_where_no_host_failed(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]
) -> None:
    pulumi.answer(up=[[255, events(said("Pulumi.test.yaml: gpurig:hots: unknown key", "error")), ""]])
    with pytest.raises(RigError, match=r"^Pulumi\.test\.yaml: gpurig:hots: unknown key$"):
        up(stack, told)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1, "", "warning: old\nerror: incorrect passphrase\n"], "^incorrect passphrase$"),
        ([1, "", "panic\n"], "^panic$"),
        ([1, "", ""], "without a word"),
        ([-9, "", ""], "ended by signal 9; run this again"),
    ],
)
def test_what_pulumi_says_outside_its_events_is_told_too(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str], answer: list[Any], message: str
) -> None:
    pulumi.answer(up=[answer])
    with pytest.raises(PulumiError, match=message):
        up(stack, told)


def test_a_stack_that_pulumi_does_not_know_is_made_and_not_selected(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]
) -> None:
    pulumi.answer(**{"stack export": [NO_STACK]})
    up(stack, told)
    assert pulumi.verbs() == ["stack export", "stack init", "up"]
    assert "--no-select" in pulumi.words("stack init")
    assert told[0] == f"Pulumi gets a stack test; its state is kept in {(stack.home / 'pulumi').as_uri()}."


def test_the_lock_of_a_killed_run_of_this_machine_is_removed(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]
) -> None:
    pulumi.answer(up=[locked(_dead_process()), [0, "", ""]])
    up(stack, told)
    assert pulumi.verbs() == ["stack export", "up", "cancel", "up"]
    assert "Removing Pulumi's lock on stack test: the run that held it was killed." in told


def test_the_lock_of_another_machine_is_left_alone(pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]) -> None:
    pulumi.answer(up=[locked(_dead_process(), "elsewhere")])
    with pytest.raises(
        LockedError, match="Wait for it; if it was killed, remove its lock with `pulumi cancel --stack test`"
    ):
        up(stack, told)
    assert "cancel" not in pulumi.verbs()


def test_the_lock_of_a_living_run_is_left_alone(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str], living_pulumi: int
) -> None:
    pulumi.answer(up=[locked(living_pulumi)])
    with pytest.raises(LockedError):
        up(stack, told)
    assert "cancel" not in pulumi.verbs()


def test_a_process_with_a_dead_runs_number_is_not_taken_for_it(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]
) -> None:
    pulumi.answer(up=[locked(os.getpid()), [0, "", ""]])
    up(stack, told)
    assert "cancel" in pulumi.verbs()


@pytest.mark.parametrize(
    ("pending", "cleared"), [((TYPE, TYPE), True), ((TYPE, "aws:ec2:Instance"), False), ((), False)]
)
def test_only_our_own_interrupted_creations_are_forgotten(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str], pending: tuple[str, ...], cleared: bool
) -> None:
    pulumi.answer(**{"stack export": [exported("one", pending=pending)]})
    up(stack, told)
    imported = [json.loads(asked["input"]) for asked in pulumi.asked if asked["words"][:2] == ["stack", "import"]]
    assert bool(imported) == cleared
    for deployment in imported:
        assert "pending_operations" not in deployment["deployment"]
        assert deployment["deployment"]["resources"]


def test_down_of_one_host_is_aimed_at_it(pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]) -> None:
    pulumi.answer(**{"stack export": [exported("one", "two")]})
    assert pulumi_cli.down(stack, ["one"], report=told.append) == ["one"]
    assert [word for word in pulumi.words("destroy") if "urn" in word] == [
        f"--target=urn:pulumi:test::unit::{TYPE}::one"
    ]


def test_down_of_all_leaves_nothing_out(pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]) -> None:
    pulumi.answer(**{"stack export": [exported("one")]})
    records.intend(stack, "left", ["memory"])
    assert pulumi_cli.down(stack, None, report=told.append) == ["left", "one"]
    assert not [word for word in pulumi.words("destroy") if "urn" in word]
    assert records.intents(stack) == {}


def test_down_of_an_unknown_host_says_which_there_are(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]
) -> None:
    pulumi.answer(**{"stack export": [exported("two", "one")]})
    with pytest.raises(RigError, match=r"No host three in stack test. Hosts: one, two\."):
        pulumi_cli.down(stack, ["three"], report=told.append)
    assert pulumi.verbs() == ["stack export"]


@pytest.mark.parametrize(("managed", "how"), [(("one", "two"), "--target-replace"), (("two",), "--target")])
def test_a_replacement_is_aimed_at_its_host(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str], managed: tuple[str, ...], how: str
) -> None:
    pulumi.answer(**{"stack export": [exported(*managed)]})
    pulumi_cli.replace(stack, StackConfig(hosts={"one": MemorySpec()}), "one", report=told.append)
    assert f"{how}=urn:pulumi:test::unit::{TYPE}::one" in pulumi.words("up")
    with pytest.raises(RigError, match=r"No host 'four' in Pulumi.test.yaml. Hosts there: one\."):
        pulumi_cli.replace(stack, StackConfig(hosts={"one": MemorySpec()}), "four", report=told.append)


def test_a_host_left_over_is_ended_after_up(pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]) -> None:
    records.intend(stack, "left", ["memory"])
    up(stack, told)
    assert records.intents(stack) == {}


def test_preview_changes_nothing_and_makes_no_stack(
    pulumi: Pulumi, stack: Stack, cloud: Cloud, told: list[str]
) -> None:
    config = StackConfig(hosts={"one": MemorySpec()})
    pulumi.answer(**{"stack export": [NO_STACK, exported()]})
    assert [step.action for step in pulumi_cli.preview(stack, config, report=told.append)] == ["create"]
    assert pulumi.verbs() == ["stack export"]
    pulumi_cli.preview(stack, config, report=told.append)
    assert pulumi.verbs()[-1] == "preview"
    assert "--yes" not in pulumi.words("preview")


class TestBackend:
    """Where Pulumi keeps its state, and with which passphrase, when the user did or did not choose."""

    def environment(self, pulumi: Pulumi, stack: Stack) -> dict[str, str]:
        up(stack, [])
        found: dict[str, str] = pulumi.asked[-1]["environment"]
        return found

    def test_none_chosen_means_one_on_this_machine(self, pulumi: Pulumi, stack: Stack, cloud: Cloud) -> None:
        first = self.environment(pulumi, stack)
        assert first["PULUMI_BACKEND_URL"] == (stack.home / "pulumi").as_uri()
        passphrase = Path(first["PULUMI_CONFIG_PASSPHRASE_FILE"])
        assert len(passphrase.read_text()) >= 32
        assert passphrase.stat().st_mode & 0o777 == 0o600
        text = passphrase.read_text()
        assert self.environment(pulumi, stack) == first
        assert passphrase.read_text() == text

    @pytest.mark.parametrize("how", ["environment", "token", "project", "login"])
    def test_a_chosen_one_is_kept(
        self, how: str, pulumi: Pulumi, stack: Stack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        match how:
            case "environment":
                monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://mine")
            case "token":
                monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "pul-1")
            case "project":
                with (stack.root / "Pulumi.yaml").open("a") as file:
                    file.write("backend:\n  url: s3://mine\n")
            case "login":
                credentials = Path(os.environ["PULUMI_HOME"]) / "credentials.json"
                credentials.parent.mkdir()
                credentials.write_text('{"current": "https://api.pulumi.com"}')
        found = self.environment(pulumi, stack)
        assert found.get("PULUMI_BACKEND_URL", "s3://mine") == "s3://mine"
        assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in found

    def test_a_given_passphrase_is_kept(
        self, pulumi: Pulumi, stack: Stack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
        assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in self.environment(pulumi, stack)

    def test_a_salt_of_an_unknown_passphrase_is_told(self, pulumi: Pulumi, stack: Stack, cloud: Cloud) -> None:
        stack.file.write_text("encryptionsalt: v1:abc\n")
        with pytest.raises(ConfigError, match="encryptionsalt: made with a passphrase that is not on"):
            up(stack, [])
        assert pulumi.asked == []

    def test_the_demos_passphrase_is_public(self, pulumi: Pulumi, stack: Stack, cloud: Cloud) -> None:
        demo = Stack(stack.project, "demo", stack.root, stack.home)
        demo.file.write_text("encryptionsalt: v1:abc\n")
        assert self.environment(pulumi, demo)["PULUMI_CONFIG_PASSPHRASE"] == "demo"


@pytest.fixture
def living_pulumi(tmp_path: Path) -> Iterator[int]:
    """A process that goes by the name of Pulumi."""
    program = tmp_path / "living" / "pulumi"
    program.parent.mkdir()
    shutil.copy(str(shutil.which("sleep")), program)
    with subprocess.Popen([program, "60"]) as process:
        yield process.pid
        process.kill()


def _dead_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        return process.pid
