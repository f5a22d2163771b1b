"""Files up to a host and results back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig.errors import RigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import choose, place_of, stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.remote import Place
    from gpurig.runs import Run


@command("host", help={"host": "The host; may be left out where there is only one."})
def sync(c: Context, host: str = "") -> None:
    """Bring the project to a host, verified; `.rigignore` says what stays here."""
    place = place_of(c, host)
    data = bring_project(place)
    console.show(c, data, "")


@command(
    "host",
    "run",
    help={
        "host": "The host; else all.",
        "run": "One run, by its name or a part of it; else all that are not here yet.",
    },
)
def results(c: Context, host: str = "", run: str = "") -> None:
    """Bring results back, verified by SHA-256, and print where they are."""
    from gpurig import records
    from gpurig.remote import Place

    stack = stack_of(c)
    places = [place_of(c, host)] if host else [Place(stack, record) for record in records.load(stack).values()]
    brought: list[dict[str, object]] = []
    failed: list[str] = []
    for place in places:
        done, problems = bring_results(place, run)
        brought += done
        failed += problems
    console.show(c, brought, "\n".join(str(item["folder"]) for item in brought))
    if failed:
        raise RigError("\n".join(failed))
    if not brought:
        console.say("Every run's results are here.")


def bring_project(place: Place) -> dict[str, object]:
    """Sync the project that the user stands in; says what was done."""
    from gpurig import transfer

    root = transfer.project_folder(place.stack)
    with console.transfer(f"{root.name} → {place.host.name}") as progress:
        done = transfer.push(place, root, progress=progress)
    for path in done.kept:
        console.say(f"{place.host.name}: kept {path}, which is gone here but was changed there.")
    gone = f", {len(done.deleted)} deleted" if done.deleted else ""
    console.say(
        f"{root.name} → {place.host.name}: {done.files} files ({console.size(done.bytes)}), "
        f"{done.sent} sent and verified{gone}, {done.seconds:.1f} s"
    )
    return {"host": place.host.name, "folder": str(root), **asdict(done)}


def bring_results(place: Place, name: str = "") -> tuple[list[dict[str, object]], list[str]]:
    """Bring back one run, or all whose results are not here. Returns what was brought, and what went wrong."""
    from gpurig import runner

    try:
        known = runner.current(place)
    except RigError as error:
        return [], [str(error)]
    chosen = choose(name, (run.id for run in known), place.host.name) if name else ""
    brought, failed = [], []
    for run in known:
        if run.id == chosen or (not chosen and run.results is None):
            try:
                brought.append(_bring(place, run))
            except RigError as error:
                failed.append(str(error))
    return brought, failed


def _bring(place: Place, run: Run) -> dict[str, object]:
    from gpurig import runner, runs

    folder = runs.folder(place.stack, run.host, run.id)
    ignored: list[str] = []
    if run.state == "lost" and run.id not in runner.states(place):
        raise RigError(
            f"{run.host}: {run.id} is not there; it never started, or its folder was removed. "
            f"`rig down --discard {run.host}` gives it up."
        )
    with console.transfer(f"{run.id} ←") as progress:
        if run.state == "running":
            runner.fetch_partly(place, run, progress)
        else:
            run, ignored = runner.fetch(place, run, progress)
    if run.state == "running":
        console.say(
            f"{run.id} is still running: this is what it has written so far, not verified. Come again when it ended."
        )
    else:
        left = f"; {len(ignored)} files that .rigignore leaves out stay there" if ignored else ""
        console.say(f"{run.id}: {run.summary()}, results verified{left}")
        if run.state == "failed":
            console.say(_last_lines(folder / "log"))
    return {"run": run.id, "host": run.host, "state": run.state, "results": run.results, "folder": str(folder)}


def _last_lines(log: Path, count: int = 5) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  | {line}" for line in lines[-count:])
