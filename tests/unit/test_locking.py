"""`rig env lock` and `rig env list`; and the smoke test that a new environment begins with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpurig import catalogue, conda, environments, locking, new_environment
from gpurig.cli import main
from gpurig.errors import ConfigError, RigError
from tests.unit.environment_folders import make, write


class TestLock:
    @pytest.mark.parametrize(
        ("specifier", "least"),
        [
            (">=3.11", "3.11"),
            (">=3.10,<3.12", "3.10"),
            ("==3.11.*", "3.11"),
            (">=3.10.4", "3.10"),
            (">3.11.2", "3.11"),
            ("<3.13", "3.8"),
        ],
    )
    def test_it_holds_from_the_oldest_python_on(self, specifier: str, least: str) -> None:
        assert locking.least_python(specifier) == least

    def test_another_build_keeps_the_versions_that_every_build_has(self) -> None:
        default = (
            "# pyproject: sha256:00\n"
            "cuda-toolkit[cublas]==13.0.3 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n"
            "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n"
            "numpy==2.5.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:00\n"
            "nvidia-cublas==13.1.0.3 \\\n    --hash=sha256:00\n"
            "torch==2.14.1 \\\n    --hash=sha256:00\n"
            "triton==3.6.0 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n"
            "uvicorn[standard]==0.54.0 \\\n    --hash=sha256:00\n"
        )
        assert locking.constraints(default).splitlines() == [
            "numpy==2.4.6 ; python_full_version < '3.12'",
            "numpy==2.5.5 ; python_full_version >= '3.12'",
            "torch==2.14.1",
            "uvicorn==0.54.0",
        ]
        assert (
            locking.constraints("torch==2.14.1+cu130 ; sys_platform == 'linux' \\\n")
            == "torch==2.14.1 ; sys_platform == 'linux'\n"
        )

    @pytest.mark.parametrize(
        ("build", "said"),
        [("cu12.6", "write cpu, or CUDA's version as in cu126"), ("cu126", "has no PyTorch, and only that has builds")],
    )
    def test_a_build_that_cannot_be_is_refused(self, tmp_path: Path, build: str, said: str) -> None:
        with pytest.raises(ConfigError, match=re.escape(said)):
            locking.lock(write(tmp_path / "mine"), build=build, report=print)

    def test_the_default_lock_comes_first(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="`rig env lock mine` comes first"):
            locking.lock(make(tmp_path / "mine"), build="cpu", report=print)

    def test_an_environment_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="`rig env new mine` makes a new environment"):
            locking.lock(tmp_path / "mine", report=print)

    def test_a_lock_that_no_host_could_install_is_not_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = "../mylib\nsix==1.17.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\nidna==3.10\n"
        folder = write(tmp_path / "mine")
        before = (folder / "requirements.lock").read_bytes()
        monkeypatch.setattr(locking, "_run", lambda command, *_: written(command, made))
        with pytest.raises(ConfigError) as refused:
            locking.lock(folder, report=print)
        lines = str(refused.value).splitlines()
        key = f"{folder}/pyproject.toml: project.dependencies:"
        assert [line.partition(" is no version of a package with a hash")[0] for line in lines] == [
            f"{key} '../mylib'",
            f"{key} 'idna==3.10'",
            f"{folder}/requirements.lock: was not written.",
        ]
        assert (folder / "requirements.lock").read_bytes() == before

    def test_an_empty_lock_is_not_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = write(tmp_path / "mine")
        monkeypatch.setattr(locking, "_run", lambda command, *_: written(command, "# nothing\n"))
        with pytest.raises(ConfigError, match=r"project\.dependencies: there is nothing to install; write a list"):
            locking.lock(folder, report=print)

    def test_what_fails_leaves_the_lock_that_was_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = write(tmp_path / "mine", more="[project.optional-dependencies]\n")
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        monkeypatch.setenv("UV_NO_CACHE", "1")
        (folder / "pyproject.toml").write_text(
            (folder / "pyproject.toml")
            .read_text()
            .replace("[tool", 'name = "x"\nversion = "1"\ndependencies = ["six"]\n[tool')
        )
        before["pyproject.toml"] = (folder / "pyproject.toml").read_bytes()
        with pytest.raises(RigError, match=r"requirements\.lock: could not be made from .*uv says:"):
            locking.lock(folder, report=print)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def written(command: list[str], lock: str) -> None:
    """Do as if uv had made this lock."""
    (file,) = [word for word in command if word.startswith("--output-file=")]
    Path(file.partition("=")[2]).write_text(lock)


class TestConda:
    """With a stand-in for pixi, which the machines that test this cannot download."""

    PIXI = """#!/bin/sh
