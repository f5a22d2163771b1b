"""The model that the service `api` serves from this environment: any network that was exported with torch.export.

The file API_MODEL names it, as written by

    program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, "model.pt2")

with one input and one output, whose first dimension is the batch. Without a file the network of shapes.py is trained at
the start, to have something to ask: a square, a disc or a cross, 16 × 16 pixels from 0 to 1, is answered with a
score for each. Nothing in a request is ever run as code. Loading a file can run code: name only one that you trust.
"""

import os
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

import shapes

NAME = "pytorch"
MAX_BATCH = 64


class Request(BaseModel):
    """One input, without the batch dimension: its values in row-major order, and its shape."""

    model_config = ConfigDict(extra="forbid")

    shape: list[int] = Field(max_length=8, examples=[[1, 16, 16]])
    values: list[float] = Field(max_length=1_000_000)


class Response(BaseModel):
    """One output, likewise."""

    shape: list[int]
    values: list[float]


class Model:
    """A network that takes a batch of inputs of one shape."""

    def __init__(self, network: nn.Module, shape: list[int] | None, place: torch.device) -> None:
        """shape: of an input without the batch dimension, where it is known; None takes what comes."""
        self._network, self._shape, self._place = network, shape, place

    @torch.inference_mode()
    def predict(self, asked: list[Request]) -> list[Response]:
        """Answer one batch. Raises ValueError where an input is not what the network takes."""
        inputs = torch.stack([self._input(one) for one in asked])
        try:
            outputs = self._network(inputs.to(self._place)).float().cpu()
        except AssertionError as error:  # how an exported network refuses a shape
            raise ValueError(f"this network does not take the shape {asked[0].shape} ({error})") from error
        return [Response(shape=list(one.shape), values=one.flatten().tolist()) for one in outputs]

    def _input(self, asked: Request) -> torch.Tensor:
        if self._shape is not None and asked.shape != self._shape:
            raise ValueError(f"shape is {asked.shape}; this network takes {self._shape}")
        values = torch.tensor(asked.values)
        if not torch.isfinite(values).all():
            raise ValueError("values has numbers that are not finite")
        if any(size < 1 for size in asked.shape) or torch.Size(asked.shape).numel() != len(values):
            raise ValueError(f"values has {len(values)} numbers, which do not make up the shape {asked.shape}")
        return values.view(asked.shape)


def load() -> Model:
    """The model, on the GPU where there is one."""
    place = shapes.device()
    if file := os.environ.get("API_MODEL"):
        return exported(Path(file), place)
    torch.manual_seed(0)
    network = shapes.network().to(place)
    shapes.train(network)
    return Model(network, [1, shapes.SIDE, shapes.SIDE], place)


def exported(file: Path, place: torch.device) -> Model:
    """The network in a file of torch.export. Raises SystemExit where there is none."""
    if not file.is_file():
        raise SystemExit(f"API_MODEL: there is no file {file}; write one with torch.export.save")
    network = torch.export.load(file).module().to(place)
    return Model(network, None, place)
