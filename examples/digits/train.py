"""Learns to read handwritten digits (scikit-learn's, 1,797 real scans) and leaves what a training run should leave.

In the folder GPURIG_RESULTS, or ./results: metrics.json, curve.png, the model and TensorBoard's log. Run it anywhere with

    rig train demo train.py --epochs 40
"""

import argparse
import json
import os
from pathlib import Path

import joblib
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from tensorboardX import SummaryWriter


def main() -> None:
    """Train for some epochs, say how it goes, and write the results."""
    arguments = _arguments()
    results = Path(os.environ.get("GPURIG_RESULTS", "results"))
    results.mkdir(parents=True, exist_ok=True)

    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images / 16, digits, test_size=0.25, random_state=arguments.seed, stratify=digits
    )
    model = MLPClassifier(hidden_layer_sizes=(64,), learning_rate_init=arguments.rate, random_state=arguments.seed)
    history = []
    with SummaryWriter(str(results / "tensorboard")) as board:
        for epoch in range(1, arguments.epochs + 1):
            model.partial_fit(train_x, train_y, classes=np.unique(digits))
            row = {
                "epoch": epoch,
                "loss": round(float(model.loss_), 4),
                "train": round(float(model.score(train_x, train_y)), 4),
                "test": round(float(model.score(test_x, test_y)), 4),
            }
            history.append(row)
            for name in ("loss", "train", "test"):
                board.add_scalar(name, row[name], epoch)
            if epoch == 1 or epoch % 5 == 0:
                line = "epoch {epoch:3}  loss {loss:.4f}  right: train {train:.1%}, test {test:.1%}"
                print(line.format(**row), flush=True)

    metrics = {"accuracy": history[-1]["test"], **vars(arguments), "history": history}
    (results / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    joblib.dump(model, results / "model.joblib")
    _draw(history, model, test_x, test_y, results / "curve.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _draw(
    history: list[dict[str, float]], model: MLPClassifier, test_x: np.ndarray, test_y: np.ndarray, file: Path
) -> None:
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    curve, confusion = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    curve.plot(epochs, [row["train"] for row in history], label="training set")
    curve.plot(epochs, [row["test"] for row in history], label="test set")
    curve.set(title="Digits read correctly", xlabel="epoch", ylabel="share")
    curve.grid(alpha=0.3)
    curve.legend()
    ConfusionMatrixDisplay.from_estimator(model, test_x, test_y, ax=confusion, colorbar=False, cmap="Blues")
    confusion.set(title=f"Test set: {history[-1]['test']:.1%} right")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
