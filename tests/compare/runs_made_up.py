"""Run folders as training leaves them, in a moment."""

import json

import numpy as np
import yaml

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.split_predictions import SplitPredictions

CONFIG = {
    "data": {"_target_": "trainer.data.digits.digits", "batch_size": 32, "limit": None},
    "model": {"_target_": "models.mlp.MLP", "width": 64},
    "loss": {"_target_": "trainer.losses.CrossEntropy"},
    "optimizer": {"_target_": "trainer.optimizers.SGD", "learning_rate": 0.1},
    "monitor": "val/accuracy",
}


def make_run(
    folder, accuracy=0.9, seed=0, learning_rate=0.1, has_ended=True, step=20, config=None, **facts
):
    """Write a run folder; `config` is merged group by group, `facts` go to the manifest."""
    merged = {**CONFIG, "optimizer": {**CONFIG["optimizer"], "learning_rate": learning_rate}}
    for key, value in (config or {}).items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({**merged, "seed": seed}, sort_keys=False))
    manifest = {"command": f"python -m trainer optimizer.learning_rate={learning_rate}", **facts}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "lock").touch()
    values = {"train/accuracy": 0.5, "val/accuracy": accuracy, "val/loss": 1 - accuracy}
    rows = [{"step": k, "epoch": k / 10, "train/loss": 1 / k} for k in range(1, step + 1)]
    rows.append({"step": step, "epoch": step / 10, **values, "time/total": 7.5})
    lines = [json.dumps(row, separators=(",", ":")) + "\n" for row in rows]
    (folder / "metrics.jsonl").write_text("".join(lines))
    weights = {"model/kernel": np.zeros((3, 4), np.float32), "model/seed": np.zeros(2, np.uint32)}
    best = Checkpoint(step, weights, {"values": values, "value": accuracy, "mode": "max"})
    checkpoint.save(folder / "checkpoints" / f"best_{step:09d}.safetensors", best)
    state = Checkpoint(step, weights, {"has_ended": has_ended})
    checkpoint.save(folder / "checkpoints" / f"step_{step:09d}.safetensors", state)
    return folder


def keep_predictions(folder, labels, classes, split="test", step=20, losses=None, data=""):
    """Keep predictions of two classes that are sure of `classes`."""
    rows = np.eye(2, dtype=np.float32)[classes]
    losses = np.ones(len(labels), np.float32) if losses is None else losses
    weight = np.ones(len(labels), np.float32)
    kept = SplitPredictions({None: labels}, {None: rows}, losses, weight, step, data=data)
    kept.save(folder / "report" / f"predictions_{split}.npz")


def keep_metrics(folder, split="test", step=20, **facts):
    """Keep what `evaluate` writes for programs."""
    (folder / "report").mkdir(exist_ok=True)
    content = json.dumps({split: {"step": step, **facts}})
    (folder / "report" / "metrics.json").write_text(content)
