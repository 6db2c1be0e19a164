"""An idea is one Python file and one YAML file: four of them dropped into a copy of the project."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

IDEAS = {
    "models/ring.py": '''
        """A model of one's own."""
        import keras
        from models.image_classifier import ImageClassifier

        @keras.saving.register_keras_serializable(package="tapeloop")
        class Ring(ImageClassifier):
            def __init__(self, num_classes, units=16, **kwargs):
                super().__init__(num_classes, **kwargs)
                self.units = units
                self.flatten = keras.layers.Flatten(name="flatten")
                self.hidden = keras.layers.Dense(units, activation="gelu", name="hidden")
                self.logits = keras.layers.Dense(num_classes, name="logits", dtype="float32")

            def call(self, inputs, training=False):
                return self.logits(self.hidden(self.flatten(inputs)))

            def get_config(self):
                return {**super().get_config(), "units": self.units}
    ''',
    "conf/model/ring.yaml": '''
        # A model of one's own.
        _target_: models.ring.Ring
        units: 16
        num_classes: null
    ''',
    "experiments/brier.py": '''
        """A loss of one's own."""
        import tensorflow as tf

        def brier(labels, logits):
            wanted = tf.one_hot(labels, logits.shape[-1])
            return tf.reduce_sum(tf.square(tf.nn.softmax(logits) - wanted), axis=-1)
    ''',
    "conf/loss/brier.yaml": '''
        # A loss of one's own.
        _target_: experiments.brier.brier
        _partial_: true
    ''',
    "trainer/data/stripes.py": '''
        """A data set of one's own."""
        import numpy as np
        from trainer.data.dataset import DataSet

        def stripes(num_examples: int) -> DataSet:
            def load():
                rng = np.random.default_rng(0)
                label = np.arange(num_examples, dtype=np.int32) % 2
                image = rng.integers(0, 99, (num_examples, 8, 8, 1), dtype=np.uint8)
                image[label == 1, ::2] += 120
                return {"train": {"image": image, "label": label}}

            return DataSet("stripes", ("plain", "striped"), load)
    ''',
    "conf/data/stripes.yaml": '''
        # A data set of one's own.
        _target_: trainer.data.stripes.stripes
        num_examples: 160
        batch_size: 16
        validation: 0.2
    ''',
    "experiments/signs.py": '''
        """A training rule of one's own: steps by the sign of the gradient."""
        import tensorflow as tf
        from trainer.data.data import labels_of, model_inputs
        from trainer.trainer import Trainer

        class SignTrainer(Trainer):
            def train_step(self, batch):
                labels, weight = labels_of(batch), batch["weight"]
                with tf.GradientTape() as tape:
                    logits = self.model(model_inputs(batch), training=True)
                    losses = self.loss(labels, logits)
                    loss = tf.reduce_mean(losses * weight)
                variables = self.model.trainable_variables
                gradients = [tf.sign(g) for g in tape.gradient(loss, variables)]
                self.updater.take(gradients, variables)
                self.train_metrics.update(labels, logits, weight, losses)
                return {"loss": loss}
    ''',
    "conf/trainer/signs.yaml": '''
        # A training rule of one's own.
        _target_: experiments.signs.SignTrainer
    ''',
}  # fmt: skip

CHOSEN = [
    *("model=ring", "loss=brier", "data=stripes", "trainer=signs", "optimizer=sgd"),
    *("optimizer.learning_rate=0.01", "optimizer.weight_decay=0", "precision=float32"),
    "schedule=constant",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the ideas in it, and nothing else changed."""
    folder = tmp_path_factory.mktemp("project")
    for package in ("trainer", "models", "experiments", "conf", "tests"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__py*"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, text in IDEAS.items():
        lines = [line.removeprefix(" " * 8) for line in text.strip("\n").splitlines()]
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def python(project, *words):
    result = subprocess.run(
        [sys.executable, *words], cwd=project, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(project)},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def rows(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_ideas_train_resume_and_are_evaluated(project):
    train = ["-m", "trainer", *CHOSEN]
    python(project, *train, "duration=16st", "hydra.run.dir=whole")
    python(project, *train, "duration=9st", "checkpoint_every=9st", "hydra.run.dir=halves")
    python(project, *train, "duration=16st", "resume=command", "hydra.run.dir=halves")
    whole, halves = (
        [row for row in rows(project / name) if "train/loss" in row] for name in ("whole", "halves")
    )
    assert [row["step"] for row in whole] == list(range(1, 17))
    assert halves == whole
    assert rows(project / "whole")[-1]["val/accuracy"] > 0.9
    printed = python(project, "-m", "trainer", "evaluate", "whole")
    assert "val/accuracy" in printed


def test_ideas_are_on_the_help_page(project):
    page = python(project, "-m", "trainer", "--help")
    assert all(name in page for name in ("ring", "brier", "stripes", "signs"))


@pytest.mark.slow
def test_ideas_are_held_to_the_contracts(project):
    words = ["-m", "pytest", "-q", "-k", "ring or brier or stripes or signs"]
    suites = ["test_experiments.py", "models/test_model_contract.py", "data/test_data_contract.py"]
    printed = python(project, *words, *(f"tests/{suite}" for suite in suites))
    assert int(printed.split(" passed")[0].split()[-1].lstrip("=")) >= 15


@pytest.mark.slow
def test_a_model_is_saved_for_others(project, tmp_path):
    code = (
        "import sys, numpy as np; from models.ring import Ring; model = Ring(2);"
        "model.build((None, 8, 8, 1)); model.save(sys.argv[1]); import keras;"
        "x = np.ones((2, 8, 8, 1), 'float32'); loaded = keras.models.load_model(sys.argv[1]);"
        "np.testing.assert_array_equal(loaded(x), model(x))"
    )
    python(project, "-c", code, str(tmp_path / "ring.keras"))
