"""What the speed run has to do: its stages and commands, where to go on, and what it costs. Changes nothing."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib

VOCABULARY = 32768
WIDTH_PER_LAYER = 64


class PlanError(Exception):
    """The run cannot be planned; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the run; see speedrun.toml for the keys. key: changes when what it makes would be something else."""

    name: str
    kind: str
    module: str
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    checkpoints: str = ""
    hours: float = 0.0
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run on a number of GPUs of one model. gpus: 0 for none, else a power of two."""

    stages: tuple[Stage, ...]
    gpus: int
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    gpu: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)


def read(file: Path, *, gpus: int, gpu: str = "", wandb: str = "dummy", **changed: Any) -> Plan:
    """The plan in a file, for so many GPUs of a model. changed: other values for [run]; None leaves one as it is.

    Raises PlanError for a number of GPUs that cannot share a batch, and for an unknown model or setting.
    """
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    if gpus < 0 or gpus & (gpus - 1):
        raise PlanError(f"--gpus {gpus}: the batch is shared evenly, so use 1, 2, 4 or 8")
    model = _gpu(data["gpus"], gpu)
    wanted = {name: value for name, value in changed.items() if value is not None}
    if unknown := set(wanted) - set(data["run"]):
        raise PlanError(f"{file}: [run] has no {', '.join(sorted(unknown))}")
    fitting = {"device_batch_size": min(data["run"]["device_batch_size"], model.get("batch", 1 << 30))}
    settings = {**data["run"], **fitting, **wanted, "run": wandb}
    if settings["shards"] > data["data"]["last"]:
        raise PlanError(f"--shards {settings['shards']}: there are {data['data']['last']} besides the last one")
    stages: dict[str, Stage] = {}
    for entry in data["stages"]:
        stage = _stage(entry, settings, model)
        parts = [stage.module, *_lasting(stage.arguments), *(stages[name].key for name in stage.needs)]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        stages[stage.name] = Stage(**{**vars(stage), "key": key})
    return Plan(
        stages=tuple(stages.values()), gpus=gpus, settings=settings, data=data["data"], gpu=model,
        reference=data["reference"] | {"tflops": data["gpus"][data["reference"]["gpu"]]["tflops"], **data["run"]},
    )  # fmt: skip


def command(plan: Plan, stage: Stage, python: str, base: Path) -> list[str]:
    """What runs a stage, from the source's folder. Raises PlanError where it cannot go on from its checkpoints."""
    arguments = list(stage.arguments)
    folder = base / stage.checkpoints
    if stage.checkpoints and (step := resume_step(folder, max(plan.gpus, 1))) is not None:
        said = _json(folder / f"meta_{step:06d}.json").get("user_config", {})
        if other := [part for part in _lasting(stage.arguments) if not _as_said(part, said)]:
            raise PlanError(
                f"{folder}: the checkpoint of step {step} is of a run without {' '.join(other)}; "
                "move that folder away to begin anew"
            )
        arguments.append(f"--resume-from-step={step}")
    if plan.gpus > 1 and stage.kind in ("gpu", "training"):
        several = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={plan.gpus}"]
        return [python, *several, "-m", stage.module, "--", *arguments]
    return [python, "-m", stage.module, *arguments]


def resume_step(folder: Path, ranks: int) -> int | None:
    """The last step whose checkpoint is whole: model, meta and the optimiser's part of every rank; None where none is.

    nanochat's files are not written atomically; one that was cut off lacks the end of its archive. Raises PlanError
    where the only whole ones were written by another number of GPUs: the optimiser's state is divided among them.
    """
    others: dict[int, int] = {}
    for model in sorted(folder.glob("model_*.pt"), reverse=True):
        step = int(model.stem.removeprefix("model_"))
        parts = sorted(folder.glob(f"optim_{step:06d}_rank*.pt"))
        found = {int(re.sub(r".*_rank", "", part.stem)) for part in parts}
        whole = _json(folder / f"meta_{step:06d}.json") and all(map(zipfile.is_zipfile, (model, *parts)))
        if not whole or found != set(range(len(found))) or not found:
            continue
        if len(found) == ranks:
            return step
        others[step] = len(found)
    if others:
        step, count = max(others.items())
        raise PlanError(
            f"{folder}: the checkpoint of step {step} was written by {count} GPU(s), and only as many can go on "
            f"from it; use --gpus {count}, or move that folder away to begin anew"
        )
    return None


def shards(plan: Plan, base: Path) -> int:
    """Shards that are there, without the last one; -1 where that is missing, which is the validation set."""
    folder = base / plan.data["folder"]
    there = {file.name for file in folder.glob("shard_*.parquet")}
    last = f"shard_{plan.data['last']:05}.parquet"
    return len(there) - 1 if last in there else -1


