"""ML environments: exactly what their locks say, unchanged since they were installed, and able to train something."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpurig import catalogue, environments, lockfile
from gpurig.verification import Target

INSTALLED = "/opt/gpurig/environments"
SOURCE = catalogue.ROOT / "environments"
PROBE = Path(__file__).parent / "probes" / "installed.py"

SMOKE_SECONDS = 300

NOT_INSTALLED = "it is not installed"


@pytest.fixture(scope="module")
def names(target: Target) -> tuple[str, ...]:
    if not target.environments:
        pytest.skip("no environment is configured for this host")
    return target.environments


@pytest.fixture(scope="module")
def fix(target: Target) -> str:
    return f"Run `ansible-playbook playbooks/site.yml --tags environments --limit {target.name}`."


@pytest.fixture(scope="module")
def markers(names: tuple[str, ...], host: Any) -> dict[str, str]:
    """Environment → the digest that its installation left behind; empty where there is none."""
    return {name: host.run("cat %s", f"{INSTALLED}/{name}/.installed").stdout.strip() for name in names}


def test_files(markers: dict[str, str], host: Any, check: Any, fix: str) -> None:
    """The marker and every file of an environment's folder are those of this repository."""
    for name, marker in markers.items():
        wanted = environments.read(SOURCE / name)
        check(
            f"{name}: version",
            marker == wanted.digest,
            value=marker or "not installed",
            expected=wanted.digest,
            reason="It is not the version of environments/ in this repository, or its installation was cut off.",
            advice=fix,
        )
        if not marker:
            check.skip(f"{name}: files", NOT_INSTALLED)
            continue
        here = {file: (SOURCE / name / file).read_bytes() for file in wanted.files}
        different = [file for file, data in here.items() if _content(host, f"{INSTALLED}/{name}/{file}") != data]
        check(
            f"{name}: files",
            not different,
            value=f"different: {', '.join(different)}" if different else f"{len(here)} as here",
            expected="as in this repository",
            reason="Somebody changed them on the host.",
            advice=f"Remove {INSTALLED}/{name}/.installed there. {fix}",
        )


def test_packages(
    markers: dict[str, str], host: Any, as_user: Callable[[str], str], check: Any, fix: str, pytestconfig: pytest.Config
) -> None:
    """What is installed is what the lock says, nothing else, and no file of it was changed."""
    how = "size" if pytestconfig.getoption("quick") else "hash"
    for name, marker in markers.items():
        if not marker:
            check.skip(f"{name}: packages", NOT_INSTALLED)
            continue
        python = f"{INSTALLED}/{name}/.venv/bin/python"
        answer = host.run(as_user(f"timeout {SMOKE_SECONDS} {python} -I -c {shlex.quote(PROBE.read_text())} {how}"))
        if answer.rc:
            last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
            check(f"{name}: packages", False, value=last, expected="", reason="Its Python does not run.", advice=fix)
            continue
        found = json.loads(answer.stdout)
        lock = (SOURCE / name / "requirements.lock").read_text(encoding="utf-8")
        difference = lockfile.compare(lockfile.pins(lock, found["markers"]), found["packages"])
        check(
            f"{name}: packages",
            not difference,
            value=str(difference) if difference else f"{len(found['packages'])}, all as locked",
            expected="what the lock says, and nothing else",
            reason="Results depend on packages that nobody wrote down.",
            advice=f"Write it into environments/{name}/pyproject.toml and lock it, or remove it on the host. "
            f"To install anew, remove {INSTALLED}/{name}/.venv there. {fix}",
        )
        changed = found["changed"]
        check(
            f"{name}: installed files",
            not changed,
            value=", ".join(changed[:5]) + ", …" * (len(changed) > 5) if changed else f"{found['files']}, by {how}",
            expected="as they came with their packages",
            reason="Somebody edited installed code, or the disk is damaged.",
            advice=f"Remove {INSTALLED}/{name}/.venv on the host. {fix}",
        )


@pytest.mark.slow
def test_smoke(markers: dict[str, str], target: Target, host: Any, as_user: Callable[[str], str], check: Any) -> None:
    """smoke.py trains or infers something small, as the login user, and says in JSON how that went."""
    for name, marker in markers.items():
        if not marker:
            check.skip(f"{name}: smoke test", NOT_INSTALLED)
            continue
        folder = f"{INSTALLED}/{name}"
        answer = host.run(as_user(f"cd {folder} && timeout {SMOKE_SECONDS} .venv/bin/python smoke.py"))
        problem, found = _judge(answer.rc, answer.stdout, answer.stderr)
        check(
            f"{name}: smoke test",
            not problem,
            value=problem or _summary(found),
            expected="trains, and every figure is finite",
            reason="The environment cannot do what it is for.",
            advice=f"See it happen: `rig connect {target.host.name} -- {folder}/.venv/bin/python {folder}/smoke.py`.",
        )


def _content(host: Any, path: str) -> bytes | None:
    answer = host.run("cat %s", path)
    content: bytes = answer.stdout_bytes
    return content if answer.rc == 0 else None


def _judge(status: int, out: str, err: str) -> tuple[str, dict[str, Any]]:
    """What is wrong with a smoke test, empty where nothing is; and what it said."""
    last = (out.strip().splitlines() or [""])[-1]
    if status:
        said = (err.strip().splitlines() or [last])[-1]
        return (f"gave up after {SMOKE_SECONDS} s" if status == 124 else f"exit code {status}: {said}"), {}
    try:
        found = json.loads(last)
        figures = {key: value for key, value in found.items() if isinstance(value, int | float)}
    except (ValueError, AttributeError):
        return f"no JSON object: {last[:200]}", {}
    wrong = [f"{key} is {value}" for key, value in figures.items() if not math.isfinite(value) or value < 0]
    if not {"task", "seconds"} <= set(found) or len(figures) < 2 or figures.get("seconds", 0) <= 0:
        return f"it does not say task, seconds and at least one figure: {last[:200]}", found
    return ", ".join(wrong), found


def _summary(found: dict[str, Any]) -> str:
    figures = [f"{key} {value}" for key, value in found.items() if isinstance(value, int | float)]
    return f"{found['task']}: {', '.join(figures)}"
