"""Environments as data."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gpurig import catalogue, environments, lockfile
from gpurig.errors import ConfigError

PROJECT = '[project]\nrequires-python = ">=3.11"\n[tool.gpurig]\ndisk_gb = 2\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "small"
    path.mkdir()
    (path / "pyproject.toml").write_text(PROJECT)
    (path / "requirements.lock").write_text("numpy==2.0 --hash=sha256:00\n")
    (path / "smoke.py").write_text("print()\n")
    return path


def test_an_environment_says_what_a_host_needs_to_know(folder: Path) -> None:
    found = environments.read(folder)
    assert (found.name, found.python, found.disk_gb, found.kernel) == ("small", ">=3.11", 2.0, False)
    assert found.files == ("pyproject.toml", "requirements.lock", "smoke.py")


def test_ipykernel_makes_it_a_kernel(folder: Path) -> None:
    (folder / "requirements.lock").write_text("ipykernel==7.4.0 --hash=sha256:00\n")
    assert environments.read(folder).kernel


def test_another_smoke_test_is_brought_over_without_a_new_installation(folder: Path) -> None:
    before = environments.read(folder)
    (folder / "smoke.py").write_text("print(1)\n")
    after = environments.read(folder)
    assert after.digest != before.digest
    assert after.packages_digest == before.packages_digest


@pytest.mark.parametrize(
    ("name", "text"),
    [("requirements.lock", "numpy==2.1 --hash=sha256:01\n"), ("pyproject.toml", PROJECT.replace("3.11", "3.12"))],
)
def test_another_lock_or_python_means_another_installation(folder: Path, name: str, text: str) -> None:
    before = environments.read(folder)
    (folder / name).write_text(text)
    assert environments.read(folder).packages_digest != before.packages_digest


def test_hidden_files_are_no_part_of_it(folder: Path) -> None:
    before = environments.read(folder)
    (folder / ".cache").write_text("x")
    assert environments.read(folder) == before


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock", "smoke.py"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=re.escape(name)):
        environments.read(folder)


@pytest.mark.parametrize(
    "text",
    ["[project", '[project]\nname = "x"\n', PROJECT.replace("2", '"much"'), PROJECT.replace("[tool.gpurig]", "[tool]")],
)
def test_a_broken_project_file_is_named(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        environments.read(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smoke_seconds = 0", "tool.gpurig.smoke_seconds: found 0; write whole seconds"),
        ("smoke_seconds = 1.5", "tool.gpurig.smoke_seconds: found 1.5"),
        ("smoke_seconds = true", "tool.gpurig.smoke_seconds: found True"),
        ("smoke_secnds = 9", "tool.gpurig.smoke_secnds: unknown key (did you mean 'smoke_seconds'?)"),
        ("variables = 3", "tool.gpurig.variables: found 3; write a table"),
        ("variables = { 'A B' = 'x' }", "tool.gpurig.variables.A B: not a good name"),
        ("variables = { A = 1 }", "tool.gpurig.variables.A: found 1; write text in quotes"),
        ('variables = { A = "it\'s" }', 'tool.gpurig.variables.A: found "it\'s"'),
        ('variables = { A = "x\\ny" }', "tool.gpurig.variables.A"),
        ("source = { url = 'https://x/y' }", "tool.gpurig.source.commit: missing; write the commit's full hash"),
        ("source = { url = 'https://x/y', commit = 'main' }", "tool.gpurig.source.commit: found 'main'"),
        ("source = { commit = '" + "a" * 40 + "', url = '-upload-pack=x' }", "tool.gpurig.source.url: found"),
        (
            "source = { commit = '" + "a" * 40 + "', url = 'https://x/y', branch = 'main' }",
            "tool.gpurig.source.branch: unknown key",
        ),
        (
            "source = { commit = '" + "a" * 40 + "', url = 'https://x/y', lock = 'poetry.lock' }",
            "tool.gpurig.source.lock: found",
        ),
        (
            "source = { commit = '" + "a" * 40 + "', url = 'https://x/y', extras = { tpu = 'x' } }",
            "extras.tpu: unknown key",
        ),
    ],
)
def test_a_wrong_key_is_named_with_what_to_write(folder: Path, text: str, said: str) -> None:
    (folder / "pyproject.toml").write_text(f"{PROJECT}{text}\n")
    with pytest.raises(ConfigError, match=re.escape(said)) as refused:
        environments.read(folder)
    assert f"{folder / 'pyproject.toml'}: " in str(refused.value)


@pytest.mark.parametrize("line", ["'nonsense ='", "'x @ https://h/x.whl'", "3"])
def test_a_dependency_that_cannot_be_locked_is_named(folder: Path, line: str) -> None:
    (folder / "pyproject.toml").write_text(PROJECT.replace("[tool", f"dependencies = [{line}]\n[tool"))
    with pytest.raises(ConfigError, match=r"project\.dependencies: "):
        environments.read(folder)


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ('[tool.uv.sources]\nmylib = { path = "../mylib" }', "tool.uv.sources", "tool.gpurig.source"),
        ('[[tool.uv.index]]\nurl = "https://h/simple"', "tool.uv.index", "UV_DEFAULT_INDEX"),
        ('[tool.uv.pip]\nextra-index-url = ["https://h/simple"]', "tool.uv.pip.extra-index-url", "--build cu126"),
    ],
)
def test_what_hosts_could_not_find_is_refused_by_its_key(folder: Path, text: str, key: str, said: str) -> None:
    (folder / "pyproject.toml").write_text(f"{PROJECT}{text}\n")
    with pytest.raises(ConfigError) as refused:
        environments.read(folder)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{folder / 'pyproject.toml'}: {key}: take it out: ")
    assert said in line


@pytest.mark.parametrize("name", ["dependencies", "optional-dependencies", "requires-python"])
def test_what_only_a_build_would_fill_in_is_refused(folder: Path, name: str) -> None:
    (folder / "pyproject.toml").write_text(PROJECT.replace("[tool", f'dynamic = ["version", "{name}"]\n[tool'))
    with pytest.raises(ConfigError, match=rf"project\.dynamic: found '{name}', .* write project\.{name} itself"):
        environments.read(folder)


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[project]\n[tool.gpurig]\ndisk_gb = -1\nvariables = { "1" = "x" }\n')
    (folder / "smoke.py").unlink()
    with pytest.raises(ConfigError) as refused:
        environments.read(folder)
    assert [line.split(": ")[1] for line in str(refused.value).splitlines()] == [
        "project.requires-python",
        "tool.gpurig.disk_gb",
        "tool.gpurig.variables.1",
        f"{folder} lacks smoke.py.",
    ]


def test_further_locks_are_further_builds(folder: Path) -> None:
    (folder / "requirements.lock").write_text(
        "torch==2.14.1 \\\n    --hash=sha256:00\ncuda-toolkit==13.0.3 --hash=sha256:00\n"
    )
    (folder / "requirements.cu126.lock").write_text("torch==2.14.1+cu126 --hash=sha256:00\n")
    (folder / "requirements.cpu.lock").write_text("torch==2.14.1+cpu --hash=sha256:00\n")
    found = environments.read(folder)
    assert [(lock.file, lock.build, lock.torch, lock.default) for lock in found.locks] == [
        ("requirements.lock", "cu130", "2.14.1", True),
        ("requirements.cpu.lock", "cpu", "2.14.1", False),
        ("requirements.cu126.lock", "cu126", "2.14.1", False),
    ]
    assert found.packages_digest == found.locks[0].digest
    assert len({lock.digest for lock in found.locks}) == 3


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_source_with_its_own_lock_needs_none_of_ours(folder: Path) -> None:
    (folder / "requirements.lock").unlink()
    text = f'[tool.gpurig.source]\nurl = "https://x/y"\ncommit = "{COMMIT}"\nlock = "uv.lock"\ntorch = "2.9.1"\ncuda = "12.8"\n'
    (folder / "pyproject.toml").write_text(f'{PROJECT}{text}extras = {{ gpu = "gpu", cpu = "cpu" }}\n')
    found = environments.read(folder)
    assert [(lock.file, lock.build, lock.extra) for lock in found.locks] == [
        ("uv.lock", "cu128", "gpu"),
        ("uv.lock", "cpu", "cpu"),
    ]
    other = environments.read(folder, {"url": "/srv/clone", "commit": COMMIT[::-1]})
    assert other.source is not None
    assert (other.source.url, other.source.commit, other.source.lock) == ("/srv/clone", COMMIT[::-1], "uv.lock")
    assert (other.digest, other.packages_digest) != (found.digest, found.packages_digest)


def test_the_same_commit_from_elsewhere_is_the_same(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(f'{PROJECT}[tool.gpurig.source]\nurl = "https://x/y"\ncommit = "{COMMIT}"\n')
    assert environments.read(folder, {"url": "/srv/clone"}).digest == environments.read(folder).digest


def test_a_misspelt_key_of_an_override_is_named(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=re.escape("environments_sources: small.comit: unknown key (did you mean 'commit'?)")
    ):
        environments.read(folder, {"url": "https://x/y", "comit": COMMIT})


def test_a_lock_that_does_not_match_is_told_with_the_command_to_run(folder: Path) -> None:
    made = lockfile.project_digest(tomllib.loads(PROJECT))
    for name in ("requirements.lock", "requirements.cpu.lock"):
        (folder / name).write_text(f"{lockfile.MADE_FROM}{made}\nnumpy==2.0 --hash=sha256:00\n")
    assert environments.stale(folder) == []
    (folder / "pyproject.toml").write_text(PROJECT.replace("disk_gb = 2", "disk_gb = 3"))
    assert environments.stale(folder) == []
    (folder / "pyproject.toml").write_text(PROJECT.replace("[tool", 'dependencies = ["numpy"]\n[tool'))
    default, cpu = environments.stale(folder)
    assert default.startswith(f"{folder / 'requirements.lock'}: does not match {folder / 'pyproject.toml'}")
    assert "Run `rig env lock small`." in default
    assert "Run `rig env lock small --build cpu`." in cpu


@pytest.mark.parametrize("name", catalogue.environments())
def test_a_shipped_environment_is_whole_and_its_locks_match_and_name_no_place(name: str) -> None:
    path = catalogue.ROOT / "environments" / name
    assert environments.read(path).name == name
    assert environments.stale(path) == []
    for file in path.glob("requirements*.lock"):
        lock = file.read_text()
        assert "--hash=sha256:" in lock
        assert "://" not in lock
