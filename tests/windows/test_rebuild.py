"""`rig rebuild home` with its long steps replaced, on a simulated PC; and what is lost on the way, and what not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpurig import keys, lifecycle, reach, records, verification
from gpurig.cli import main
from gpurig.ops import data, rebuild
from gpurig.providers.workstation import client
from gpurig.stack import Stack
from gpurig.windows import topics, wire
from gpurig.windows.actions import Action
from gpurig.windows.session import Session
from tests.unit.simulated import HOST_KEY
from tests.windows.model import boot
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge, look, talk

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyH0gB1Z0Kk0m5cYd2W0sT2r9cZ3o5t5n9mM5l3b2Qx"

Rig = Callable[..., tuple[int, str, str]]

HOME = "provider: workstation, os: windows-wsl2, address: 192.0.2.9, user: me"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    root = tmp_path / "project"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: unit\nruntime: python\n")
    (root / "Pulumi.test.yaml").write_text(
        f"config:\n  gpurig:hosts:\n    home: {{{HOME}}}\n    pc: {{provider: container}}\n"
    )
    for name, value in {
        "GPURIG_HOME": tmp_path / "home",
        "GPURIG_STACK": "test",
        "GPURIG_ENGINE": "embedded",
        "HOME": tmp_path,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(root)
    return Stack(project="unit", name="test", root=root, home=tmp_path / "home")


@pytest.fixture
def rig(project: Stack, capsys: pytest.CaptureFixture[str]) -> Rig:
    """Run a command in the project; gives its exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(words)
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


@pytest.fixture
def machine() -> Machine:
    """A PC whose WSL has our distribution."""
    made = Machine(fresh())
    for topic in ("wsl", "distribution"):
        converge(made, topic, {})
        boot.boot(made)
    return made


@pytest.fixture
def did(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What rebuilding did, in order; the PC's key can be changed by `client.host_keys`."""
    done: list[str] = []

    def ask(
        _: Session, sections: Mapping[str, Mapping[str, Any]], actions: Sequence[Action] = (), **__: float
    ) -> wire.Answer:
        done.extend(action.kind for action in actions)
        return talk(machine, actions, sections)

    def verify(*_: object, **__: object) -> list[Any]:
        done.append("verify")
        return [SimpleNamespace(verdict="PASS")]

    def results(_: object) -> tuple[list[dict[str, object]], list[str]]:
        done.append("results")
        return [], []

    monkeypatch.setattr(Session, "round", ask)
    monkeypatch.setattr(verification, "verify", verify)
    monkeypatch.setattr(data, "bring_results", results)
    monkeypatch.setattr(rebuild, "site", lambda stack, name: done.append(f"site {name}"))
    monkeypatch.setattr(reach, "probe_port", lambda *_: None)
    monkeypatch.setattr(reach, "wait", lambda stack, host, **_: done.append(f"login {host.machines()[0][0]}"))
    monkeypatch.setattr(client, "host_keys", lambda *_: [HOST_KEY])
    return done


@pytest.fixture
def home(project: Stack, rig: Rig, did: list[str]) -> None:
    """The PC is registered and stood up."""
    assert rig("register", "home", "--fingerprint", keys.fingerprint(HOST_KEY))[0] == 0
    spec = rebuild_spec(project)
    lifecycle.ensure(project, "home", spec, report=lambda _: None)
    did.clear()


def rebuild_spec(stack: Stack) -> Any:
    from gpurig import config

    return config.load(stack).hosts["home"]


@pytest.mark.usefixtures("home")
def test_nothing_is_ended_and_all_is_set_up_again(project: Stack, rig: Rig, did: list[str]) -> None:
    before = records.require(project, "home")
    code, out, _ = rig("rebuild", "home", "--yes", "--json")
    assert code == 0
    assert did == ["results", "login home-win", "site home", "verify"]
    assert list(json.loads(out)["seconds"]) == ["results", "host", "site.yml", "verify", "total"]
    assert records.require(project, "home") == before


@pytest.mark.usefixtures("home")
def test_a_changed_host_key_is_taken_only_with_its_fingerprint(
    project: Stack, rig: Rig, did: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "host_keys", lambda *_: [OTHER_KEY])
    code, _, err = rig("rebuild", "home", "--yes")
    assert (code, did) == (2, ["results"])
    assert "gpurig:hosts.home.host_key: refused" in err
    assert "the last line that bootstrap's script printed on the PC" in err
    assert rig("register", "home", "--fingerprint", keys.fingerprint(OTHER_KEY))[0] == 0
    did.clear()
    assert rig("rebuild", "home", "--yes")[0] == 0
    assert did == ["results", "login home-win", "site home", "verify"]
    found = records.require(project, "home")
    assert (found.endpoint.host_key, found.generation) == (OTHER_KEY, 1)


@pytest.mark.usefixtures("home")
def test_an_address_that_moved_is_followed(project: Stack, rig: Rig) -> None:
    project.file.write_text(project.file.read_text().replace("192.0.2.9", "192.0.2.77"))
    assert rig("rebuild", "home", "--yes")[0] == 0
    found = records.require(project, "home")
    assert (found.endpoint.address, found.generation) == ("192.0.2.77", 1)


@pytest.mark.usefixtures("home")
def test_fresh_exports_first_and_then_takes_the_distribution_out(rig: Rig, did: list[str], machine: Machine) -> None:
    code, out, _ = rig("rebuild", "home", "--fresh", "--export", "C:\\home.tar", "--yes", "--json")
    assert code == 0
    assert did == ["results", "login home-win", "distribution_export", "distribution_unregister", "site home", "verify"]
    assert list(json.loads(out)["seconds"]) == ["results", "host", "distribution", "site.yml", "verify", "total"]
    assert look(machine, "wsl")["wsl"]["distributions"] == []
    assert machine.data["blobs"]["C:\\home.tar"]["of"] == "Ubuntu-24.04"


@pytest.mark.usefixtures("home")
def test_an_export_that_fails_destroys_nothing(rig: Rig, did: list[str], machine: Machine) -> None:
    machine.data.setdefault("blobs", {})["C:\\home.tar"] = {"size": 1, "of": ""}
    code, _, err = rig("rebuild", "home", "--fresh", "--export", "C:\\home.tar", "--yes")
    assert (code, "site home" in did) == (1, False)
    assert "export Ubuntu-24.04 to C:\\home.tar: " in err
    assert len(look(machine, "wsl")["wsl"]["distributions"]) == 1


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("path", "free", "said"),
    [("D:\\home.tar", 900, "the PC has no drive D:, only C:"), ("C:\\home.tar", 0, "C: has 0 GB free")],
)
def test_an_export_that_cannot_fit_stops_nothing(
    rig: Rig, did: list[str], machine: Machine, path: str, free: int, said: str
) -> None:
    machine.data["drives"]["C"]["free"] = free * 10**9
    code, _, err = rig("rebuild", "home", "--fresh", "--export", path, "--yes")
    assert (code, "distribution_export" in did) == (1, False)
    assert said in err


