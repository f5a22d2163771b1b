"""Environments of one's own on a real host: chosen builds, sources, variables, and what is refused before anything changes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import config, environments, lifecycle, locking, new_environment, records
from gpurig.stack import Stack
from gpurig.verdict import Result
from tests.e2e.configured import Configured
from tests.e2e.small_environments import REPOSITORY, SMOKE, encoded, locked, noted, source, stand_in, write

ROOT = "/opt/gpurig/environments"

GPU = {
    "platform": "native",
    "driver": "580.95.05",
    "devices": [{"name": "NVIDIA GeForce RTX 4090", "capability": "8.9", "memory": 24 << 30}],
    "problem": "",
}


@pytest.fixture(scope="module")
def host(e2e_stack: Stack) -> Configured:
    """A container with uv, and no environment yet."""
    (e2e_stack.root / "Pulumi.test.yaml").write_text("config:\n  gpurig:hosts:\n    own: {provider: container}\n")
    wanted = config.load(e2e_stack).hosts["own"]
    made = Configured(e2e_stack, lifecycle.ensure(e2e_stack, "own", wanted, report=print))
    done = made.playbook("site.yml", "--tags=base,uv")
    assert done.returncode == 0, done.stdout + done.stderr
    made.root("apt-get install --yes --quiet=2 --no-install-recommends git >/dev/null")
    return made


Install = Callable[..., str]


@pytest.fixture
def install(host: Configured, tmp_path: Path) -> Install:
    """Installs environments of the test's own folder, with variables that win over all others; returns what Ansible says."""

    def run(*names: str, check: bool = False, **variables: object) -> str:
        given = {"gpurig_environments": list(names), "environments_source": str(tmp_path), **variables}
        options = ["--tags=environments", "--extra-vars", json.dumps(given), *(["--check"] if check else [])]
        done = host.playbook("site.yml", *options)
        return done.stdout + done.stderr

    return run


def verdicts(host: Configured, folder: Path, *names: str) -> dict[str, Result]:
    """What verification says of environments in this folder on a host where a GPU is expected, by the verdicts' names."""
    capabilities = replace(host.host.capabilities, gpu_driver="provided")
    variables = {"environments_source": str(folder)}
    records.save(host.stack, replace(host.host, environments=names, variables=variables, capabilities=capabilities))
    try:
        return {result.name: result for result in host.check("environments")}
    finally:
        records.save(host.stack, host.host)


def changed(said: str) -> int:
    return int(re.findall(r"changed=(\d+)", said)[-1])


def failed(said: str) -> int:
    return int(re.findall(r"failed=(\d+)", said)[-1])


def test_what_runs_from_it_gets_its_variables_and_a_second_run_changes_nothing(
    host: Configured, install: Install, tmp_path: Path
) -> None:
    locked(
        write(
            tmp_path / "tiny",
            'variables = { LIMIT = "a $HOME b", CACHE = "~/cache" }\n',
            dependencies='"six", "ipykernel"',
        )
    )
    said = install("tiny")
    assert failed(said) == 0, said
    home = host.root(f"getent passwd {host.host.endpoint.user} | cut -d: -f6").strip()
    assert (
        host.root(
            f"cd {ROOT}/tiny && set -a && . ./variables.env && .venv/bin/python -c 'import os, six; print(os.environ[\"LIMIT\"])'"
        )
        == "a $HOME b\n"
    )
    assert host.root(f"cat {ROOT}/tiny/variables.env").splitlines()[1:] == [
        "LIMIT='a $HOME b'",
        f"CACHE='{home}/cache'",
    ]
    kernel = json.loads(host.root("cat /usr/local/share/jupyter/kernels/gpurig-tiny/kernel.json"))
    assert kernel["env"] == {"LIMIT": "a $$HOME b", "CACHE": f"{home}/cache"}
    assert "LIMIT" not in host.root("cat /etc/environment /etc/profile /etc/profile.d/* 2>/dev/null || true")
    assert changed(install("tiny")) == 0


