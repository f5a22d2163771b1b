"""Log a run, a metric and a file to a database made for it, and read them back; prints one JSON object."""

import json
import os
import tempfile
import time
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import mlflow

POINTS = 5


def main() -> None:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment("smoke", artifact_location=(Path(folder) / "files").as_uri())
        mlflow.set_experiment("smoke")
        with mlflow.start_run() as run:
            for step in range(POINTS):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_text("kept", "note.txt")
        client = mlflow.MlflowClient()
        history = client.get_metric_history(run.info.run_id, "loss")
        text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/note.txt")
        client.set_terminated(run.info.run_id)
    if len(history) != POINTS or text != "kept":
        raise SystemExit(f"read back {len(history)} of {POINTS} points and the text {text!r}")
    result = {
        "task": "log a run and read it back",
        "points": len(history),
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {"mlflow": mlflow.__version__},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
