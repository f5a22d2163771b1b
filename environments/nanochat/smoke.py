"""Tokenizer, training, going on and sampling of nanochat on text that ships with Python: prints one JSON object.

Runs the modules of the repository in source/ (or NANOCHAT_SOURCE) as the speed run does: a tiny model, no network.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from pydoc_data.topics import topics

import pyarrow as pa
import pyarrow.parquet as pq
import torch

import plan

SOURCE = Path(os.environ.get("NANOCHAT_SOURCE") or Path(__file__).resolve().parent / "source")
STEPS = 40
TRAIN = [
    "scripts.base_train", "--depth=2", "--head-dim=32", "--window-pattern=L", "--max-seq-len=128",
    "--device-batch-size=2",
    "--total-batch-size=256", "--eval-every=-1", "--core-metric-every=-1", "--sample-every=-1", "--model-tag=smoke",
    # nanochat lowers these for a batch as small as this one.
    "--embedding-lr=6", "--unembedding-lr=0.2", "--matrix-lr=0.4", "--warmup-steps=0",
    f"--num-iterations={STEPS}", f"--save-every={STEPS // 2}",
]  # fmt: skip
SHARDS = (0, 1, 6542)
"""Two to train on, and the last one, which is the validation set."""


def main() -> None:
    started = time.perf_counter()
    if not (SOURCE / "scripts").is_dir():
        raise SystemExit(f"{SOURCE} is not nanochat's repository")
    place = f"--device-type={'cuda' if torch.cuda.is_available() else 'cpu'}"
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        write_shards(base / "base_data_climbmix")
        call(base, "scripts.tok_train", "--max-chars=2000000", "--vocab-size=1024")
        losses = losses_of(call(base, *TRAIN, place))
        checkpoints = base / "base_checkpoints" / "smoke"
        # As if the machine had gone while it wrote the last checkpoint.
        last = checkpoints / f"model_{STEPS:06d}.pt"
        last.write_bytes(last.read_bytes()[:-1000])
        step = plan.resume_step(checkpoints, ranks=1)
        require(step == STEPS // 2, f"it would go on from step {step}, not from {STEPS // 2}")
        again = losses_of(call(base, *TRAIN, place, f"--resume-from-step={step}"))
        require(plan.resume_step(checkpoints, ranks=1) == STEPS, "the checkpoint is not whole")
        said = call(base, "scripts.base_eval", "--eval=sample", "--model-tag=smoke", place)
    first, end, resumed = losses[0], losses[STEPS - 1], again[STEPS - 1]
    require(end < 0.9 * first, f"the loss did not fall: {first} at first, {end} at last")
    require(min(again) == step, f"it went on with step {min(again)} instead of {step}")
    require(resumed < 0.9 * first, f"the loss did not fall after going on: {resumed}")
    samples = len(re.findall(r"^<\|bos\|>", said, re.MULTILINE))
    require(samples > 0, "it says nothing")
    result = {
        "task": "nanochat: tokenizer, training, resume, samples",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "first_loss": first,
        "loss": end,
        "resumed_loss": resumed,
        "samples": samples,
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {"torch": torch.__version__},
    }
    print(json.dumps(result))


def write_shards(folder: Path) -> None:
    """Parquet files as the real data has them: a column `text`, in several row groups."""
    folder.mkdir()
    texts = [part for name in sorted(topics) for part in topics[name].split("\n\n") if len(part) > 80]
    for place, number in enumerate(SHARDS):
        table = pa.table({"text": texts[place :: len(SHARDS)]})
        pq.write_table(table, folder / f"shard_{number:05}.parquet", row_group_size=128)


def call(base: Path, module: str, *arguments: str) -> str:
    """Run a module of the repository; what it says. Ends with its last line where it fails."""
    ours = {
        "NANOCHAT_BASE_DIR": str(base),
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        "TORCHDYNAMO_DISABLE": "1",  # compiling takes a minute, and a C compiler
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [sys.executable, "-m", module, *arguments]
    answer = subprocess.run(words, cwd=SOURCE, env=os.environ | ours, capture_output=True, text=True, check=False)
    print(answer.stdout, file=sys.stderr)
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        raise SystemExit(f"{module} ended with exit code {answer.returncode}: {last}")
    return answer.stdout


def losses_of(said: str) -> dict[int, float]:
    """Step → its loss (smoothed by nanochat), from what training says."""
    return {int(step): float(loss) for step, loss in re.findall(r"^step (\d+)/.*?loss: ([\d.]+)", said, re.MULTILINE)}


def require(holds: bool, problem: str) -> None:
    """End with the problem in words unless something holds."""
    if not holds:
        raise SystemExit(problem)


if __name__ == "__main__":
    main()
