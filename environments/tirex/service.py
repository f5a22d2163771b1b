"""The model that the service `api` serves from this environment: forecasts of time series with TiRex.

Its weights are those that `forecast.py --fetch` downloaded, or the file in API_MODEL. No request is run as code.
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

import forecast

NAME = "tirex"
MAX_BATCH = 64
MOST_VALUES = 20_000
"""TiRex itself looks at the last 2,048 values or so."""

Number = Annotated[float, Field(allow_inf_nan=False)]


class NotReadyError(Exception):
    """The weights are not on this host yet; the server waits for them."""


class Request(BaseModel):
    """One series, oldest value first; null where a value is missing."""

    model_config = ConfigDict(extra="forbid")

    values: list[Number | None] = Field(min_length=1, max_length=MOST_VALUES, examples=[[1.0, 2.0, None, 4.0]])
    steps: int = Field(default=64, ge=1, le=forecast.MOST_STEPS, description="How far to look ahead.")


class Response(BaseModel):
    """One list per level, with a value per step; q50, the median, is the forecast."""

    quantiles: dict[str, list[float]]


class Model:
    """TiRex, ready to forecast."""

    def __init__(self, checkpoint: Path) -> None:
        self._model = forecast.load(checkpoint)

    def predict(self, asked: list[Request]) -> list[Response]:
        """Answer one batch; each may want another number of steps. Raises ValueError for a series without a value."""
        series = {
            str(place): [float("nan") if value is None else value for value in one.values]
            for place, one in enumerate(asked)
        }
        steps = max(one.steps for one in asked)
        found = forecast.forecast(self._model, series, steps)
        return [
            Response(quantiles={name: found[name][place * steps :][: one.steps] for name in forecast.COLUMNS})
            for place, one in enumerate(asked)
        ]


def load() -> Model:
    """The model, on the GPU where there is one.

    Raises NotReadyError where there are no weights, SystemExit where the package is another one.
    """
    try:
        forecast.check_package()
    except ValueError as error:
        raise SystemExit(f"tirex: {error}") from error
    if file := os.environ.get("API_MODEL"):
        if not Path(file).is_file():
            raise NotReadyError(f"API_MODEL: there is no file {file}")
        return Model(Path(file))
    try:
        weights = forecast.fetch()
    except FileNotFoundError as error:
        raise NotReadyError(str(error)) from error
    return Model(Path(weights))
