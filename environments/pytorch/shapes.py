"""Squares, discs and crosses in noise, and a small convolutional network that tells them apart.

What smoke.py trains, and the model that service.py answers with where it is given none.
Training it takes some seconds on one processor core.
"""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

NAMES = ("square", "disc", "cross")
SIDE = 16
"""Pixels on each side of a picture; each is about 0 (background) to 1 (shape), plus noise."""

NOISE = 0.2


def device() -> torch.device:
    """The GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pictures(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """That many pictures [count, 1, SIDE, SIDE] and what each shows, as a place in NAMES; the same per seed."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(NAMES), (count,), generator=random)
    radius = torch.randint(3, 6, (count, 1, 1), generator=random)
    centre = torch.randint(6, SIDE - 6, (2, count, 1, 1), generator=random)
    across = (torch.arange(SIDE).view(1, 1, SIDE) - centre[0]).abs()
    down = (torch.arange(SIDE).view(1, SIDE, 1) - centre[1]).abs()
    inside = torch.maximum(across, down) <= radius
    shapes = torch.stack([inside, across**2 + down**2 <= radius**2, inside & (torch.minimum(across, down) <= 1)])
    clean = shapes[labels, torch.arange(count)].float().unsqueeze(1)
    return clean + NOISE * torch.randn(clean.shape, generator=random), labels


def network() -> nn.Sequential:
    """Untrained; takes pictures and gives a score per shape."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (SIDE // 4) ** 2, len(NAMES)),
    )  # fmt: skip


def train(
    model: nn.Module, steps: int = 120, batch: int = 64, each: Callable[[int, float], object] = lambda step, loss: None
) -> list[float]:
    """Train a model where it lies, call `each` with every step and its loss, and return the losses."""
    place = next(model.parameters()).device
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    model.train()
    for step in range(steps):
        inputs, labels = (part.to(place) for part in pictures(batch, seed=1000 + step))
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        each(step, losses[-1])
    model.eval()
    return losses


@torch.inference_mode()
def accuracy(model: nn.Module, count: int = 600) -> float:
    """Share of unseen pictures that the model reads correctly."""
    inputs, labels = (part.to(next(model.parameters()).device) for part in pictures(count, seed=7))
    return (model(inputs).argmax(dim=1) == labels).float().mean().item()


def save(model: nn.Module, path: Path) -> None:
    """Write a checkpoint that is either whole or not there, however the program ends."""
    partial = path.with_name(f".{path.name}.partial")
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path, place: torch.device) -> nn.Module:
    """The model of a checkpoint, ready to use."""
    model = network().to(place)
    model.load_state_dict(load_file(path, device=str(place)))
    return model.eval()
