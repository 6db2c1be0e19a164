"""From the command line to a run folder, and from there to a score in a fresh process."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_fit import rows
from test_writers import events

from trainer.__main__ import entry
from trainer.checkpoint_folder import CheckpointFolder

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["model=mlp", "data.limit=200", "precision=float32"]


def train(run_dir, *words):
    return entry([*SMALL, f"hydra.run.dir={run_dir}", *words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("finished")
    assert train(run_dir, "duration=3ep") == 0
    return run_dir


def test_a_run_folder_holds_everything(finished):
    names = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    (best,) = (name for name in names if name.startswith("checkpoints/best_"))
    assert {name for name in names if "tfevents" not in name} == {
        "config.yaml", "lock", "manifest.json", "metrics.jsonl", "train.log",
        best, "checkpoints/step_000000018.safetensors",
        "report/class_distribution.png", "report/learning_curves.png",
    }  # fmt: skip
    of_tensorboard = [name.split("/") for name in names if "tfevents" in name]
    assert {parts[0] for parts in of_tensorboard if len(parts) == 2} == {"train", "val"}
    assert len(of_tensorboard) == 3  # and one of the run itself, for the page of settings


def test_the_manifest_says_what_made_the_run(finished):
    facts = json.loads((finished / "manifest.json").read_text())
    assert "duration=3ep" in facts["command"]
    assert facts["data"]["train"]["num_examples"] == 200
    assert facts["packages"]["keras"]
    assert (facts["seed"], facts["precision"]) == (0, "float32")


def test_tensorboard_has_curves_that_overlay_the_config_and_images(finished):
    train_tags, val_tags = events(finished / "train"), events(finished / "val")
    assert {"loss", "accuracy", "learning_rate", "gradient_norm"} <= set(train_tags)
    assert {"loss", "accuracy"} <= set(val_tags)
    assert b"_target_: models.mlp.MLP" in train_tags["config"][0][1].string_val[0]
    assert len(train_tags["training images"]) == 1
    assert len(train_tags["loss"]) == 18


def test_the_summary_says_where_everything_is_and_what_to_type(finished):
    log = (finished / "train.log").read_text()
    assert "val is 0.2 of train" in log
    assert f"tensorboard --logdir {finished}" in log
    assert f"python -m trainer evaluate {finished}" in log
    assert "18 steps" in log


def test_evaluate_prints_in_a_fresh_process_what_training_logged(finished):
    result = subprocess.run(
        [sys.executable, "-m", "trainer", "evaluate", str(finished)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    best = max((r for r in rows(finished) if "val/accuracy" in r), key=lambda r: r["val/accuracy"])
    for name in ("val/loss", "val/accuracy"):
        assert f"{best[name]:.6f}   (training logged {best[name]:.6f})" in result.stdout
    assert result.stderr == ""


def test_evaluate_takes_the_last_weights_and_other_splits(finished, capsys):
    assert entry(["evaluate", str(finished), "weights=last", "split=train"]) == 0
    assert "train: 200 examples, last weights (step 18)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one run folder is needed, received 0"),
        (["nowhere"], "nowhere: no run folder, it has no config.yaml"),
        (["RUN", "split=tset"], "split=tset: this data has train, val"),
        (["RUN", "weights=first"], "weights=first: choose best or last"),
        (["RUN", "data.rot=x"], "data.rot"),
    ],
)
def test_evaluate_answers_bad_usage_with_one_line(finished, words, message, capsys):
    assert entry(["evaluate", *(str(finished) if w == "RUN" else w for w in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_evaluate_takes_the_folder_of_a_job_of_a_sweep(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "seed=0,model=mlp")
    assert entry(["evaluate", str(tmp_path / "seed=0,model=mlp"), "split=train"]) == 0
    assert "train: 200 examples" in capsys.readouterr().out


def test_a_killed_run_goes_on_to_the_same_end(finished, tmp_path):
    words = [*SMALL, "duration=3ep", f"hydra.run.dir={tmp_path}", "checkpoint_every=2st"]
    program = [sys.executable, "-m", "trainer", *words]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        folder = CheckpointFolder(tmp_path / "checkpoints")
        while process.poll() is None and not folder.latest():
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert train(tmp_path, "duration=3ep", "checkpoint_every=2st") == 0
    assert rows(tmp_path) == rows(finished)
    ends = [CheckpointFolder(d / "checkpoints").latest() for d in (finished, tmp_path)]
    for name, array in ends[0].arrays.items():
        np.testing.assert_array_equal(ends[1].arrays[name], array, err_msg=name)


def test_an_interrupted_run_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    from trainer.trainer import Trainer

    run_chunk = Trainer.train_chunk

    def interrupted(self, first_step, num_steps):
        os.kill(os.getpid(), signal.SIGINT)
        return run_chunk(self, first_step, num_steps)

    monkeypatch.setattr(Trainer, "train_chunk", interrupted)
    assert train(tmp_path) == 75
    log = (tmp_path / "train.log").read_text()
    assert "Stopped by SIGINT at step 1, state saved." in log
    assert f"hydra.run.dir={tmp_path}" in log
    monkeypatch.undo()
    assert train(tmp_path) == 0
    assert "going on from step 1" in (tmp_path / "train.log").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.num_classes=5"], "model.num_classes=5, but digits has 10 classes"),
        (
            ["augment=mixup", "augment.mixup.num_classes=5"],
            "augment.mixup.num_classes=5, but digits",
        ),
        (
            ["augment=mixup", "augment.mixup.alpha=0"],
            "augment.mixup: Mixup: alpha=0 must be above 0",
        ),
        (["optimizer.momentum=3"], "optimizer: `momentum` must be"),
        (["loss.label_smoothing=2"], "label_smoothing=2"),
        (["augment.crop.padding=-1"], "padding"),
        (["schedule.warmup=50ep", "duration=3ep"], "schedule.warmup is"),
        (["data.batch_size=4096"], "data.batch_size=4096"),
        (["data=cifar10", "data.root=/nowhere"], "data.root=/nowhere"),
        (["model=mini_inception", "data=synthetic", "data.image_shape=[5,5,1]"], "at least 7x7"),
        (["augment_until=50%", "duration=1min"], "augment_until: 50% is no number of steps here"),
    ],
)
def test_what_cannot_be_built_is_one_line_and_leaves_nothing(words, message, tmp_path, capsys):
    run_dir = tmp_path / "run"
    assert train(run_dir, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not run_dir.exists()


def test_deterministic_operations_are_a_setting_of_the_process(tmp_path):
    words = [*SMALL, "duration=2st", "deterministic=true", f"hydra.run.dir={tmp_path}"]
    program = (
        "import sys; from trainer.__main__ import entry; code = entry(sys.argv[1:]);"
        "from tensorflow.python.framework import config;"
        "sys.exit(code or not config.is_op_determinism_enabled())"
    )
    subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, check=True)


def test_augmentation_may_end_before_the_run(tmp_path):
    losses = []
    for words in (["augment_until=50%"], []):
        run_dir = tmp_path / str(len(losses))
        assert train(run_dir, "augment=mixup", "duration=4st", "eval_every=null", *words) == 0
        losses.append([row["train/loss"] for row in rows(run_dir) if "train/loss" in row])
    ended, whole = losses
    assert ended[:2] == whole[:2]
    assert ended[2] != whole[2]


def test_the_best_three_and_every_second_checkpoint_stay(tmp_path):
    words = ["duration=6ep", "keep_best=3", "keep_every=2ep", "optimizer.learning_rate=0.01"]
    assert train(tmp_path, *words) == 0
    steps = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    logged = [(r["val/accuracy"], -r["step"]) for r in rows(tmp_path) if "val/accuracy" in r]
    best = sorted(-step for _, step in sorted(logged, reverse=True)[:3])
    assert steps == [f"best_{step:09d}.safetensors" for step in best] + [
        f"step_{step:09d}.safetensors" for step in (12, 24, 36)
    ]


def test_a_step_that_is_not_finite_is_one_line_on_the_terminal_and_in_the_log(tmp_path, capsys):
    words = ["optimizer.learning_rate=1e30", "optimizer.momentum=0.0", "optimizer.nesterov=false"]
    assert train(tmp_path, *words, "schedule=constant", "duration=10st") == 1
    error = capsys.readouterr().err
    assert re.match(r"step \d+: .* is (nan|inf)", error)
    assert error.count("\n") == 1
    step = int(re.match(r"step (\d+)", error)[1])
    assert f"python -m trainer replay {tmp_path} {step}" in error
    assert error.strip() in (tmp_path / "train.log").read_text()
    assert CheckpointFolder(tmp_path / "checkpoints").latest().step == step - 1
