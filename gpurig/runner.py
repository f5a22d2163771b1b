"""Runs on a host: start one, look at it, follow its log, end it, and bring back what it left."""

from __future__ import annotations

import io
import shlex
import subprocess
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from gpurig import ignore, manifest, rsync, runs, transfer
from gpurig.catalogue import ROOT
from gpurig.errors import RigError
from gpurig.manifest import Manifest
from gpurig.remote import SSH_FAILED, Place
from gpurig.rsync import Progress
from gpurig.runs import Run, State
from gpurig.stack import write_private

SCRIPT = ROOT / "templates" / "run.sh"

FOLDER = "gpurig/runs"
"""Where runs are on a host, below the login user's home."""

SYSTEM = "system"
"""Name that stands for the host's own Python instead of an environment."""

ATTACH_SECONDS, AGAIN_SECONDS = 600.0, 2.0
"""How long following a log goes on trying after the connection broke, and how often."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host says of one run. code: its exit code once it ended; ended: when, in UTC."""

    state: State
    code: int | None
    ended: str | None


def start(place: Place, run: Run, diff: str) -> None:
    """Copy the synced project for the run, and start it detached. It is noted here first, so that it cannot be forgotten.

    Raises RigError where it could not be started; then nothing is left of it.
    """
    project = Path(run.project)
    python = interpreter(run.environment)
    files = {
        "run.json": run.to_json(),
        "git.diff": diff,
        ".run/run.sh": SCRIPT.read_text(encoding="utf-8"),
        ".run/job.sh": job_script(run, python),
    }
    home = f"{FOLDER}/{run.id}"
    action = shlex.join(["sh", f"{home}/.run/run.sh", "start", run.id, transfer.remote_folder(project), python])
    runs.save(place.stack, run)
    write_private(runs.folder(place.stack, run.host, run.id) / "git.diff", diff)
    try:
        place.run("sh", "-c", f"mkdir -p {home} && tar -xf - -C {home} && {action}", data=_archive(files))
    except RigError as error:
        with suppress(RigError):
            if run.id not in states(place):
                _forget(place, run)
        if "environment is not installed" in str(error):
            raise RigError(
                f"{place.host.name}: environment {run.environment} is not installed there; "
                f"`ansible-playbook playbooks/site.yml --limit {place.alias}` installs it."
            ) from error
        raise


def interpreter(environment: str) -> str:
    """The Python of an environment on a host."""
    return "python3" if environment == SYSTEM else f"/opt/gpurig/environments/{environment}/.venv/bin/python"


def job_script(run: Run, python: str) -> str:
    """What a run executes, in a shell that stands in the run's folder."""
    launcher = {".py": [python], ".sh": ["bash"]}.get(Path(run.command[0]).suffix)
    command = [*launcher, *run.command] if launcher else [f"./{run.command[0]}", *run.command[1:]]
    lines = ["#!/bin/sh", f"cd {shlex.quote(f'project/{run.directory}')} || exit"]
    if run.environment != SYSTEM:
        bin_folder = str(Path(python).parent)
        variables = shlex.quote(f"{Path(bin_folder).parents[1]}/variables.env")
        lines += [
            f"if [ -e {variables} ]; then set -a; . {variables}; set +a; fi",
            f"export PATH={shlex.quote(bin_folder)}:$PATH VIRTUAL_ENV={shlex.quote(str(Path(bin_folder).parent))}",
        ]
    lines += [
        "export PYTHONUNBUFFERED=1",
        "for extra in /usr/local/share/ca-certificates/gpurig-*.crt; do",
        '    if [ -e "$extra" ]; then  # certificates that Python packages do not bring',
        "        export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt",
        "    fi",
        "done",
        f"exec {shlex.join(command)}",
    ]
    return "\n".join(lines) + "\n"


def states(place: Place) -> dict[str, Seen]:
    """Every run on the host, by name, oldest first."""
    return dict(map(_seen, _script(place, "list").splitlines()))


def current(place: Place) -> list[Run]:
    """The runs of this host, oldest first, as it tells of them now; noted here, also those of other machines.

    One that was noted here and is not there counts as lost.
    """
    noted = {run.id: run for run in runs.of_host(place.stack, place.host.name) if run.label == place.host.label}
    seen = states(place)
    found = []
    for name in sorted({*noted, *seen}):
        before = noted.get(name) or adopt(place, name)
        now = seen.get(name, Seen("lost", None, None))
        run = before if before.results else before.seen(now.state, now.code, now.ended)
        if run != before:
            runs.save(place.stack, run)
        found.append(run)
    return found


