"""ML environments: exactly what their locks say, unchanged since they were installed, and able to train something."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpurig import catalogue, environments, installation, lockfile, smoke
from gpurig.environments import Environment, Lock
from gpurig.verification import Target

ROLE = "environments"

INSTALLED = "/opt/gpurig/environments"
PROBE = Path(__file__).parent / "probes" / "installed.py"
PROBE_SECONDS = 300

NOT_INSTALLED = "it is not installed"

UV = "/opt/gpurig/bin/uv"


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment as it should be on this host. marker: what its installation noted, empty where there is none.

    here: its folder on this computer.
    """

    here: Path
    wanted: Environment
    marker: str

    @property
    def name(self) -> str:
        return self.wanted.name

    @property
    def folder(self) -> str:
        return f"{INSTALLED}/{self.name}"

    @property
    def lock(self) -> Lock | None:
        """The lock that was taken for this host; None where nothing says so."""
        return next((lock for lock in self.wanted.locks if installation.marker(self.wanted, lock) == self.marker), None)


@pytest.fixture(scope="module")
def installed(target: Target, host: Any) -> list[Installed]:
    if not target.environments:
        pytest.skip("no environment is configured for this host")
    sources = target.host.variables.get("environments_sources", {})
    folders = Path(target.host.variables.get("environments_source", catalogue.ROOT / "environments"))
    return [
        Installed(
            folders / name,
            environments.read(folders / name, sources.get(name)),
            host.run("cat %s", f"{INSTALLED}/{name}/.installed").stdout.strip(),
        )
        for name in target.environments
    ]


def test_files(installed: list[Installed], host: Any, check: Any, fix: str) -> None:
    """The marker and every file of an environment's folder are those of this repository."""
    for one in installed:
        name, wanted = one.name, one.wanted
        check(
            f"{name}: version",
            one.lock is not None,
            value=one.marker or "not installed",
            expected=" or ".join(installation.marker(wanted, lock) for lock in wanted.locks),
            reason="It is not the version of environments/ in this repository, or its installation was cut off.",
            advice=fix,
        )
        if not one.marker:
            check.skip(f"{name}: files", NOT_INSTALLED)
            continue
        here = {file: (one.here / file).read_bytes() for file in wanted.files}
        different = [file for file, data in here.items() if _content(host, f"{one.folder}/{file}") != data]
        check(
            f"{name}: files",
            not different,
            value=f"different: {', '.join(different)}" if different else f"{len(here)} as here",
            expected="as in this repository",
            reason="Somebody changed them on the host.",
            advice=f"Remove {one.folder}/.installed there. {fix}",
        )


def test_variables(installed: list[Installed], host: Any, as_user: Callable[[str], str], check: Any, fix: str) -> None:
    """Whatever runs from an environment gets the variables of its pyproject.toml."""
    chosen = [one for one in installed if one.marker and one.wanted.variables]
    if not chosen:
        pytest.skip("no environment on this host has variables of its own")
    home = host.run(as_user("pwd")).stdout.strip()
    for one in chosen:
        wanted = installation.variables_file(one.wanted.to_dict(), home)
        found = (_content(host, f"{one.folder}/variables.env") or b"").decode(errors="replace")
        check(
            f"{one.name}: variables",
            found == wanted,
            value=", ".join(found.splitlines()[1:]) or "none",
            expected=", ".join(wanted.splitlines()[1:]),
            reason=f"{one.folder}/variables.env is not what tool.gpurig.variables says.",
            advice=f"Remove {one.folder}/.installed there. {fix}",
        )


def test_source(installed: list[Installed], host: Any, as_user: Callable[[str], str], check: Any, fix: str) -> None:
    """A repository that belongs to an environment is at its commit, and nobody changed it."""
    if not any(one.wanted.source for one in installed):
        pytest.skip("no environment of this host comes from a repository")
    for one in installed:
        source = one.wanted.source
        if source is None:
            continue
        if not one.marker:
            check.skip(f"{one.name}: source", NOT_INSTALLED)
            continue
        git = f"git -C {one.folder}/source"
        answer = host.run(as_user(f"{git} rev-parse HEAD && {git} status --porcelain --untracked-files=no"))
        head, *changed = answer.stdout.splitlines() or [answer.stderr.strip()]
        check(
            f"{one.name}: source",
            answer.rc == 0 and head == source.commit and not changed,
            value=f"{head}, changed: {', '.join(line[3:] for line in changed)}" if changed else head,
            expected=f"{source.commit}, unchanged",
            reason="Results come from code that nobody wrote down.",
            advice=f"Bring changes into the repository. To check it out anew, remove {one.folder}/source and "
            f"{one.folder}/.source-{source.commit} and {one.folder}/.installed there. {fix}",
        )


