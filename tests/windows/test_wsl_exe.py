"""The simulated wsl.exe speaks and refuses as the real one, whatever the display language."""

from __future__ import annotations

import pytest

from gpurig.windows import account, wire
from tests.windows.model import boot, wsl_exe, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine
from tests.windows.model.twins_wsl import native
from tests.windows.rounds import look

LANGUAGES = ["en-US", "de-DE", "zh-CN"]


def ready(language: str = "en-US", *names: str) -> Machine:
    """A PC with WSL and these distributions."""
    machine = Machine(fresh(language=language))
    machine.data["features"][wsl_vm.VMP] = "enabled"
    machine.data["wsl"]["version"] = "2.6.3.0"
    boot.boot(machine)
    for name in names:
        wsl_vm.install(machine, name, "")
    return machine


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_own_words_are_utf_16_without_a_mark(language: str) -> None:
    code, out, err = wsl_exe.run(ready(language), ["--version"])
    assert (code, err) == (0, b"")
    lines = out.decode("utf-16-le").split("\r\n")
    assert not out.startswith(b"\xff\xfe")
    assert [line.rpartition(" ")[2] for line in lines[:2]] == ["2.6.3.0", "6.6.87.2-1"]
    assert len(lines) == 8


def test_utf_8_when_asked() -> None:
    assert wsl_exe.run(ready(), ["--version"], environment={"WSL_UTF8": "1"})[1].startswith(b"WSL version: 2.6.3.0\r\n")


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_failures_are_minus_one_with_a_token_on_its_output(language: str) -> None:
    code, out, err = wsl_exe.run(ready(language, "Debian"), ["--terminate", "Ubuntu"])
    assert (code, err) == (-1, b"")
    assert out.decode("utf-16-le").endswith(": Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n")


@pytest.mark.parametrize("arguments", [["--start", "Debian"], ["--list", "--nonsense"], [], ["--boot"]])
def test_an_unknown_argument_is_refused(arguments: list[str]) -> None:
    assert wsl_exe.run(ready("en-US", "Debian"), arguments)[0] == -1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_of_none_that_run_is_empty_and_fine(language: str) -> None:
    machine = ready(language, "Debian")
    assert wsl_exe.run(machine, ["--list", "--running", "--quiet"])[:2] == (0, b"")
    assert wsl_exe.run(machine, ["--list", "--running"])[0] == -1
    assert wsl_exe.run(ready(language), ["--list", "--quiet"])[:2] == (0, b"")
    assert wsl_exe.run(ready(language), ["--list"])[0] == -1
    wsl_vm.start(machine, "Debian")
    assert account.running(look(machine, "wsl")["wsl"]) == ("Debian",)


def test_the_table_has_the_real_columns() -> None:
    machine = ready("de-DE", "Ubuntu-24.04", "Debian")
    wsl_vm.start(machine, "Debian")
    assert wire.text_of(native(wsl_exe.run(machine, ["--list", "--verbose"]))) == (  # type: ignore[arg-type]
        "  NAME            STATE           VERSION\n"
        "* Ubuntu-24.04    Stopped         2\n"
        "  Debian          Running         2\n"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_the_feature_nothing_starts(language: str) -> None:
    machine = ready(language, "Debian")
    machine.data["hypervisor"] = False
    code, out, _ = wsl_exe.run(machine, ["-d", "Debian", "--exec", "/bin/true"])
    assert code == -1
    assert "HCS_E_HYPERV_NOT_INSTALLED" in out.decode("utf-16-le")


def test_a_name_is_taken_once() -> None:
    machine = ready("en-US", "Debian")
    machine.data["blobs"] = {"D:\\debian.wsl": {"sha256": "", "size": 1}}
    code, out, _ = wsl_exe.run(
        machine, ["--install", "--from-file", "D:\\debian.wsl", "--name", "debian", "--no-launch"]
    )
    assert code == -1
    assert "ERROR_ALREADY_EXISTS" in out.decode("utf-16-le")


def test_the_users_default_version_is_taken_unless_another_is_asked_for() -> None:
    machine = ready()
    machine.registry(wsl_vm.LXSS)["DefaultVersion"] = 1
    machine.data["blobs"] = {"D:\\debian.wsl": {"sha256": "", "size": 1}}
    command = ["--install", "--from-file", "D:\\debian.wsl", "--no-launch"]
    wsl_exe.run(machine, [*command, "--name", "One"])
    wsl_exe.run(machine, [*command, "--name", "Two", "--version", "2"])
    assert [one["wsl"] for one in look(machine, "wsl")["wsl"]["distributions"]] == [1, 2]


def test_a_running_distribution_is_not_moved() -> None:
    machine = ready("en-US", "Debian")
    wsl_vm.start(machine, "Debian")
    code, out, _ = wsl_exe.run(machine, ["--manage", "Debian", "--move", "D:\\Debian"])
    assert code == -1
    assert "WSL_E_DISTRO_NOT_STOPPED" in out.decode("utf-16-le")


class Says:
    """A Linux that says one thing."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def create(self) -> None: ...
    def destroy(self) -> None: ...

    def run(self, script: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        return 3, f"{script} {arguments} ü\n".encode(), b"why\n"


def test_what_linux_says_passes_through() -> None:
    machine = ready("en-US", "Debian")
    machine.linux = {"Debian": Says()}
    said = wsl_exe.run(machine, ["-d", "Debian", "-u", "root", "--exec", "/bin/sh", "-s", "--", "a"], b"uname")
    assert said == (3, "uname ['a'] ü\n".encode(), b"why\n")
    assert machine.data["wsl"]["running"] == ["Debian"]


def test_the_stub_opens_nothing_in_session_0() -> None:
    code, out, _ = wsl_exe.stub(ready("de-DE"))
    assert code == -1
    assert out.decode("utf-16-le") == "Auf die Datei kann vom System nicht zugegriffen werden.\r\n"