def wanted_shards(stage: Stage) -> int:
    """How many shards a stage of kind `data` fetches besides the last one."""
    return int(next(part for part in stage.arguments if part.startswith("--num-files=")).partition("=")[2])


def lacking(plan: Plan, stage: Stage, base: Path) -> str:
    """What a stage should have left and did not; empty where all is there."""
    if stage.kind == "data":
        found, wanted = shards(plan, base), wanted_shards(stage)
        return "" if found >= wanted else f"{max(found, 0)} of {wanted} shards" + " and no last one" * (found < 0)
    return ", ".join(pattern for pattern in stage.makes if not any(base.glob(pattern)))


def done(stage: Stage, base: Path) -> bool:
    """Whether it was done with these settings, and those before it as well."""
    return _json(marker(stage, base)).get("key") == stage.key


def marker(stage: Stage, base: Path) -> Path:
    """The file that says that a stage is done."""
    return base / "speedrun" / f"{stage.name}.done"


def disk_gb(plan: Plan, base: Path) -> float:
    """Room in GB that the run still needs."""
    missing = max(plan.settings["shards"] - max(shards(plan, base), 0), 0)
    return missing * plan.data["shard_mb"] / 1000 + plan.data["other_gb"]


def estimate(plan: Plan, base: Path) -> Iterator[tuple[Stage, float]]:
    """Each stage that is left, and its hours, with the same share of the GPU's peak as on the reference machine."""
    if not plan.gpu or not plan.gpus:
        raise PlanError("an estimate needs --gpu with a model and --gpus")
    there = max(shards(plan, base), 0)
    rate = plan.reference["tflops"] * plan.reference["gpus"] / (plan.gpu["tflops"] * plan.gpus)
    slower = 1 if plan.gpu.get("fp8") else plan.reference["fp8_speed"]
    size = flops(plan.settings["depth"], plan.settings["ratio"]) / flops(
        plan.reference["depth"], plan.reference["ratio"]
    )
    for stage in plan.stages:
        if done(stage, base):
            continue
        hours = stage.hours
        if stage.kind == "data":
            megabytes = max(wanted_shards(stage) - there, 0) * plan.data["shard_mb"]
            there = max(there, wanted_shards(stage))
            hours = megabytes / plan.data["download_mb_per_s"] / 3600
        elif stage.kind == "training":
            hours *= rate * slower * size
        elif stage.kind == "gpu":
            hours *= rate * size**0.5
        yield stage, hours


def flops(depth: int, ratio: float) -> float:
    """Of training a model of that depth: 6 per parameter and token, without attention's own (nanochat's counting)."""
    width = depth * WIDTH_PER_LAYER
    parameters = 12 * depth * width**2 + VOCABULARY * width
    return 6.0 * parameters * ratio * parameters


def _gpu(known: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A model by its name, as nvidia-smi or an offer spells it; the longest known name in it. Empty for no name."""
    if not name:
        return {}
    found = [one for one in known if all(word in name.lower() for word in one.lower().split())]
    if not found:
        raise PlanError(f"{name}: unknown GPU; speedrun.toml knows {', '.join(known)}, and more can be added there")
    return {"name": max(found, key=len), **known[max(found, key=len)]}


def _stage(entry: Mapping[str, Any], settings: Mapping[str, Any], gpu: Mapping[str, Any]) -> Stage:
    more = []
    if entry.get("batch"):
        more.append("--device-batch-size={device_batch_size}")
    if entry.get("precision"):
        more += ["--fp8"] if gpu.get("fp8") else []
        more += [f"--window-pattern={gpu['window']}"] if "window" in gpu else []
    return Stage(
        name=entry["name"],
        kind=entry["kind"],
        module=entry["module"],
        arguments=tuple(part.format_map(settings) for part in (*entry.get("arguments", ()), *more)),
        needs=tuple(entry.get("needs", ())),
        makes=tuple(part.format_map(settings) for part in entry.get("makes", ())),
        checkpoints=entry.get("checkpoints", "").format_map(settings),
        hours=entry.get("hours", 0.0),
    )


def _lasting(arguments: tuple[str, ...]) -> list[str]:
    """Those that decide about what is made, and not only about how fast or how often it is saved."""
    passing = ("--device-batch-size", "--save-every", "--run", "--fp8", "--window-pattern")
    return [part for part in arguments if part.partition("=")[0] not in passing]


def _as_said(part: str, said: Mapping[str, Any]) -> bool:
    """Whether an argument is among the settings that a checkpoint notes."""
    name, _, value = part.removeprefix("--").partition("=")
    there = said.get(name.replace("-", "_"))
    try:
        return float(value) == float(there)
    except (TypeError, ValueError):
        return value == str(there)


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