def test_packages(
    installed: list[Installed],
    target: Target,
    host: Any,
    as_user: Callable[[str], str],
    check: Any,
    fix: str,
    pytestconfig: pytest.Config,
) -> None:
    """What is installed is what the lock says, nothing else, no file of it was changed, and its PyTorch suits the host."""
    how = "size" if pytestconfig.getoption("quick") else "hash"
    for one in installed:
        name = one.name
        if not one.marker:
            check.skip(f"{name}: packages", NOT_INSTALLED)
            continue
        python = f"{one.folder}/.venv/bin/python"
        answer = host.run(as_user(f"timeout {PROBE_SECONDS} {python} -I -c {shlex.quote(PROBE.read_text())} {how}"))
        if answer.rc:
            last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
            check(f"{name}: packages", False, value=last, expected="", reason="Its Python does not run.", advice=fix)
            continue
        found = json.loads(answer.stdout)
        difference = _difference(one, found, host, as_user)
        anew = f"To install anew, remove {one.folder}/.venv-* and {one.folder}/.installed there. {fix}"
        if difference is None:
            check.skip(
                f"{name}: packages", "its version is not the one of this repository, so its lock is not known here"
            )
        else:
            check(
                f"{name}: packages",
                not difference,
                value=difference or f"{len(found['packages'])}, all as locked",
                expected="what the lock says, and nothing else",
                reason="Results depend on packages that nobody wrote down.",
                advice=f"Write it into environments/{name}/pyproject.toml and lock it, or remove it on the host. {anew}",
            )
        changed = found["changed"]
        check(
            f"{name}: installed files",
            not changed,
            value=", ".join(changed[:5]) + ", …" * (len(changed) > 5) if changed else f"{found['files']}, by {how}",
            expected="as they came with their packages",
            reason="Somebody edited installed code, or the disk is damaged.",
            advice=anew,
        )
        if torch := found["torch"]:
            expected = target.capabilities.gpu_driver != "none"
            check(
                f"{name}: PyTorch's build",
                bool(torch["built_for"]) or not expected,
                value=f"{torch['version']}, for {torch['built_for'] or 'a CPU'}",
                expected="built for a GPU" if expected else "any, as no GPU is expected",
                reason="It computes on the CPU only, and a GPU is paid for.",
                advice=f"Lock it anew: `rig env lock {name}`. {anew}",
            )


@pytest.mark.slow
def test_smoke(
    installed: list[Installed], target: Target, host: Any, as_user: Callable[[str], str], check: Any
) -> None:
    """smoke.py trains or infers something small, as the login user, and says in JSON how that went."""
    for one in installed:
        if not one.marker:
            check.skip(f"{one.name}: smoke test", NOT_INSTALLED)
            continue
        seconds = one.wanted.smoke_seconds
        with_variables = "set -a; . ./variables.env; set +a"
        answer = host.run(
            as_user(f"cd {one.folder} && {with_variables} && timeout {seconds} .venv/bin/python smoke.py")
        )
        problem, found = smoke.judge(answer.rc, answer.stdout, answer.stderr, seconds)
        check(
            f"{one.name}: smoke test",
            not problem,
            value=problem or smoke.summary(found),
            expected="trains, and every figure is finite",
            reason="The environment cannot do what it is for.",
            advice=f"See it happen: `rig connect {target.host.name} -- sh -c "
            f"'cd {one.folder}; {with_variables}; .venv/bin/python smoke.py'`.",
        )


def _difference(one: Installed, found: dict[str, Any], host: Any, as_user: Callable[[str], str]) -> str | None:
    """How what is installed differs from its lock; empty where it does not, None where the lock is not known."""
    lock = one.lock
    if lock is None:
        return None
    if one.wanted.how == "lock":
        text = (one.here / lock.file).read_text(encoding="utf-8")
        difference = lockfile.compare(lockfile.pins(text, found["markers"]), found["packages"])
        return str(difference) if difference else ""
    if one.wanted.how == "source":
        extra = f"--extra={lock.extra}" if lock.extra else ""
        command = f"{UV} sync --check --locked --no-dev --offline {extra} --project {one.folder}/source"
        answer = host.run(
            as_user(
                f"UV_CACHE_DIR=/opt/gpurig/cache/uv UV_PROJECT_ENVIRONMENT=$(readlink -f {one.folder}/.venv) {command}"
            )
        )
        return "" if answer.rc == 0 else " | ".join(answer.stderr.strip().splitlines()[-5:])
    return None


def _content(host: Any, path: str) -> bytes | None:
    answer = host.run("cat %s", path)
    content: bytes = answer.stdout_bytes
    return content if answer.rc == 0 else None
