"""What is said of an environment's smoke test."""

from __future__ import annotations

import pytest

from gpurig import smoke


@pytest.mark.parametrize(
    "said", ["", "done", "[1]", '{"task": "x"}', '{"task": "x", "seconds": 0, "loss": 1}', "{'task': 1}"]
)
def test_what_says_too_little_is_told_what_to_print(said: str) -> None:
    problem, _ = smoke.judge(0, f"epoch 1\n{said}\n", "", 300)
    assert problem.startswith("its last line is ")
    assert 'must print as its last line one JSON object with "task", "seconds" (above 0)' in problem


@pytest.mark.parametrize(
    ("status", "out", "err", "problem"),
    [
        (0, 'noise\n{"task": "trains", "seconds": 1.5, "accuracy": 0.9}\n', "", ""),
        (0, '{"task": "trains", "seconds": 1.5, "loss": NaN}', "", "loss is nan"),
        (1, "", "Traceback\nImportError: x\n", "exit code 1: ImportError: x"),
        (124, "", "", "gave up after 300 s"),
    ],
)
def test_it_passes_where_every_figure_is_finite(status: int, out: str, err: str, problem: str) -> None:
    assert smoke.judge(status, out, err, 300)[0] == problem


def test_the_example_is_good() -> None:
    problem, found = smoke.judge(0, smoke.WANTED.partition("such as ")[2], "", 300)
    assert not problem
    assert smoke.summary(found) == "trains: seconds 1.5, accuracy 0.9"
