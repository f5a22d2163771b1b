"""Checkpoints of a run: results/checkpoints/step-00000100/ with model, tokenizer, optimiser and run.json."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model
from transformers import PreTrainedModel, PreTrainedTokenizerFast

KEPT = 2
"""That many stay: the one before the last is there for the day on which the disk damaged the last one."""


def save(
    results: Path,
    model: PreTrainedModel,
    optimiser: torch.optim.Optimizer,
    tokenizer: PreTrainedTokenizerFast,
    notes: dict[str, Any],
) -> Path:
    """Write a checkpoint that is whole or not there, and remove older ones. notes: settings, history, step."""
    folder = results / "checkpoints" / f"step-{notes['step']:08}"
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    torch.save(optimiser.state_dict(), partial / "optimiser.pt")
    (partial / "run.json").write_text(json.dumps(notes), encoding="utf-8")
    for file in partial.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    for old in whole(results)[:-KEPT]:
        shutil.rmtree(old)
    return folder


def whole(results: Path) -> list[Path]:
    """Those in a results folder, oldest first."""
    return sorted((results / "checkpoints").glob("step-*"))


def load(
    folder: Path | None, model: PreTrainedModel, optimiser: torch.optim.Optimizer, settings: dict[str, Any]
) -> tuple[int, list[list[Any]]]:
    """Load a checkpoint, and return its step and history. Raises SystemExit where it is of another run."""
    if folder is None:
        return 0, []
    if not (folder / "run.json").is_file():
        raise SystemExit(f"--resume: {folder} is no checkpoint")
    notes = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    other = [f"{name} {there}" for name, there in notes["settings"].items() if settings.get(name) != there]
    if other:
        raise SystemExit(f"--resume: {folder} is of a run with other settings: {', '.join(other)}")
    load_model(model, folder / "model.safetensors")
    state = torch.load(folder / "optimiser.pt", map_location=model.device, weights_only=True)
    optimiser.load_state_dict(state)
    return notes["step"], notes["history"]


def put(file: Path, text: str) -> None:
    """Write a file that is either whole or as it was."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