@pytest.mark.usefixtures("home")
def test_nothing_is_destroyed_before_it_is_said_what_becomes_of_it(rig: Rig, did: list[str]) -> None:
    code, _, err = rig("rebuild", "home", "--fresh", "--yes")
    assert (code, did) == (2, [])
    assert "--export 'D:\\home.tar'" in err
    assert rig("rebuild", "home", "--fresh", "--export", "home.tar", "--yes")[0] == 2
    assert "no Windows PC" in rig("rebuild", "pc", "--fresh", "--discard", "--yes")[2]
    assert did == []


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("export", [False, True])
def test_results_that_are_not_here_keep_a_distribution(
    project: Stack, rig: Rig, did: list[str], machine: Machine, *, export: bool
) -> None:
    run = project.dir / "runs" / "home" / "some-run" / "run.json"
    run.parent.mkdir(parents=True)
    run.write_text(json.dumps({"results": None}))
    code, _, err = rig("rebuild", "home", "--fresh", "--export", "C:\\home.tar", "--yes")
    assert (code, "distribution_export" in did) == (1, False)
    assert "some-run" in err
    assert "give them up with `rig rebuild home --fresh --export 'C:\\home.tar' --discard`." in err
    assert "rig down" not in err
    words = ["rebuild", "home", "--fresh", "--discard", "--yes"]
    if export:
        words += ["--export", "C:\\home.tar"]
    assert rig(*words)[0] == 0
    assert look(machine, "wsl")["wsl"]["distributions"] == []
    assert ("distribution_export" in did) == export


@pytest.mark.usefixtures("home")
def test_where_there_is_no_distribution_any_more_there_is_nothing_to_take_out(
    rig: Rig, did: list[str], machine: Machine
) -> None:
    machine.data = fresh()
    assert rig("rebuild", "home", "--fresh", "--discard", "--yes")[0] == 0
    assert did == ["login home-win", "site home", "verify"]
    assert topics.decide("distribution", look(machine, "machine", "wsl"), {}).actions
