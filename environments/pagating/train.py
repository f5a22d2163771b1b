"""Train a small language model from scratch: one point of a sweep over alpha mode and learning rate.

    for mode in one depth learned zero; do for rate in 1e-3 3e-3 1e-2; do
        train.py --alpha-mode $mode --learning-rate $rate --results sweep/$mode-$rate --resume
    done; done

Alpha is the factor on what each attention and each MLP adds to the stream of a transformer; see ALPHA_MODES. Another
meaning of alpha, or another model, is your own repository: give it as `environments_sources` of the host (url, commit).

Leaves in the results folder: metrics.json, tensorboard/, and checkpoints/step-…/, the last two. A checkpoint is either
whole or not there. With --resume a run goes on from the last one, also from the one that SIGTERM makes it write, and
ends as if it had never stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

import checkpoint
import corpus

ALPHA_MODES: dict[str, tuple[Callable[[int], float], bool]] = {
    "one": (lambda layers: 1.0, False),
    "depth": (lambda layers: (2 * layers) ** -0.5, False),
    "learned": (lambda layers: (2 * layers) ** -0.5, True),
    "zero": (lambda layers: 0.0, True),
}
"""Alpha at the start, by the number of layers, and whether it is learned. `one` is a plain transformer, `depth` keeps
the stream's variance as it is (as GPT-2's initialisation does), `zero` is ReZero (Bachlechner et al. 2020)."""

FIXED = ("alpha_mode", "learning_rate", "seed", "steps", "batch", "length", "layers", "width", "vocabulary", "text")
"""What has to be the same when a run goes on."""


def main(words: list[str] | None = None) -> dict[str, Any]:
    """Train as the command line says; what metrics.json holds."""
    asked = _arguments(words)
    torch.manual_seed(asked.seed)
    logging.disable_progress_bar()
    results: Path = asked.results
    results.mkdir(parents=True, exist_ok=True)
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = corpus.tokenizer(corpus.text(asked.text), asked.vocabulary)
    train, test = corpus.blocks(corpus.text(asked.text), tokenizer, asked.length)
    model = build(asked, len(tokenizer)).to(place)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]  # norms and alphas
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=asked.learning_rate, betas=(0.9, 0.95))
    settings = {name: getattr(asked, name) for name in FIXED}
    step, history = (0, []) if asked.resume is None else checkpoint.load(_last(asked), model, optimiser, settings)

    stopped: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    started, first = time.perf_counter(), step
    try:
        with SummaryWriter(str(results / "tensorboard"), purge_step=step) as board:
            while step < asked.steps and not stopped:
                loss = update(model, optimiser, batch(train, asked, step).to(place), _rate(asked, step))
                step += 1
                board.add_scalar("loss", loss, step)
                board.add_scalar("learning rate", _rate(asked, step - 1), step)
                history.append([step, round(loss, 5) if math.isfinite(loss) else None])
                if not math.isfinite(loss):
                    break
                if step % asked.save_every == 0 or step == asked.steps or stopped:
                    notes = {"settings": settings, "history": history, "step": step}
                    checkpoint.save(results, model, optimiser, tokenizer, notes)
                if step % 20 == 0:
                    print(f"step {step:5}  loss {loss:.4f}", flush=True)
            seconds = time.perf_counter() - started
            diverged = bool(history) and history[-1][1] is None
            found = None if diverged or stopped else evaluate(model, test, asked.batch)
            if found is not None:
                board.add_scalar("test loss", found, step)
    finally:
        signal.signal(signal.SIGTERM, before)
    metrics = {
        **{name: value for name, value in settings.items() if name != "text"},
        "state": "stopped" if stopped else "diverged" if diverged else "done",
        "step": step,
        "device": torch.cuda.get_device_name() if place.type == "cuda" else "cpu",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "first_loss": _mean([loss for _, loss in history[:10]]),
        "loss": _mean([loss for _, loss in history[-10:]]),
        "test_loss": found,
        "tokens_per_second": round((step - first) * asked.batch * asked.length / max(seconds, 1e-9)),
        "alpha": [round(float(alpha), 4) for name, alpha in model.state_dict().items() if name.endswith(".alpha")],
        "seconds": round(seconds, 2),
        "history": history,
    }
    checkpoint.put(results / "metrics.json", json.dumps(metrics) + "\n")
    if stopped:
        raise SystemExit(128 + stopped[0])
    return metrics


def build(asked: argparse.Namespace, vocabulary: int) -> LlamaForCausalLM:
    """An untrained model whose attentions and MLPs add alpha times what they say."""
    heads = max(asked.width // 32, 1)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=asked.width, intermediate_size=4 * asked.width,
        num_hidden_layers=asked.layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=asked.length,
        tie_word_embeddings=True, use_cache=False, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    start, learned = ALPHA_MODES[asked.alpha_mode]
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            part.alpha = nn.Parameter(torch.tensor(start(asked.layers)), requires_grad=learned)
            part.register_forward_hook(_times_alpha)
    return model


def batch(train: torch.Tensor, asked: argparse.Namespace, step: int) -> torch.Tensor:
    """The blocks of a step; they depend on seed and step only, so a run that goes on sees the same ones."""
    random = torch.Generator().manual_seed(asked.seed * 1_000_003 + step)
    return train[torch.randint(len(train), (asked.batch,), generator=random)]


def update(model: LlamaForCausalLM, optimiser: torch.optim.Optimizer, tokens: torch.Tensor, rate: float) -> float:
    """One step of the optimiser; the loss before it, in nats per token."""
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=tokens.is_cuda):
        loss = model(input_ids=tokens, labels=tokens).loss
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return loss.item()


@torch.inference_mode()
def evaluate(model: LlamaForCausalLM, test: torch.Tensor, size: int) -> float:
    """Loss on text that was not trained on, in nats per token."""
    model.eval()
    parts = test[: 8 * size].split(size)
    losses = [model(input_ids=part, labels=part).loss.item() for part in (one.to(model.device) for one in parts)]
    return round(sum(losses) / len(losses), 5)


def _times_alpha(part: nn.Module, _: object, said: Any) -> Any:
    return (said[0] * part.alpha, *said[1:]) if isinstance(said, tuple) else said * part.alpha


def _rate(asked: argparse.Namespace, step: int) -> float:
    """Learning rate: up in the first twentieth, then a cosine down to a tenth."""
    warm = max(asked.steps // 20, 1)
    if step < warm:
        return asked.learning_rate * (step + 1) / warm
    return asked.learning_rate * (0.55 + 0.45 * math.cos(math.pi * (step - warm) / max(asked.steps - warm, 1)))


def _last(asked: argparse.Namespace) -> Path | None:
    """The checkpoint to go on from; none where the results folder has none yet."""
    there = checkpoint.whole(asked.results) if asked.resume == Path() else [asked.resume]
    return there[-1] if there else None


def _mean(losses: list[float | None]) -> float | None:
    return None if not losses or None in losses else round(sum(losses) / len(losses), 5)


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--alpha-mode", choices=list(ALPHA_MODES), default="one")
    add("--learning-rate", type=float, default=3e-3)
    add("--seed", type=int, default=0)
    add("--steps", type=int, default=400)
    add("--batch", type=int, default=32, help="blocks per step")
    add("--length", type=int, default=128, help="tokens per block")
    add("--layers", type=int, default=4)
    add("--width", type=int, default=128, help="a multiple of 64")
    add("--vocabulary", type=int, default=2048)
    add("--text", help="file or folder of .txt files to train on, instead of Python's own manual")
    add("--save-every", type=int, default=100, metavar="STEPS")
    add("--results", type=Path, default=Path(os.environ.get("GPURIG_RESULTS", "results")))
    add(
        "--resume",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="CHECKPOINT",
        help="go on from this, or from the last one",
    )
    asked = parser.parse_args(words)
    wrong = [name for name in ("steps", "batch", "length", "layers", "save_every") if getattr(asked, name) < 1]
    if wrong or asked.width % 64 or asked.width < 64 or not 0 < asked.learning_rate < 1 or asked.vocabulary < 300:
        parser.error(f"not possible: {', '.join(wrong) or 'width, learning rate or vocabulary'}")
    return asked


if __name__ == "__main__":
    main()
