"""`rig env new`: the folder of one's own environment, from whatever there is."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from gpurig import environments, new_environment, origins, requirements_file
from gpurig.errors import ConfigError
from tests.unit.environment_folders import make, write


def project_of(folder: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    return subprocess.run(
        ["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def committed(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=x")
    return git(folder, "rev-parse", "HEAD")


class TestNew:
    def test_from_nothing_it_has_all_but_a_lock(self, tmp_path: Path) -> None:
        folder = make(tmp_path / "mine")
        assert sorted(path.name for path in folder.iterdir()) == ["pyproject.toml", "smoke.py"]
        with pytest.raises(ConfigError, match=r"lacks requirements\.lock; `rig env lock mine` makes it"):
            environments.read(folder)

    def test_nothing_is_ever_overwritten(self, tmp_path: Path) -> None:
        (make(tmp_path / "mine") / "smoke.py").write_text("mine")
        with pytest.raises(ConfigError, match="exists already; nothing was changed"):
            make(tmp_path / "mine")
        assert (tmp_path / "mine/smoke.py").read_text() == "mine"

    @pytest.mark.parametrize("name", ["Mine", "a b", "../x", "-x", "", "."])
    def test_a_bad_name_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="not a good name"):
            new_environment.make(tmp_path, name, "", report=print)
        assert list(tmp_path.iterdir()) == []

    def test_requirements_are_taken_over_with_those_they_include(self, tmp_path: Path) -> None:
        (tmp_path / "r.txt").write_text(
            "# mine\nnumpy==2.4.6 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n-r more.txt\n--constraint=limits.txt\n"
        )
        (tmp_path / "more.txt").write_text('torch>=2.14  # big\npywin32; sys_platform == "win32"\n')
        (tmp_path / "limits.txt").write_text("scipy<1.13\n")
        folder = make(tmp_path / "mine", tmp_path / "r.txt")
        project = project_of(folder)
        assert project["project"]["dependencies"] == [
            "numpy==2.4.6",
            "torch>=2.14",
            'pywin32; sys_platform == "win32"',
            "ipykernel",
        ]
        assert project["tool"]["uv"] == {"constraint-dependencies": ["scipy<1.13"]}
        assert project["tool"]["gpurig"] == {"disk_gb": new_environment.DISK_GB_TORCH}
        assert 'PACKAGES = ["numpy", "torch"]\n' in (folder / "smoke.py").read_text()

    def test_lines_that_cannot_be_locked_are_all_named_and_nothing_is_made(self, tmp_path: Path) -> None:
        file = tmp_path / "r.txt"
        file.write_text("numpy\n--index-url https://x\n-e .\nx @ https://h/x.whl\ngit+https://h/x\n")
        with pytest.raises(ConfigError) as refused:
            make(tmp_path / "mine", file)
        assert [line.split(": ")[0] for line in str(refused.value).splitlines()] == [
            f"{file}, line {n}" for n in (2, 3, 4, 5)
        ]
        assert not (tmp_path / "mine").exists()

    @pytest.mark.parametrize(
        ("line", "option", "instead"),
        [
            ("-e .", "-e", "Name what it needs instead"),
            ("-e./mine", "-e", "with `--from URL@COMMIT`"),
            ("--editable=git+https://h/x", "--editable", "a folder has no hashes"),
            ("-i https://x", "-i", "mirrors are settings of uv"),
            ("--extra-index-url=https://x", "--extra-index-url", "`--build` chooses CUDA"),
            ("--pre", "--pre", "take the line out"),
        ],
    )
    def test_an_option_that_cannot_be_taken_over_is_told_what_to_do_instead(
        self, tmp_path: Path, line: str, option: str, instead: str
    ) -> None:
        file = tmp_path / "r.txt"
        file.write_text(f"numpy\n{line}\n")
        with pytest.raises(ConfigError) as refused:
            requirements_file.read(file)
        assert str(refused.value).startswith(f"{file}, line 2: {option} cannot be taken over: ")
        assert instead in str(refused.value)

    def test_files_are_included_however_that_is_written(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("-rb.txt\n--requirement=c.txt\n-c d.txt\n")
        for name, package in (("b", "numpy"), ("c", "scipy"), ("d", "six<2")):
            (tmp_path / f"{name}.txt").write_text(package)
        assert requirements_file.read(tmp_path / "a.txt") == (["numpy", "scipy"], ["six<2"])

    def test_a_project_is_taken_over_with_what_it_lacks(self, tmp_path: Path) -> None:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        (theirs / "pyproject.toml").write_text(
            '# kept\n[project]  # theirs\nname = "x"\nversion = "1"\ndependencies = ["six"]\n'
        )
        (theirs / "train.py").write_text("")
        folder = make(tmp_path / "mine", theirs)
        assert (folder / "pyproject.toml").read_text().startswith("# kept\n")
        assert project_of(folder)["project"]["requires-python"] == origins.PYTHON
        assert project_of(folder)["tool"]["gpurig"] == {"disk_gb": new_environment.DISK_GB}
        assert sorted(path.name for path in folder.iterdir()) == ["pyproject.toml", "smoke.py"]

    def test_an_environment_from_elsewhere_is_taken_over_whole(self, tmp_path: Path) -> None:
        theirs = write(tmp_path / "theirs")
        (theirs / "smoke.py").write_text("theirs")
        folder = make(tmp_path / "mine", theirs)
        assert environments.stale(folder) == []
        assert (folder / "smoke.py").read_text() == "theirs"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[tool.poetry]\n", "has no table [project]"),
            ("[project\n", "cannot be read as TOML"),
            ('[project]\nrequires-python = ">=3"\n[tool.gpurig]\ndisk = 1\n', "tool.gpurig.disk: unknown key"),
            (
                '[project]\nname = "x"\ndynamic = ["version", "dependencies"]\n',
                "pyproject.toml: project.dynamic: found 'dependencies'",
            ),
        ],
    )
    def test_a_project_that_is_broken_is_refused(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "pyproject.toml").write_text(text)
        with pytest.raises(ConfigError, match=re.escape(said)):
            make(tmp_path / "envs" / "mine", tmp_path)
        assert not (tmp_path / "envs" / "mine").exists()

    def test_a_conda_environment_keeps_its_file(self, tmp_path: Path) -> None:
        file = tmp_path / "environment.yml"
        file.write_text(
            "name: x\nchannels: [conda-forge]\ndependencies:\n- conda-forge::python=3.11.4\n- numpy>=2\n- pip:\n  - six\n"
        )
        folder = make(tmp_path / "mine", file)
        assert (folder / "environment.yml").read_text() == file.read_text()
        assert project_of(folder)["project"]["requires-python"] == "==3.11.*"
        assert 'PACKAGES = ["six"]' in (folder / "smoke.py").read_text()

    def test_what_is_no_conda_environment_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "environment.yml").write_text("- a\n")
        with pytest.raises(ConfigError, match="this is no conda environment"):
            make(tmp_path / "mine", tmp_path / "environment.yml")

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ({"requirements.txt": "six\n"}, "ipykernel added to the dependencies"),
            ({"requirements.txt": "IPyKernel>=6\n"}, ""),
            ({"pyproject.toml": '[project]\nname = "x"\ndependencies = ["six"]\n'}, "it will be no Jupyter kernel"),
            ({"pyproject.toml": '[project]\nname = "x"\ndependencies = ["ipykernel"]\n'}, ""),
        ],
    )
    def test_whether_it_will_be_a_jupyter_kernel_is_said(
        self, tmp_path: Path, files: dict[str, str], said: str
    ) -> None:
        origin = tmp_path / "origin"
        origin.mkdir()
        for name, text in files.items():
            (origin / name).write_text(text)
        lines: list[str] = []
        found = origins.read(str(origin), lines.append)
        assert said in "".join(lines)
        assert bool(lines) == bool(said)
        assert found.project or len([line for line in found.dependencies if "ipykernel" in line.lower()]) == 1

    @pytest.mark.parametrize("url", ["https://h/x.git", "git@h:x", "/srv/x.git"])
    def test_a_commit_that_was_cut_off_is_said(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(ConfigError, match="the commit abc123 is too short; write its full hash of 40 characters"):
            make(tmp_path / "mine", f"{url}@abc123")

    @pytest.mark.parametrize("origin", ["/nowhere/x", "https://h/x@main", "x@" + "a" * 40])
    def test_what_is_not_there_is_said(self, tmp_path: Path, origin: str) -> None:
        with pytest.raises(ConfigError, match="there is no such file or folder"):
            make(tmp_path / "mine", origin)


class TestRepository:
    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        """A stand-in for somebody's repository."""
        folder = tmp_path / "repository"
        folder.mkdir()
        git(folder, "init", "--quiet")
        return folder

    def test_its_own_lock_makes_the_environment(self, repository: Path, tmp_path: Path) -> None:
        (repository / "pyproject.toml").write_text(
            '[project]\nname = "x"\nrequires-python = ">=3.10"\ndependencies = ["torch==2.9.1", "tiktoken"]\n'
            "[project.optional-dependencies]\ncpu = []\ngpu = []\ndev = []\n"
        )
        (repository / "uv.lock").write_text(
            '[[package]]\nname = "torch"\nversion = "2.9.1"\n\n[[package]]\nname = "torch"\nversion = "2.9.1+cu128"\n'
        )
        commit = committed(repository)
        folder = make(tmp_path / "mine", f"{repository}@{commit}")
        assert project_of(folder)["tool"]["gpurig"]["source"] == {  # type: ignore[index]  # TOML
            "url": str(repository),
            "commit": commit,
            "lock": "uv.lock",
            "extras": {"gpu": "gpu", "cpu": "cpu"},
            "torch": "2.9.1",
            "cuda": "12.8",
        }
        found = environments.read(folder)
        assert (found.how, [lock.build for lock in found.locks]) == ("source", ["cu128", "cpu"])
        assert 'PACKAGES = ["tiktoken", "torch"]' in (folder / "smoke.py").read_text()

    def test_without_one_its_dependencies_are_to_be_locked_here(self, repository: Path, tmp_path: Path) -> None:
        (repository / "requirements.txt").write_text("six\n")
        commit = committed(repository)
        (repository / "requirements.txt").write_text("idna\n")
        committed(repository)
        folder = make(tmp_path / "mine", f"{repository}@{commit}")
        assert project_of(folder)["project"]["dependencies"] == ["six", "ipykernel"]
        assert project_of(folder)["tool"]["gpurig"]["source"] == {"url": str(repository), "commit": commit}  # type: ignore[index]  # TOML

    def test_dependencies_that_only_its_build_knows_are_said(self, repository: Path, tmp_path: Path) -> None:
        (repository / "pyproject.toml").write_text('[project]\nname = "x"\ndynamic = ["dependencies"]\n')
        commit = committed(repository)
        with pytest.raises(ConfigError, match=r"pyproject\.toml: project\.dynamic: found 'dependencies'"):
            make(tmp_path / "mine", f"{repository}@{commit}")

    def test_a_commit_that_is_not_there_is_said(self, repository: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=f"--from {repository}@{'a' * 40}: git says: "):
            make(tmp_path / "mine", f"{repository}@{'a' * 40}")
