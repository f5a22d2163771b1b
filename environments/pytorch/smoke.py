"""Train a small network, save and load it, write TensorBoard's log, use sound and vision: prints one JSON object."""

import json
import tempfile
import time
from pathlib import Path

import torch
import torchaudio
import torchvision
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

import shapes

WANTED_ACCURACY = 0.9
STEPS = 120


def main() -> None:
    started = time.perf_counter()
    torch.manual_seed(0)
    # Threads that wait for one another are many times slower than one where other programs use the processors.
    torch.set_num_threads(1)
    place = shapes.device()
    # A GPU for which this build has no kernels is "available" as well.
    if (torch.ones(8, device=place) * 2).sum().item() != 16:
        raise SystemExit(f"{place} does not compute: 8 * 2 is not 16")
    model = shapes.network().to(place)
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as board:
            losses = shapes.train(model, STEPS, each=lambda step, loss: board.add_scalar("loss", loss, step))
        events = EventAccumulator(folder).Reload().Scalars("loss")
        require(len(events) == STEPS, f"TensorBoard's log has {len(events)} of {STEPS} losses")
        checkpoint = Path(folder) / "model.safetensors"
        shapes.save(model, checkpoint)
        left = [path.name for path in Path(folder).glob("*model*")]
        require(left == [checkpoint.name], f"saving a checkpoint left {left}")
        again = shapes.load(checkpoint, place)
    first, last = (sum(part) / len(part) for part in (losses[:10], losses[-10:]))
    require(last < first / 2, f"the loss did not fall: {first:.3f} at first, {last:.3f} at last")
    accuracy = shapes.accuracy(model)
    require(accuracy >= WANTED_ACCURACY, f"accuracy {accuracy:.3f} is below {WANTED_ACCURACY}")
    unseen = shapes.pictures(32, seed=8)[0].to(place)
    with torch.inference_mode():
        require(torch.equal(model(unseen), again(unseen)), "the loaded checkpoint does not answer like the saved model")
    result = {
        "task": "shapes, convolutional network",
        "device": torch.cuda.get_device_name() if place.type == "cuda" else "cpu",
        "first_loss": round(first, 4),
        "loss": round(last, 4),
        "accuracy": round(accuracy, 4),
        "pitch_hz": round(pitch(place), 1),
        "boxes_kept": boxes(place),
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {package.__name__: package.__version__ for package in (torch, torchaudio, torchvision)},
    }
    print(json.dumps(result))


def pitch(place: torch.device, wanted: float = 1000, rate: int = 16000) -> float:
    """Frequency in Hz at which torchaudio finds a pure tone."""
    tone = torch.sin(2 * torch.pi * wanted * torch.arange(rate, device=place) / rate)
    power = torchaudio.transforms.Spectrogram(n_fft=512).to(place)(tone).mean(dim=1)
    found = power.argmax().item() * rate / 512
    require(abs(found - wanted) <= rate / 512, f"torchaudio hears {found:.0f} Hz in a tone of {wanted:.0f} Hz")
    return found


def boxes(place: torch.device) -> int:
    """How many of three boxes, two of them nearly the same, torchvision's own kernel keeps."""
    three = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], device=place)
    kept = torchvision.ops.nms(three, torch.tensor([0.9, 0.8, 0.7], device=place), 0.5).tolist()
    require(kept == [0, 2], f"torchvision keeps the boxes {kept} instead of [0, 2]")
    return len(kept)


def require(holds: bool, problem: str) -> None:
    """End with the problem in words unless something holds."""
    if not holds:
        raise SystemExit(problem)


if __name__ == "__main__":
    main()
