"""Commands against a simulated host, or with the long steps replaced: what they say, ask, and refuse."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import create_model

from gpurig import access, config, engine, keys, pulumi_cli, reach, records, rsync, runs, transfer, verification
from gpurig.cli import main
from gpurig.errors import RigError
from gpurig.ops import console, rebuild, ssh_config
from gpurig.providers.workstation import client
from gpurig.stack import Stack
from tests.unit.far import FarAway, far_away, host
from tests.unit.simulated import HOST_KEY, Cloud, MemorySpec
from tests.unit.test_runs import RUN

Rig = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rig(stack: Stack, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Run a command in the stack; gives its exit code, stdout and stderr."""
    monkeypatch.setenv("GPURIG_STACK", "test")
    monkeypatch.setenv("GPURIG_ENGINE", "embedded")
    monkeypatch.setenv("HOME", str(stack.root.parent))

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(words)
        out, err = capfdbinary.readouterr()
        return int(end.value.code or 0), out.decode(), err.decode()

    return run


@pytest.fixture
def memory(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The in-memory provider, and a configuration in which every host is one of its."""
    model = create_model("StackConfig", __base__=config.StackConfig, hosts=(dict[str, MemorySpec], {}))
    monkeypatch.setattr(config, "model", lambda: model)
    return cloud


@pytest.fixture
def far(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FarAway:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setattr(rsync, "PAUSE_SECONDS", 0.0)
    return far_away(stack, tmp_path)


# --- hosts -----------------------------------------------------------------------------------------------------------


def write_hosts(stack: Stack, **hosts: str) -> None:
    lines = "".join(f"    {name}: {{{text}}}\n" for name, text in hosts.items())
    stack.file.write_text(f"config:\n  gpurig:hosts:\n{lines}")


def test_up_says_what_it_did_and_a_second_one_that_nothing_changed(stack: Stack, memory: Cloud, rig: Rig) -> None:
    write_hosts(stack, a="provider: memory", b="provider: memory")
    assert rig("preview")[1] == "+  a  create\n+  b  create\n"
    assert memory.made == []
    code, out, err = rig("up")
    assert (code, out) == (0, "+  a  created\n+  b  created\n")
    assert "a: making gpurig.unit.test.a.1" in err
    assert json.loads(rig("up", "--json")[1]) == [
        {"host": name, "action": "same", "provider": "memory", "keys": []} for name in ("a", "b")
    ]


def test_up_asks_before_it_ends_a_host(stack: Stack, memory: Cloud, rig: Rig) -> None:
    write_hosts(stack, a="provider: memory", b="provider: memory")
    rig("up")
    write_hosts(stack, a="provider: memory")
    code, _, err = rig("up")
    assert code == 2
    assert "-  b  end" in err
    assert list(records.load(stack)) == ["a", "b"]
    assert rig("up", "--yes")[1] == "   a  unchanged\n-  b  ended\n"


def test_no_is_an_answer(stack: Stack, memory: Cloud, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hosts(stack, a="provider: memory")
    rig("up")
    monkeypatch.setattr(console, "on_terminal", lambda: True)
    monkeypatch.setattr(console, "agrees", lambda _: False)
    assert rig("down")[::2] == (2, "Nothing was changed.\n")
    monkeypatch.setattr(console, "agrees", lambda _: True)
    assert rig("down")[1] == "Ended: a\n"
    assert rig("down")[1] == "Stack test has no hosts.\n"


def test_down_refuses_while_results_are_not_here_unless_told_to_discard_them(
    stack: Stack, memory: Cloud, rig: Rig
) -> None:
    write_hosts(stack, a="provider: memory")
    rig("up")
    memory.listed = [replace(machine, running=False) for machine in memory.listed]
    runs.save(stack, replace(RUN, host="a", label="gpurig.unit.test.a.1"))
    code, _, err = rig("down", "a", "--yes")
    assert code == 1
    assert RUN.id in err
    assert "rig results a" in err
    assert rig("down", "a", "--yes", "--discard")[1] == "Ended: a\n"
    assert runs.of_host(stack, "a")[0].results == "discarded"


def test_pulumi_is_used_where_it_is_found(stack: Stack, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(pulumi_cli, "find", lambda: Path("/usr/bin/pulumi"))

    def noting(name: str) -> Callable[..., list[str]]:
        def note(*_: object, **__: object) -> list[str]:
            asked.append(name)
            return []

        return note

    for name in ("up", "preview", "refresh", "down"):
        monkeypatch.setattr(pulumi_cli, name, noting(name))
    records.save(stack, host())
    write_hosts(stack, a="provider: container")
    assert [rig(*words)[0] for words in (["up", "--yes"], ["preview"], ["refresh"], ["down", "--yes"])] == [0] * 4
    assert asked == ["up", "preview", "refresh", "down"]


def test_refresh_tells_what_is_gone(stack: Stack, memory: Cloud, rig: Rig) -> None:
    write_hosts(stack, a="provider: memory")
    rig("up")
    assert rig("refresh")[1] == "Every recorded host is there.\n"
    memory.listed.clear()
    assert json.loads(rig("refresh", "--json")[1]) == {"gone": ["a"]}


# --- status and runs -------------------------------------------------------------------------------------------------


def test_status_counts_runs_of_this_very_machine(stack: Stack, rig: Rig) -> None:
    records.save(stack, host())
    runs.save(stack, RUN)
    runs.save(stack, replace(RUN, id="2", state="done"))
    runs.save(stack, replace(RUN, id="3", state="done", results="verified"))
    runs.save(stack, replace(RUN, id="4", label="an earlier machine"))
    report = {"label": host().label, "verdict": "WARN"}
    (stack.dir / "reports/far").mkdir(parents=True)
    (stack.dir / "reports/far/latest.json").write_text(json.dumps(report))
    (found,) = json.loads(rig("status", "--json")[1])["hosts"]
    assert (found["runs_going_on"], found["results_not_here"], found["verified"]) == ([RUN.id], ["2"], "WARN")
    assert "1 going on, 1 not brought back" in rig("status")[1]
    assert [line.split()[2] for line in rig("runs")[1].splitlines()[1:]] == ["done", "running", "done", "lost"]


def test_status_looks_at_hosts_only_when_told_to(stack: Stack, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise reach.UnreachableError("far: nothing listens there", lasting=False)

    monkeypatch.setattr(reach, "check", refused)
    records.save(stack, host())
    assert " up " in rig("status")[1]
    out = rig("status", "--check")[1]
    assert "no answer" in out
    assert out.endswith("far: nothing listens there\n")


def test_no_runs(stack: Stack, rig: Rig) -> None:
    assert rig("runs")[1] == "No runs.\n"


# --- work ------------------------------------------------------------------------------------------------------------


def test_from_sync_to_results(far: FarAway, rig: Rig) -> None:
    (far.place.stack.root / "job.py").write_text(
        "import os; print('hello'); open(os.environ['GPURIG_RESULTS'] + '/m', 'w').write('1')"
    )
    assert "2 files" in rig("sync")[2]
    code, out, err = rig("train", "far", "job.py")
    assert (code, out) == (0, "hello\n")
    assert "ended well" in err
    assert rig("logs", "far")[1] == "hello\n"
    folder = Path(rig("results", "far")[1].strip())
    assert (folder / "results/m").read_text() == "1"
    assert rig("results")[2] == "Every run's results are here.\n"
    assert "has ended already: done" in rig("cancel", "far", "job")[2]


def test_a_crash_ends_with_its_code_and_its_last_words(far: FarAway, rig: Rig) -> None:
    (far.place.stack.root / "job.py").write_text("print('almost'); raise SystemExit('the reason')")
    code, out, _ = rig("train", "--json", "far", "job.py")
    assert (code, json.loads(out)["state"]) == (1, "failed")
    err = rig("results", "far")[2]
    assert "failed (1)" in err
    assert "the reason" in err


def test_a_detached_run_is_listed_followed_and_cancelled(far: FarAway, rig: Rig) -> None:
    (far.place.stack.root / "job.py").write_text("import time; print('on'); time.sleep(99)")
    name = rig("train", "--detach", "far", "job.py")[1].strip()
    assert rig("runs", "--check")[1].split()[5:8] == [name, "far", "running"]
    assert "still running" in rig("results", "far")[2]
    assert json.loads(rig("cancel", "far", "--grace", "1", "--json")[1])["state"] == "cancelled"
    assert "which run? Going on: none" in rig("cancel", "far")[2]
    code, _, err = rig("logs", "-f", "far")
    assert (code, f"{name} was cancelled" in err) == (143, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "far", "nothing.py"], "nothing.py: not a file of the project"),
        (["train", "far", "../outside.py"], "not a file of the project"),
        (["train", "--env", "pytorch", "far", "job.py"], "far has no such environment. It has: system"),
        (["logs", "far"], "far has no runs"),
        (["tunnel", "far"], "far runs no services. It has: none"),
        (["open", "jupyter"], "No host runs 'jupyter'"),
        (["open", "jupyter", "far"], "far has no service jupyter"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(far: FarAway, rig: Rig, words: list[str], says: str) -> None:
    (far.place.stack.root / "job.py").touch()
    (far.place.stack.root.parent / "outside.py").touch()
    code, out, err = rig(*words)
    assert (code, out) == (2, "")
    assert says in err
    assert not (far.home / "gpurig/projects").exists()


def test_a_host_must_be_named_where_there_are_several(far: FarAway, rig: Rig) -> None:
    records.save(far.place.stack, host("other"))
    assert "Which host? Stack test has: far, other." in rig("sync")[2]


def test_a_run_is_found_by_a_part_of_its_name(far: FarAway, rig: Rig) -> None:
    (far.place.stack.root / "job.py").write_text("import sys; print(sys.argv[1:])")
    for name in ("first", "second"):
        rig("train", "--name", name, "far", "job.py", name)
    assert rig("logs", "far", "first")[1] == "['first']\n"
    assert rig("logs", "far")[1] == "['second']\n"
    assert "several runs match 's'" in rig("logs", "far", "s")[2]


# --- rebuild, register, ssh-config -----------------------------------------------------------------------------------


@pytest.fixture
def rebuilt(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Rebuilding with its long steps replaced; `did` lists them in order."""
    made = SimpleNamespace(did=[], verdict="PASS")
    monkeypatch.setattr(engine, "replace", lambda stack, wanted, name, report: made.did.append(f"replace {name}"))
    monkeypatch.setattr(rebuild, "site", lambda stack, name: made.did.append(f"site {name}"))
    monkeypatch.setattr(transfer, "push", lambda place, folder, progress: made.did.append(f"sync {folder.name}"))

    def verify(*_: object, **__: object) -> list[Any]:
        made.did.append("verify")
        return [SimpleNamespace(verdict=made.verdict)]

    monkeypatch.setattr(verification, "verify", verify)
    return made


def test_rebuild_brings_results_first_and_everything_back_and_says_how_long_it_took(
    far: FarAway, rig: Rig, memory: Cloud, rebuilt: SimpleNamespace
) -> None:
    stack = far.place.stack
    write_hosts(stack, far="provider: memory")
    (stack.dir / "synced").mkdir()
    (stack.dir / "synced/far").write_text(f"/nowhere/gone\n{stack.root}\n")
    (stack.root / "job.py").write_text("print('hello')")
    code, out, _ = rig("rebuild", "far", "--yes", "--json")
    assert code == 0
    assert rebuilt.did == ["replace far", "site far", "sync project", "verify"]
    seconds = json.loads(out)["seconds"]
    assert list(seconds) == ["results", "host", "site.yml", "sync project", "verify", "total"]
    assert seconds["total"] == pytest.approx(sum(list(seconds.values())[:-1]))


def test_rebuild_ends_with_3_where_verification_fails(
    far: FarAway, rig: Rig, memory: Cloud, rebuilt: SimpleNamespace
) -> None:
    write_hosts(far.place.stack, far="provider: memory")
    rebuilt.verdict = "FAIL"
    assert rig("rebuild", "far", "--yes")[0] == 3
    assert rig("rebuild", "other", "--yes")[2] == "No host 'other' in Pulumi.test.yaml. Hosts there: far.\n"


def test_rebuild_goes_on_where_the_old_host_does_not_answer(
    far: FarAway, rig: Rig, memory: Cloud, rebuilt: SimpleNamespace
) -> None:
    write_hosts(far.place.stack, far="provider: memory")
    far.breaks("ssh: connect to host 192.0.2.1 port 22: Connection refused")
    code, _, err = rig("rebuild", "far", "--yes")
    assert (code, rebuilt.did[0]) == (0, "replace far")
    assert "no SSH at 192.0.2.1:22" in err


def test_register_pins_the_key_whose_fingerprint_was_compared(
    stack: Stack, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_hosts(stack, pc="provider: workstation, address: 192.0.2.9, user: me", box="provider: container")
    monkeypatch.setattr(reach, "probe_port", lambda *_: None)
    monkeypatch.setattr(client, "host_keys", lambda *_: [HOST_KEY])
    assert "Nobody can be asked here" in rig("register", "pc")[2]
    assert "refused" in rig("register", "pc", "--fingerprint", "SHA256:" + "x" * 43)[2]
    code, out, _ = rig("register", "pc", "--fingerprint", keys.fingerprint(HOST_KEY))
    assert (code, out) == (0, f"pc: {keys.fingerprint(HOST_KEY)}\n")
    assert (stack.dir / "pins/pc").read_text().strip() == HOST_KEY
    assert "no workstation" in rig("register", "box")[2]
    others = f"SHA256:{'y' * 43},{keys.fingerprint(HOST_KEY)}"
    assert rig("register", "pc", "--fingerprint", "SHA256:" + "x" * 43, "--fingerprint", others)[0] == 0
    assert "is no key and no fingerprint" in rig("register", "pc", "--fingerprint", "SHA256:short")[2]


def test_bootstrap_writes_a_script_for_windows_only(stack: Stack, rig: Rig) -> None:
    home = "provider: workstation, os: windows-wsl2, address: 192.0.2.9, user: John Smith, allow_from: 192.0.2.0/24"
    write_hosts(stack, home=home, box="provider: container")
    code, out, _ = rig("bootstrap", "home")
    script = (stack.root / "bootstrap-home.ps1").read_bytes()
    assert code == 0
    assert "powershell -ExecutionPolicy Bypass -File .\\bootstrap-home.ps1" in out
    public = keys.login_key(stack.home).with_suffix(".pub").read_text().strip()
    assert f"$key = '{public}'\r\n".encode() in script
    assert b"$account = 'John Smith'\r\n$key" in script
    assert b"$allowed = @('192.0.2.0/24')\r\n" in script
    assert b"PRIVATE KEY" not in script
    assert "no Windows PC" in rig("bootstrap", "box")[2]
    assert rig("bootstrap", "home", "--output", "-")[1].replace("\n", "\r\n").encode() == script
    assert rig("bootstrap", "home", "--output", "nowhere/x.ps1")[0] == 2


def test_the_line_for_ssh_is_added_only_when_somebody_agreed(
    stack: Stack, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rig("ssh-config")[0] == 2
    assert not access.is_included(stack.home)
    assert rig("ssh-config", "--yes")[0] == 0
    assert access.is_included(stack.home)
    assert "has the line already" in rig("ssh-config")[2]


def test_up_tells_of_that_line_once(stack: Stack, memory: Cloud, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hosts(stack, a="provider: memory")
    assert access.include_line(stack.home) in rig("up")[2]
    assert access.include_line(stack.home) not in rig("up")[2]
    (stack.home / "told-of-ssh-config").unlink()
    monkeypatch.setattr(console, "on_terminal", lambda: True)
    monkeypatch.setattr(console, "agrees", lambda _: True)
    ssh_config.offer(stack, yes=False)
    assert access.is_included(stack.home)


def test_a_site_that_fails_shows_its_last_words(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "subprocess.run", lambda *_, **__: SimpleNamespace(returncode=2, stdout="TASK [x]\nfatal: no\n", stderr="")
    )
    with pytest.raises(RigError, match=r"(?s)far: site.yml failed.*fatal: no"):
        rebuild.site(stack, "far")
