"""Train a digit classifier and draw it: proves that the environment computes, and prints one JSON object."""

import json
import tempfile
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import sklearn
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

WANTED_ACCURACY = 0.95


def main() -> None:
    started = time.perf_counter()
    features, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        features / 16, labels, test_size=0.25, random_state=0, stratify=labels
    )
    model = LogisticRegression(max_iter=300).fit(train_x, train_y)
    accuracy = float(model.score(test_x, test_y))
    if accuracy < WANTED_ACCURACY:
        raise SystemExit(f"accuracy {accuracy:.3f} is below {WANTED_ACCURACY}")
    result = {
        "task": "digits, logistic regression",
        "accuracy": round(accuracy, 4),
        "plot_bytes": plot(model.coef_[0].reshape(8, 8)),
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
    }
    print(json.dumps(result))


def plot(weights: np.ndarray) -> int:
    """Draw one class's weights and return the size of the picture in bytes."""
    mpl.use("agg")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.png"
        figure, axes = plt.subplots()
        axes.imshow(weights)
        figure.savefig(path)
        return path.stat().st_size


if __name__ == "__main__":
    main()