def test_everything_that_is_wrong_is_said_at_once_and_nothing_changes(
    host: Configured, install: Install, tmp_path: Path
) -> None:
    project = locked(write(tmp_path / "stale")) / "pyproject.toml"
    project.write_text(project.read_text().replace('"six"', '"six", "idna"'))
    locked(write(tmp_path / "huge", "").parent / "huge")
    file = tmp_path / "huge/pyproject.toml"
    file.write_text(file.read_text().replace("disk_gb = 0.1", "disk_gb = 99999"))
    (write(tmp_path / "broken", "smoke_seconds = -1\nvariabels = {}\n") / "requirements.lock").write_text(
        "six==1.17.0\n"
    )
    locked(write(tmp_path / "ancient", python=">=3.8,<3.9"))
    before = host.root(f"ls -AR {ROOT} | sha256sum")
    said = install(
        "stale",
        "huge",
        "broken",
        "ancient",
        "hge",
        environments_variables={"UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9"},
    )
    assert "no environment was changed" in said
    assert "stale/requirements.lock: does not match" in said
    assert "99999 GB must be free there" in said or "99999.2 GB must be free there" in said
    assert "tool.gpurig.smoke_seconds: found -1" in said
    assert "tool.gpurig.variabels: unknown key (did you mean 'variables'?)" in said
    assert "names hge, which does not exist (did you mean 'huge'?)" in said
    assert "ancient: project.requires-python in its pyproject.toml says >=3.8,<3.9" in said
    assert "http://127.0.0.1:9/" in said
    assert host.root(f"ls -AR {ROOT} | sha256sum") == before


def test_a_network_that_is_lost_in_the_middle_leaves_the_old_one_in_use(
    host: Configured, install: Install, tmp_path: Path
) -> None:
    folder = locked(write(tmp_path / "cut", dependencies='"six==1.16.0"'))
    assert failed(install("cut")) == 0
    before = host.root(f"ls -A {ROOT}/cut; readlink {ROOT}/cut/.venv; cat {ROOT}/cut/.installed")
    write(folder, dependencies='"six==1.17.0", "tomli-w"')
    locked(folder)
    gone = {
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
        "UV_HTTP_RETRIES": "0",
        "UV_NO_CACHE": "1",
    }
    said = install("cut", environments_variables=gone)
    assert "could not be installed (Install what its lock says)" in said
    assert "The one in use stays as it is" in said
    assert host.root(f"ls -A {ROOT}/cut; readlink {ROOT}/cut/.venv; cat {ROOT}/cut/.installed") == before
    assert host.root(f"{ROOT}/cut/.venv/bin/python -c 'import six; print(six.__version__)'") == "1.16.0\n"
    assert failed(install("cut")) == 0
    assert host.root(f"{ROOT}/cut/.venv/bin/python -c 'import six; print(six.__version__)'") == "1.17.0\n"


@pytest.fixture
def with_torch(host: Configured, tmp_path: Path) -> dict[str, str]:
    """An environment `net` with stand-ins for PyTorch and CUDA, and the variables with which uv finds them on the host.

    The lock says CUDA 13.0, and the PyTorch that comes is for a CPU: as from a mirror that has other files.
    """
    folder = write(tmp_path / "net", dependencies='"torch"')
    wheels = [
        stand_in(
            tmp_path, "torch", "2.14.1", "torch/version.py", "__version__ = '2.14.1+cpu'\ncuda = None\nhip = None\n"
        ),
        stand_in(tmp_path, "cuda_toolkit", "13.0.3", "cuda_toolkit/__init__.py", ""),
    ]
    host.root("mkdir -p /srv/wheels")
    for wheel in wheels:
        host.root(f"base64 -d > /srv/wheels/{wheel.name} <<'END'\n{encoded(wheel)}\nEND\n")
    pins = [f"{wheel.name.split('-')[0].replace('_', '-')}=={wheel.name.split('-')[1]}" for wheel in wheels]
    lines = [
        f"{pin} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
        for pin, wheel in zip(pins, wheels, strict=True)
    ]
    (folder / "requirements.lock").write_text(noted(folder) + "\n".join(lines) + "\n")
    (folder / "requirements.cu126.lock").write_text(noted(folder) + "torch==2.14.1+cu126 --hash=sha256:00\n")
    return {"UV_FIND_LINKS": "/srv/wheels", "UV_NO_INDEX": "1"}


