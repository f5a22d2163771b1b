"""Carry out the speed run of nanochat, stage by stage, and go on where it was interrupted.

    speedrun.py --estimate --gpu H100 --gpus 8 --price 24     hours and USD, without doing anything
    speedrun.py --dry-run                                     the commands
    speedrun.py                                               on all GPUs of this machine

Calls nanochat's modules, never its shell scripts, which move the data to ~/.cache and fetch programs. Stages and
settings are in speedrun.toml. Everything lies under NANOCHAT_BASE_DIR; a stage that is done has a file in its speedrun/
and is not done again unless its settings, or those of a stage before it, change. Training goes on from its last whole
checkpoint.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import plan as planning
from plan import Plan, PlanError, Stage

HERE = Path(__file__).resolve().parent
ATTEMPTS = 3
"""How often missing shards are fetched: the download reports success even where some failed."""


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    asked = _arguments(words)
    base = Path(os.environ.get("NANOCHAT_BASE_DIR") or Path.home() / "gpurig/data/nanochat").expanduser()
    try:
        gpus, gpu = _machine() if asked.gpus is None else (asked.gpus, "")
        plan = planning.read(
            asked.plan, gpus=gpus, gpu=asked.gpu or gpu, wandb=asked.run, depth=asked.depth, ratio=asked.ratio,
            shards=asked.shards, device_batch_size=asked.device_batch_size,
        )  # fmt: skip
        if asked.estimate:
            print(_estimated(plan, base, asked.price, asked.json))
        elif asked.dry_run:
            for stage in plan.stages:
                said = "# done" if planning.done(stage, base) else shlex.join(_command(plan, stage, base))
                print(f"{stage.name:15} {said}")
        else:
            run(plan, base, asked.source)
    except PlanError as error:
        print(f"speedrun: {error}", file=sys.stderr)
        return 1
    return 0


def run(plan: Plan, base: Path, source: Path) -> None:
    """Do every stage that is left. Raises PlanError for the first that cannot be done."""
    if not (source / "scripts").is_dir():
        raise PlanError(
            f"{source} is not nanochat's repository; install the environment nanochat, or name it with --source"
        )
    (base / "speedrun").mkdir(parents=True, exist_ok=True)
    with (base / "speedrun" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PlanError(f"another speed run is at work in {base}") from None
        needed, free = planning.disk_gb(plan, base), shutil.disk_usage(base).free / 1e9
        if free < needed and not all(planning.done(stage, base) for stage in plan.stages):
            raise PlanError(f"{base} has {free:.0f} GB free and needs {needed:.0f} GB; put it on a larger disk")
        for stage in plan.stages:
            if planning.done(stage, base):
                print(f"=== {stage.name}: done before", flush=True)
                continue
            _do(plan, stage, base, source)


def _do(plan: Plan, stage: Stage, base: Path, source: Path) -> None:
    started = time.time()
    for attempt in range(1, ATTEMPTS + 1):
        words = _command(plan, stage, base)
        print(f"=== {stage.name}: {shlex.join(words)}", flush=True)
        if code := _call(words, base, source):
            raise PlanError(f"{stage.name} ended with exit code {code}; run this again to go on from there")
        if not (lacking := planning.lacking(plan, stage, base)):
            break
        if stage.kind != "data" or attempt == ATTEMPTS:
            raise PlanError(f"{stage.name} ended without an error but left only {lacking}; run this again")
        print(f"=== {stage.name}: there are {lacking}; once more", flush=True)
    note = {"key": stage.key, "command": words, "gpus": plan.gpus, "seconds": round(time.time() - started, 1)}
    marker = planning.marker(stage, base)
    partial = marker.with_suffix(".partial")
    partial.write_text(json.dumps(note) + "\n", encoding="utf-8")
    partial.replace(marker)


def _call(words: list[str], base: Path, source: Path) -> int:
    """Run a command in the repository's folder; who ends this program ends the command first, with the same signal."""
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "NANOCHAT_BASE_DIR": str(base)}
    with subprocess.Popen(words, cwd=source, env=environment) as process:

        def end(number: int, _: object) -> None:
            process.send_signal(number)
            process.wait()
            sys.exit(128 + number)

        before = signal.signal(signal.SIGTERM, end)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)


def _command(plan: Plan, stage: Stage, base: Path) -> list[str]:
    return planning.command(plan, stage, sys.executable, base)


def _estimated(plan: Plan, base: Path, price: float | None, as_json: bool) -> str:
    rows = [(stage.name, hours) for stage, hours in planning.estimate(plan, base)]
    total = sum(hours for _, hours in rows)
    cost = None if price is None else round(total * price, 2)
    if as_json:
        stages = {name: round(hours, 3) for name, hours in rows}
        return json.dumps(
            {"stages": stages, "hours": round(total, 2), "usd": cost, "disk_gb": planning.disk_gb(plan, base)}
        )
    lines = [f"{name:15} {hours:8.2f} h" for name, hours in rows]
    lines.append(f"{'total':15} {total:8.2f} h" + (f"  {cost:.2f} USD at {price} USD/h" if cost is not None else ""))
    lines.append(
        f"{plan.gpus} × {plan.gpu['name']}, {planning.disk_gb(plan, base):.0f} GB of disk; estimates, see speedrun.toml"
    )
    return "\n".join(lines)


def _machine() -> tuple[int, str]:
    """Number and model of this machine's GPUs; (0, "") where there is none."""
    try:
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0, ""
    names = answer.stdout.split("\n")[:-1]
    return len(names), names[0] if names else ""


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--estimate", action="store_true", help="print hours and cost of what is left")
    add("--dry-run", action="store_true", help="print the commands of what is left")
    add("--json", action="store_true", help="the estimate as JSON")
    add("--gpus", type=int, help="how many; all of this machine otherwise, 0 for none")
    add("--gpu", default="", help="their model, such as H100 or `RTX 4090`; this machine's otherwise")
    add("--price", type=float, help="of the machine, in USD per hour")
    add("--depth", type=int)
    add("--ratio", type=float, help="tokens per parameter")
    add("--shards", type=int)
    add("--device-batch-size", type=int, help="smaller where the GPU's memory is too small")
    add("--run", default="dummy", help="name at Weights & Biases; `dummy` sends nothing there")
    add("--plan", type=Path, default=HERE / "speedrun.toml", help="another file like speedrun.toml")
    add("--source", type=Path, default=HERE / "source", help="nanochat's repository")
    asked = parser.parse_args(words)
    if asked.price is not None and asked.price < 0:
        parser.error("--price must not be negative")
    return asked


if __name__ == "__main__":
    sys.exit(main())
