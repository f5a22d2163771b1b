"""Training runs: start, follow, end, list."""

from __future__ import annotations

import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.data import bring_project
from gpurig.ops.place import choose, place_of, stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.remote import Place
    from gpurig.runs import Run


@command(
    "host",
    "script",
    rest="args",
    remains="everything",
    short={"detach": "d"},
    help={
        "host": "The host.",
        "script": "A file of the project: .py, .sh, or a program. Options of rig come before it.",
        "args": "The script's own arguments, passed on as they are.",
        "env": "ML environment; `system` for the host's own Python. Default: the host's first.",
        "name": "Part of the run's name; default: the script's.",
        "detach": "Return at once; `rig logs -f` attaches.",
    },
)
def train(
    c: Context, host: str, script: str, args: str = "", env: str = "", name: str = "", detach: bool = False
) -> None:
    """Sync the project, run a script of it on a host, detached from this machine, and follow its log."""
    from gpurig import runner, transfer

    place = place_of(c, host)
    project = transfer.project_folder(place.stack)
    run, diff = _prepared(place, project, script, shlex.split(args), env, name)
    bring_project(place)
    runner.start(place, run, diff)
    console.say(f"{run.id} started on {host} with {run.environment}. It goes on without this machine.")
    if detach:
        console.show(c, {"run": run.id, "host": host, "state": "running"}, run.id)
    else:
        _follow(c, place, run.id)


@command(
    "host",
    "run",
    short={"follow": "f"},
    help={
        "host": "The host.",
        "run": "The run, by its name or a part of it; default: the latest.",
        "follow": "Until it ends; then with its exit code.",
    },
)
def logs(c: Context, host: str, run: str = "", follow: bool = False) -> None:
    """Print a run's log; with -f, attach to it."""
    from gpurig import runner

    place = place_of(c, host)
    chosen = choose(run, (item.id for item in runner.current(place)), host)
    if follow:
        _follow(c, place, chosen)
    else:
        sys.stdout.buffer.write(place.run("cat", f"{runner.FOLDER}/{chosen}/log"))
        sys.stdout.flush()


@command(
    "host",
    "run",
    help={
        "host": "The host.",
        "run": "The run; may be left out where only one is going on.",
        "grace": "Seconds that it gets to end by itself, for example to write a checkpoint.",
    },
)
def cancel(c: Context, host: str, run: str = "", grace: int = 10) -> None:
    """End a run, with all its processes."""
    from gpurig import runner

    place = place_of(c, host)
    known = {item.id: item for item in runner.current(place)}
    going = [item.id for item in known.values() if item.state == "running"]
    if not run and len(going) != 1:
        raise ConfigError(f"{host}: which run? Going on: {', '.join(going) or 'none'}.")
    chosen = choose(run, known, host) if run else going[0]
    if chosen not in going:
        console.say(f"{chosen} has ended already: {known[chosen].summary()}.")
        seen_state = known[chosen].state
    else:
        seen_state = runner.cancel(place, chosen, grace).state
        console.say(f"{chosen}: {seen_state}. What it left comes with `rig results {host}`.")
        runner.current(place)
    console.show(c, {"run": chosen, "host": host, "state": seen_state}, "")


@command("host", help={"host": "Those of this host only.", "check": "Ask the hosts how they stand now."})
def runs(c: Context, host: str = "", check: bool = False) -> None:
    """List runs, as last seen, and whether their results are here."""
    from dataclasses import asdict

    from gpurig import records, runner
    from gpurig import runs as noted
    from gpurig.remote import Place

    stack = stack_of(c)
    if check:
        for record in records.load(stack).values():
            if host in ("", record.name):
                runner.current(Place(stack, record))
    found = [run for run in noted.of_stack(stack) if host in ("", run.host)]
    labels = {record.label for record in records.load(stack).values()}
    rows = [("RUN", "HOST", "STATE", "RESULTS", "COMMAND")]
    for run in found:
        state = "lost" if run.state == "running" and run.label not in labels else run.summary()
        rows += [(run.id, run.host, state, run.results or "not here", shlex.join(run.command))]
    console.show(c, [asdict(run) for run in found], console.table(rows) if found else "No runs.")


def _prepared(place: Place, project: Path, script: str, args: list[str], env: str, name: str) -> tuple[Run, str]:
    from gpurig import ignore, revision, runner
    from gpurig import runs as noted

    host = place.host
    here = Path.cwd().absolute()
    directory = here.relative_to(project) if here.is_relative_to(project) else Path()
    inside = os.path.normpath(directory / script)
    outside = Path(script).is_absolute() or inside.startswith("..")
    if outside or not (project / inside).is_file() or ignore.is_ignored(project, inside):
        raise ConfigError(f"{script}: not a file of the project {project} that travels to a host (see .rigignore).")
    environment = env or next(iter(host.environments), runner.SYSTEM)
    if environment not in (*host.environments, runner.SYSTEM):
        known = ", ".join((*host.environments, runner.SYSTEM))
        raise ConfigError(f"--env {environment}: {host.name} has no such environment. It has: {known}.")
    at = revision.of_folder(project)
    run = noted.Run(
        id=noted.new_id(place.stack, host.name, name or Path(script).stem),
        host=host.name,
        label=host.label,
        stack=place.stack.name,
        project=str(project),
        directory=directory.as_posix(),
        environment=environment,
        command=(script, *args),
        commit=at.commit,
        branch=at.branch,
        untracked=at.untracked,
        config=host.spec,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return run, at.diff


def _follow(c: Context, place: Place, run: str) -> None:
    """Pass on the log to its end, then exit with the run's own code. Ctrl-C only detaches."""
    from gpurig import runner

    host = place.host.name
    out = sys.stderr.buffer if c.config.gpurig.json else sys.stdout.buffer

    def write(chunk: bytes) -> None:
        out.write(chunk)
        out.flush()

    try:
        end = runner.follow(place, run, write, console.say)
    except KeyboardInterrupt:
        console.say(f"\nDetached; {run} goes on. `rig logs -f {host}` attaches again, `rig cancel {host}` ends it.")
        raise Exit(code=130) from None
    runner.current(place)
    console.show(c, {"run": run, "host": host, "state": end.state, "exit_code": end.code}, "")
    if end.state == "lost":
        raise Exit(
            f"{run} is lost: {host} was restarted, or the run was killed from outside. `rig results {host}` brings what it left.",
            code=1,
        )
    how = {"done": "ended well", "cancelled": "was cancelled"}.get(end.state, f"failed with exit code {end.code}")
    console.say(f"{run} {how}. `rig results {host}` brings back what it left.")
    if end.code:
        raise Exit(code=end.code)