def test_a_pytorch_for_a_cpu_is_refused_where_a_gpu_is_expected(
    host: Configured, install: Install, with_torch: dict[str, str]
) -> None:
    said = install("net", gpurig_gpu=GPU, environments_gpu_expected=True, environments_variables=with_torch)
    assert "PyTorch 2.14.1+cpu is built for a CPU, and a GPU is expected" in said
    assert "net" in host.root(f"ls {ROOT}")
    assert host.root(f"ls -A {ROOT}/net") == ""
    said = install("net", environments_variables=with_torch)
    assert failed(said) == 0, said


@pytest.mark.parametrize(
    ("driver", "capability", "words"),
    [
        ("560.35.03", "8.9", "requirements.cu126.lock cu126"),
        ("", "", "a GPU is expected here, but no NVIDIA driver is loaded"),
    ],
)
def test_the_build_follows_from_driver_and_gpu(
    install: Install, with_torch: dict[str, str], driver: str, capability: str, words: str
) -> None:
    gpu = {
        **GPU,
        "driver": driver,
        "devices": [{"name": "a GPU", "capability": capability, "memory": 1}] if driver else [],
    }
    said = install("net", check=True, gpurig_gpu=gpu, environments_gpu_expected=True, environments_variables=with_torch)
    assert words in said


@pytest.fixture
def repository(host: Configured) -> list[str]:
    """A stand-in for somebody's repository, on the host itself; returns its two commits."""
    return host.root(REPOSITORY.replace("USER", host.host.endpoint.user)).split()


def test_a_source_is_at_its_commit_and_the_old_one_stays_when_the_new_one_cannot_be_had(
    host: Configured, install: Install, tmp_path: Path, repository: list[str]
) -> None:
    first, second = repository
    folder = locked(write(tmp_path / "sourced", source("/srv/repository", first)))
    said = install("sourced")
    assert failed(said) == 0, said
    program = f"{ROOT}/sourced/.venv/bin/python {ROOT}/sourced/source/program.py"
    assert host.root(program) == "first\n"
    said = install("sourced", environments_sources={"sourced": {"url": "/srv/repository", "commit": "1" * 40}})
    assert f"The repository has no commit {'1' * 40}" in said
    assert host.root(program) == "first\n"
    said = install("sourced", environments_sources={"sourced": {"url": "https://127.0.0.1:9/x", "commit": second}})
    assert "could not be installed (Check out its source)" in said
    assert host.root(program) == "first\n"
    assert "environments_sources.surced: there is no such environment (did you mean 'sourced'?)" in install(
        "sourced", environments_sources={"surced": {"url": "/srv/repository", "commit": second}}
    )
    assert (
        failed(install("sourced", environments_sources={"sourced": {"url": "/srv/repository", "commit": second}})) == 0
    )
    assert host.root(program) == "second\n"
    assert (
        changed(install("sourced", environments_sources={"sourced": {"url": "/srv/repository", "commit": second}})) == 0
    )
    write(folder, source("/srv/repository", first))
    assert failed(install("sourced")) == 0
    assert host.root(program) == "first\n"


