"""Train a tiny transformer from scratch, stop it, go on, and end as if it had not stopped: prints one JSON object.

The text is Python's own manual. Nothing is asked of a network.
"""

import json
import os
import tempfile
import time
from importlib import metadata
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
os.environ |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import checkpoint
import train

STEPS = 60
SMALL = f"--steps={STEPS} --layers=2 --width=64 --length=64 --batch=16 --vocabulary=512 --learning-rate=1e-2 --seed=1"


def main() -> None:
    started = time.perf_counter()
    # Threads that wait for one another are many times slower than one where other programs use the processors.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        whole = run(folder, "whole", "--alpha-mode=zero", f"--save-every={STEPS // 2}")
        left = [path.name for path in checkpoint.whole(Path(folder, "whole"))]
        require(left == [f"step-{STEPS // 2:08}", f"step-{STEPS:08}"], f"it left the checkpoints {left}")
        again = run(folder, "again", "--alpha-mode=zero", f"--resume={folder}/whole/checkpoints/{left[0]}")
        events = EventAccumulator(f"{folder}/whole/tensorboard").Reload().Scalars("loss")
        plain = run(folder, "plain", "--alpha-mode=one")
    first, last = whole["first_loss"], whole["loss"]
    require(last < 0.85 * first, f"the loss did not fall: {first} at first, {last} at last")
    require(
        abs(again["loss"] - last) < 0.02 * last, f"resumed in the middle it ends at {again['loss']}, else at {last}"
    )
    require(len(events) == STEPS, f"TensorBoard's log has {len(events)} of {STEPS} losses")
    require(len(set(whole["alpha"])) > 1, f"alpha was not learned: {whole['alpha']}")
    require(plain["history"] != whole["history"], "the alpha mode makes no difference")
    result = {
        "task": "language model from scratch",
        "device": whole["device"],
        "first_loss": first,
        "loss": last,
        "test_loss": whole["test_loss"],
        "resumed_loss": again["loss"],
        "tokens_per_second": whole["tokens_per_second"],
        "parameters": whole["parameters"],
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", "datasets")},
    }
    print(json.dumps(result))


def run(folder: str, name: str, *options: str) -> dict:
    """One small training; its metrics, as it left them."""
    train.main([*SMALL.split(), *options, f"--results={folder}/{name}"])
    return json.loads(Path(folder, name, "metrics.json").read_text(encoding="utf-8"))


def require(holds: bool, problem: str) -> None:
    """End with the problem in words unless something holds."""
    if not holds:
        raise SystemExit(problem)


if __name__ == "__main__":
    main()
