"""Text to train on: a file, a folder, or what ships with Python, cut into blocks of tokens."""

from __future__ import annotations

from pathlib import Path

import torch
from datasets import Dataset, disable_progress_bars
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END = "<|end|>"

TEST = 0.1
"""Share of the documents that is not trained on."""


FEWEST = 10
"""Documents without which nothing is left to test with."""

CHARACTERS = 2000
"""About so long is a document that is cut out of a file."""


def text(place: str | None) -> list[str]:
    """Documents: of a file or a folder of .txt files, else the pages of Python's language manual, 600 kB of English."""
    if place is None:
        from pydoc_data.topics import topics

        return [topics[name] for name in sorted(topics)]
    path = Path(place)
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise SystemExit(f"--text: {place} is neither a file nor a folder with .txt files")
    return [document for file in files for document in _documents(file.read_text(encoding="utf-8"))]


def tokenizer(documents: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-pair encoding learned from the documents; the same for the same documents."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        documents,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=[END], initial_alphabet=sorted(letters), show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END, bos_token=END)


def blocks(documents: list[str], words: PreTrainedTokenizerFast, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens to train on and to test with, each [blocks, length]; a document is in one of the two only."""
    if len(documents) < FEWEST:
        raise SystemExit(f"--text: {len(documents)} documents are too few; write more text")
    disable_progress_bars()
    parts = Dataset.from_dict({"text": documents}).train_test_split(test_size=TEST, seed=0)
    cut = []
    for name in ("train", "test"):
        rows = parts[name].map(
            lambda row: {"ids": words(row["text"] + END, verbose=False)["input_ids"]}, remove_columns="text"
        )
        stream = torch.tensor([token for row in rows["ids"] for token in row])
        count = len(stream) // length
        if count < 1:
            raise SystemExit(f"--text: too little for blocks of {length} tokens; write more text or a smaller --length")
        cut.append(stream[: count * length].view(count, length))
    return cut[0], cut[1]


def _documents(text: str) -> list[str]:
    """Whole paragraphs, as many as make about CHARACTERS."""
    found = [""]
    for paragraph in text.split("\n\n"):
        found[-1] += paragraph + "\n\n"
        if len(found[-1]) >= CHARACTERS:
            found.append("")
    return [document for document in found if document.strip()]