case $1 in
init)
    [ "$3" = --format=pixi ] && [ "$5" = --platform=linux-64 ] || exit 2
    [ "${4#--import=}" = "$2/environment.yml" ] || exit 2
    echo '[workspace]' >"$2/pixi.toml" ;;
lock) echo 'version: 6' >"$(dirname "${2#--manifest-path=}")/pixi.lock" ;;
*) exit 2 ;;
esac
"""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        file = tmp_path / "environment.yml"
        file.write_text("dependencies: [python=3.11, numpy]\n")
        return make(tmp_path / "mine", file)

    @pytest.fixture
    def pixi(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        program = tmp_path / "bin" / "pixi"
        program.parent.mkdir()
        program.write_text(self.PIXI)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        return program

    def test_pixi_makes_the_lock(self, folder: Path, pixi: Path) -> None:
        locking.lock(folder, report=print)
        found = environments.read(folder)
        assert (found.how, found.locks[0].file, found.python) == ("conda", "pixi.lock", "==3.11.*")
        files = ["environment.yml", "pixi.lock", "pixi.toml", "pyproject.toml", "smoke.py"]
        assert sorted(path.name for path in folder.iterdir()) == files
        assert environments.stale(folder) == []
        (folder / "environment.yml").write_text("dependencies: [python=3.11, scipy]\n")
        assert environments.stale(folder) == [
            f"{folder}/pixi.lock: does not match {folder}/environment.yml. Run `rig env lock mine`."
        ]

    def test_without_pixi_it_is_said_how_to_go_on(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(RigError, match=r"environment\.yml: pixi makes its lock, and is not on PATH here"):
            locking.lock(folder, report=print)

    def test_what_pixi_refuses_leaves_the_lock_that_was_there(self, folder: Path, pixi: Path) -> None:
        locking.lock(folder, report=print)
        before = (folder / conda.LOCK).read_bytes()
        pixi.write_text("#!/bin/sh\necho 'no such package' >&2\nexit 1\n")
        with pytest.raises(RigError, match=r"could not be locked\. pixi says:\nno such package"):
            locking.lock(folder, report=print)
        assert (folder / conda.LOCK).read_bytes() == before

    def test_it_has_no_builds(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match="a conda environment has no builds"):
            locking.lock(folder, build="cu126", report=print)


class TestSmoke:
    def test_what_it_prints_is_what_verification_takes(self, tmp_path: Path) -> None:
        file = tmp_path / "smoke.py"
        file.write_text(new_environment.smoke(["packaging", "pyyaml>=6", 'tomli; python_version < "3"']))
        done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        assert (answer["task"], answer["packages"]) == ("imports", 2)
        assert answer["modules"] >= 2
        assert answer["seconds"] >= 0

    def test_a_package_that_is_missing_fails(self, tmp_path: Path) -> None:
        file = tmp_path / "smoke.py"
        file.write_text(new_environment.smoke(["gpurig-has-no-such-package"]))
        done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=False)
        assert done.returncode
        assert "gpurig-has-no-such-package" in done.stderr


class TestCommand:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["frobnicate"], "write one of list, new, lock"),
            (["new"], "NAME is missing"),
            (["new", "x", "--build", "cpu"], "rig env new: takes no --build"),
            (["list", "--upgrade"], "rig env list: takes no --upgrade"),
            (["lock", "--build", "cpu"], "NAME is missing; say which environment"),
            (["lock", "nowhere"], "`rig env new nowhere` makes a new environment"),
            (["list", "nowhere"], "`rig env new nowhere` makes a new environment"),
            (["list", "pytorh"], "there is none (did you mean 'pytorch'?)"),
        ],
    )
    def test_wrong_use_is_told(self, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["env", *words])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err

    def test_the_list_shows_every_environment_and_what_is_wrong_with_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "environments").mkdir()
        write(tmp_path / "environments" / "good", lock="torch==2.14.1+cpu --hash=sha256:00\n")
        write(tmp_path / "environments" / "stale", noted="other")
        monkeypatch.setattr(catalogue, "ROOT", tmp_path)
        catalogue.environments.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(["env", "--json"])
        catalogue.environments.cache_clear()
        assert ended.value.code == 0
        good, stale = json.loads(capsys.readouterr().out)
        assert (good["name"], good["builds"], good["problems"]) == ("good", ["cpu"], [])
        assert "does not match" in stale["problems"][0]