def cancel(place: Place, run: str, grace: int) -> Seen:
    """End a run: ask all its processes to, and after `grace` seconds make them. Returns how it ended."""
    return _seen(_script(place, "cancel", run, str(grace)).strip())[1]


def follow(place: Place, run: str, write: Callable[[bytes], object], report: Callable[[str], None]) -> Seen:
    """Pass on a run's log until it ends; attaches again where the connection breaks. Returns how it ended."""
    offset, broken = 0, 0.0
    while True:
        command = [*place.ssh(), shlex.join(["sh", "-s", "--", "follow", run, str(offset)])]
        with (
            SCRIPT.open("rb") as script,
            subprocess.Popen(command, stdin=script, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        ):
            assert process.stdout is not None  # noqa: S101 (for the type checker)
            assert process.stderr is not None  # noqa: S101
            while chunk := process.stdout.read1():  # type: ignore[attr-defined]  # a BufferedReader
                offset, broken = offset + len(chunk), 0.0
                write(chunk)
            errors = process.stderr.read().decode(errors="replace")
        if process.returncode == SSH_FAILED:
            broken = broken or time.monotonic()
            problem = place.problem(SSH_FAILED, errors)
            if getattr(problem, "lasting", False) or time.monotonic() - broken > ATTACH_SECONDS:
                raise problem
            report("The connection broke; the run goes on. Attaching again …")
            time.sleep(AGAIN_SECONDS)
            continue
        if process.returncode:
            raise place.problem(process.returncode, errors)
        return _seen(_script(place, "list", run).strip())[1]


def adopt(place: Place, run: str) -> Run:
    """Note a run that another machine started on this host."""
    noted = Run.from_json(place.run("cat", f"{FOLDER}/{run}/run.json").decode())
    found = replace(noted, results=None, host=place.host.name)
    runs.save(place.stack, found)
    return found


def fetch_partly(place: Place, run: Run, progress: Progress | None = None) -> None:
    """Bring here what a run has written so far; it is not verified, since it still changes."""
    target = runs.folder(place.stack, run.host, run.id)
    source = f"{place.alias}:{FOLDER}/{run.id}"
    wanted = ["log", "resources.tsv", "results"]
    rsync.copy(place, source, str(target), wanted, "--recursive", "--ignore-missing-args", progress=progress)


def fetch(place: Place, run: Run, progress: Progress | None = None) -> tuple[Run, list[str]]:
    """Bring here all that an ended run left, verify it by the SHA-256 manifest made on the host, and note that.

    Files that it wrote into its copy of the project come too, but for those that `.rigignore` leaves out: they are
    returned beside the run. Raises RigError, and notes nothing, where a file cannot be had as it was left there.
    """
    everything = manifest.parse(_script(place, "manifest", run.id))
    ignored = sorted(path for path in everything if _left_out(run, path))
    wanted: Manifest = {path: digest for path, digest in everything.items() if path not in ignored}
    target = runs.folder(place.stack, run.host, run.id)
    transfer.pull_verified(place, f"{FOLDER}/{run.id}", target, wanted, progress=progress)
    (target / "manifest.sha256").write_bytes(manifest.dump(wanted).encode(errors="surrogateescape"))
    done = replace(run, results="verified")
    runs.save(place.stack, done)
    return done, ignored


def _left_out(run: Run, path: str) -> bool:
    kind, _, inside = path.partition("/")
    return kind == "project" and ignore.is_ignored(Path(run.project), inside)


def _script(place: Place, *arguments: str) -> str:
    return place.run("sh", "-s", "--", *arguments, data=SCRIPT.read_bytes()).decode(errors="surrogateescape")


def _seen(line: str) -> tuple[str, Seen]:
    name, state, code, ended = line.split("\t")
    if state not in get_args(State):
        raise RigError(f"The host reports an unknown state of run {name}: {state!r}.")
    return name, Seen(state, None if code == "-" else int(code), None if ended == "-" else ended)  # type: ignore[arg-type]  # checked above


def _archive(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, text in files.items():
            data = text.encode(errors="surrogateescape")
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            tar.addfile(entry, io.BytesIO(data))
    return archive.getvalue()


def _forget(place: Place, run: Run) -> None:
    folder = runs.folder(place.stack, run.host, run.id)
    for file in (folder / "run.json", folder / "git.diff"):
        file.unlink(missing_ok=True)
    folder.rmdir()