def test_the_own_lock_of_a_source_makes_the_environment(
    host: Configured, install: Install, tmp_path: Path, repository: list[str]
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "theirs"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six==1.16.0"]\n'
        '[project.optional-dependencies]\ncpu = ["idna"]\ngpu = ["tomli-w"]\n'
        '[tool.uv]\nconflicts = [[{extra = "cpu"}, {extra = "gpu"}]]\n'
    )
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "lock", "--quiet", f"--project={project}"], check=True)
    for name in ("pyproject.toml", "uv.lock"):
        host.root(f"cat > /srv/repository/{name} <<'END'\n{(project / name).read_text()}\nEND\n")
    commit = host.root(
        "cd /srv/repository && git config --global --add safe.directory '*' && git add . && git commit --quiet -m lock && git rev-parse HEAD"
        f" && chown -R {host.host.endpoint.user} ."
    ).strip()
    write(
        tmp_path / "theirs",
        source("/srv/repository", commit, 'lock = "uv.lock"\nextras = { gpu = "gpu", cpu = "cpu" }\n'),
    )
    said = install("theirs")
    assert failed(said) == 0, said
    python = f"{ROOT}/theirs/.venv/bin/python"
    assert host.root(f"{python} -c 'import six, idna; print(six.__version__)'") == "1.16.0\n"
    assert "uv.lock cpu" in host.root(f"cat {ROOT}/theirs/.installed")
    assert changed(install("theirs")) == 0
    packages = "theirs: packages"
    assert verdicts(host, tmp_path, "theirs")[packages].verdict == "PASS"
    host.root(f"rm -r {ROOT}/theirs/.venv/lib/python3*/site-packages/idna*")
    assert verdicts(host, tmp_path, "theirs")[packages].verdict == "FAIL"
    said = install("theirs", gpurig_gpu=GPU, environments_gpu_expected=True)
    assert failed(said) == 0, said
    host.root(f"{python} -c 'import tomli_w'")


def test_from_a_requirements_file_to_a_smoke_test(host: Configured, install: Install, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six>=1.16  # mine\npython-dateutil\n")
    folder = new_environment.make(tmp_path, "mine", str(tmp_path / "requirements.txt"), report=print)
    locking.lock(folder, report=print)
    assert environments.stale(folder) == []
    said = install("mine")
    assert failed(said) == 0, said
    answer = json.loads(host.root(f"cd {ROOT}/mine && .venv/bin/python smoke.py"))
    assert (answer["task"], answer["packages"], answer["modules"]) == ("imports", 2, 2)


def test_verification_tells_what_was_changed_and_what_computes_on_the_cpu_only(
    host: Configured, install: Install, tmp_path: Path, repository: list[str], with_torch: dict[str, str]
) -> None:
    commit = repository[1]
    keys = 'smoke_seconds = 1\nvariables = { WAIT = "3" }\n'
    folder = locked(write(tmp_path / "checked", keys + source("/srv/repository", commit)))
    (folder / "smoke.py").write_text(f"import os, time\ntime.sleep(int(os.environ['WAIT']))\n{SMOKE}")
    assert failed(install("checked")) == 0
    assert failed(install("net", environments_variables=with_torch)) == 0
    found = verdicts(host, tmp_path, "checked", "net")
    good = ["version", "files", "variables", "source", "packages", "installed files"]
    assert [found[f"checked: {name}"].verdict for name in good] == ["PASS"] * len(good)
    assert (found["checked: smoke test"].verdict, found["checked: smoke test"].value) == ("FAIL", "gave up after 1 s")
    build = found["net: PyTorch's build"]
    assert (build.verdict, build.value) == ("FAIL", "2.14.1+cpu, for a CPU")
    host.root(f"echo 'print(3)' > {ROOT}/checked/source/program.py; sed -i s/3/0/ {ROOT}/checked/variables.env")
    found = verdicts(host, tmp_path, "checked", "net")
    assert found["checked: source"].verdict == "FAIL"
    assert found["checked: source"].value == f"{commit}, changed: program.py"
    assert (found["checked: variables"].verdict, found["checked: variables"].value) == ("FAIL", "WAIT='0'")
    assert found["checked: smoke test"].verdict == "PASS"
