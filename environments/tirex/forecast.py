"""Forecast the series of a Parquet file with TiRex and write the forecasts as another one.

    forecast.py IN.parquet OUT.parquet [--steps 64] [--value target] [--series series] [--time time]
    forecast.py --fetch        download the weights once (NX-AI/TiRex, 35 M parameters) into HF_HOME

IN has a column of values (gaps may be missing values) and, where there are several series, one that tells them apart.
Rows are taken in the order of the column of times, else as they come. OUT has series, step (from 1), q10 … q90: q50,
the median, is the forecast, and q90 - q10 is the width of what is likely. With HF_HUB_OFFLINE=1 no network is asked.

The weights' licence, NXAI's Community License, is no open-source one: large companies need another.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from tirex.models.tirex import TiRexZero

WEIGHTS = "NX-AI/TiRex"
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
COLUMNS = tuple(f"q{round(level * 100)}" for level in LEVELS)
MOST_STEPS = 2048


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    asked = _arguments(words)
    try:
        check_package()
        if asked.fetch:
            print(fetch())
            return
        import pandas as pd

        series = read(asked.input, asked.value, asked.series, asked.time)
        out = forecast(load(asked.checkpoint), series, asked.steps)
        write(pd.DataFrame(out), asked.output)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"forecast.py: {error}") from error
    print(f"{asked.output}: {len(out['step'])} rows", file=sys.stderr)


def check_package() -> None:
    """Raise ValueError unless the installed `tirex` is the forecasting model; PyPI's `tirex` is something else."""
    there = {distribution.metadata["Name"].lower() for distribution in metadata.distributions(name="tirex")}
    if "tirex" in there:
        raise ValueError("the package tirex is installed, which has nothing to do with TiRex; remove it")
    try:
        metadata.distribution("tirex-ts")
    except metadata.PackageNotFoundError:
        raise ValueError("the package tirex-ts is not installed") from None


def fetch() -> str:
    """Download the weights, or find them where they were downloaded before; the path of the file."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return hf_hub_download(repo_id=WEIGHTS, filename="model.ckpt")
    except LocalEntryNotFoundError as error:
        home = os.environ.get("HF_HOME", "~/.cache/huggingface")
        raise FileNotFoundError(
            f"the weights of {WEIGHTS} are not in {home}, and huggingface.co was not asked or did not answer; "
            "run `forecast.py --fetch` once on this host while it has a network, without HF_HUB_OFFLINE"
        ) from error


def load(checkpoint: Path | None = None) -> TiRexZero:
    """The model, on the GPU where there is one: with the weights of a file, or with those that were fetched.

    tirex-ts 1.4.2 takes the name of the model from the path of a local file, which has to be relative and look like
    `<folder>/TiRex/model.ckpt`; so a file is handed over under such a path, from the folder that it starts in.
    """
    from contextlib import chdir, redirect_stdout
    from tempfile import TemporaryDirectory

    from tirex import load_model

    file = Path(checkpoint or fetch()).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no checkpoint {file}")
    with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(sys.stderr):
        Path("local/TiRex").mkdir(parents=True)
        Path("local/TiRex/model.ckpt").symlink_to(file)
        return load_model("local/TiRex/model.ckpt", backend="torch").eval()


def read(file: Path, value: str, series: str, time: str) -> dict[str, list[float]]:
    """Series → its values in order, from a Parquet file. Raises ValueError where the file is not as described above."""
    import pandas as pd

    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        frame = pd.read_parquet(file)
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} is no Parquet file ({error})") from error
    if value not in frame:
        raise ValueError(f"{file} has no column {value!r}, but {', '.join(map(str, frame))}; name one with --value")
    if not pd.api.types.is_numeric_dtype(frame[value]):
        raise ValueError(f"{file}: the column {value!r} holds {frame[value].dtype}, not numbers; name one with --value")
    if time in frame:
        frame = frame.sort_values(time, kind="stable")
    if series not in frame:
        return {"": frame[value].astype(float).tolist()}
    return {str(name): part[value].astype(float).tolist() for name, part in frame.groupby(series, sort=True)}


def forecast(model: TiRexZero, series: dict[str, list[float]], steps: int, batch: int = 256) -> dict[str, list]:
    """Columns series, step and COLUMNS for that many steps after the end of each series."""
    import torch

    problems = [name for name, values in series.items() if not any(abs(value) < float("inf") for value in values)]
    if problems or not series:
        raise ValueError(f"series without any number: {', '.join(map(repr, problems)) or 'all'}")
    if not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps is {steps}; write 1 to {MOST_STEPS}")
    quantiles, _ = model.forecast(
        [torch.tensor(values, dtype=torch.float32) for values in series.values()],
        prediction_length=steps,
        batch_size=batch,
    )
    if not torch.isfinite(quantiles).all():
        raise ValueError("the forecast is not finite: the values are too large for it, or the weights are damaged")
    rows = quantiles.reshape(-1, len(LEVELS)).T.tolist()
    names = [name for name in series for _ in range(steps)]
    return {"series": names, "step": list(range(1, steps + 1)) * len(series), **dict(zip(COLUMNS, rows, strict=True))}


def write(frame: pd.DataFrame, file: Path) -> None:
    """Write a Parquet file that is either whole or not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    frame.to_parquet(partial, index=False)
    partial.replace(file)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, nargs="?", metavar="IN.parquet")
    parser.add_argument("output", type=Path, nargs="?", metavar="OUT.parquet")
    parser.add_argument("--steps", type=int, default=64, help="how far to look ahead (%(default)s)")
    parser.add_argument("--value", default="target", help="column of values (%(default)s)")
    parser.add_argument("--series", default="series", help="column that tells series apart (%(default)s)")
    parser.add_argument("--time", default="time", help="column of times (%(default)s)")
    parser.add_argument("--checkpoint", type=Path, help="weights in a file, instead of those that were fetched")
    parser.add_argument("--fetch", action="store_true", help="only download the weights")
    asked = parser.parse_args(words)
    if not asked.fetch and asked.output is None:
        parser.error("name the file to read and the file to write, or --fetch")
    return asked


if __name__ == "__main__":
    main()
