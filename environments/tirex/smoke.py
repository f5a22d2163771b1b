"""Forecast from a Parquet file with a small model of random weights, and refuse what must be refused: one JSON object.

The real weights are not needed: what they would answer is their author's business, that they can be used is ours.
"""

import json
import math
import tempfile
import time
from importlib import metadata
from pathlib import Path

import pandas as pd
import torch
from tirex.models.tirex import TiRexZero

import forecast

STEPS = 64
CONFIG = {
    "input_patch_size": 32,
    "output_patch_size": 32,
    "quantiles": list(forecast.LEVELS),
    "block_kwargs": {"num_blocks": 2, "embedding_dim": 64, "num_heads": 2},
    "input_ff_dim": 128,
}


def main() -> None:
    started = time.perf_counter()
    torch.manual_seed(0)
    # Threads that wait for one another are many times slower than one where other programs use the processors.
    torch.set_num_threads(1)
    forecast.check_package()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, past, future = (Path(folder) / name for name in ("model.ckpt", "past.parquet", "future.parquet"))
        parameters = save(checkpoint)
        series().to_parquet(past)
        began = time.perf_counter()
        forecast.main([str(past), str(future), f"--steps={STEPS}", f"--checkpoint={checkpoint}"])
        took = time.perf_counter() - began
        found = pd.read_parquet(future)
        refused = refuses_without_weights(Path(folder))
    require(list(found) == ["series", "step", *forecast.COLUMNS], f"the forecast has the columns {list(found)}")
    require(found.groupby("series").size().to_dict() == dict.fromkeys("abc", STEPS), f"it has {len(found)} rows")
    values = found[list(forecast.COLUMNS)].to_numpy()
    require(all(map(math.isfinite, values.flatten())), "the forecast has numbers that are not finite")
    require(values.std() > 0, "the forecast is the same everywhere")
    result = {
        "task": "forecast, random weights",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "rows": len(found),
        "parameters": parameters,
        "forecast_seconds": round(took, 3),
        "offline": refused,
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {"tirex-ts": metadata.version("tirex-ts"), "torch": torch.__version__},
    }
    print(json.dumps(result))


def save(checkpoint: Path) -> int:
    """Write a checkpoint in the layout of the published one, and return how many parameters it has."""
    model = TiRexZero(backend="torch", model_config=CONFIG, train_ctx_len=256)
    for parameter in model.parameters():  # some are left as the memory was, since real ones are always loaded
        torch.nn.init.normal_(parameter, std=0.1)
    settings = {"model_config": CONFIG, "train_ctx_len": 256}
    torch.save({"hyper_parameters": settings, "state_dict": model.state_dict()}, checkpoint)
    return sum(parameter.numel() for parameter in model.parameters())


def series() -> pd.DataFrame:
    """Three series of different lengths, one with a gap, in no order."""
    rows = [
        {"series": name, "time": hour, "target": math.sin(hour / 4) + index if hour % 50 else None}
        for index, (name, hours) in enumerate([("a", 200), ("b", 300), ("c", 40)])
        for hour in range(hours)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def refuses_without_weights(folder: Path) -> str:
    """What is said offline where no weights were fetched. They are looked for in an empty folder."""
    from huggingface_hub import constants

    before = constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE
    constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE = str(folder / "hub"), True
    try:
        forecast.fetch()
    except FileNotFoundError as error:
        require("forecast.py --fetch" in str(error), f"offline it only says: {error}")
        return "refused in words"
    finally:
        constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE = before
    raise SystemExit("weights were found in an empty folder")


def require(holds: bool, problem: str) -> None:
    """End with the problem in words unless something holds."""
    if not holds:
        raise SystemExit(problem)


if __name__ == "__main__":
    main()
