"""Every experiment, option and debug setting composes, is valid, and trains a few steps."""

import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from option_size import is_large
from test_fit import rows

from trainer import config
from trainer.run import run

CONF = Path(__file__).resolve().parent.parent / "conf"


def options(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def as_written(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def missing(*overrides):
    """The settings that a user must give."""
    return OmegaConf.missing_keys(as_written(*overrides))


def composed(*overrides, given="somewhere"):
    """The configuration; what a user must give (`???`), which is a run folder, is `given`."""
    cfg = as_written(*overrides)
    for key in OmegaConf.missing_keys(cfg):
        OmegaConf.update(cfg, key, str(given))
    return config.check(cfg)


def trained(run_dir, *overrides):
    words = [*overrides, "precision=float32"]
    given = run_dir.with_name(f"{run_dir.name}_given")
    if missing(*words):
        plain = [word for word in words if not word.startswith("trainer=")]
        run(composed(*plain, "trainer=default"), given)
    run(composed(*words, given=given), run_dir)
    return rows(run_dir)


def choices(experiment):
    """The option of each group that an experiment chooses."""
    entries = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())["defaults"]
    return {key.removeprefix("override /"): value for key, value in _pairs(entries)}


def _pairs(entries):
    return [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]


def settings(group, option):
    """The keys in an option's file, those of nested targets among them."""
    text = (CONF / group / f"{option}.yaml").read_text()
    return set(re.findall(r"^ *(\w+):", text, re.MULTILINE))


def on_small_data(experiment):
    """The words to try an experiment with: its own data, if there is nothing to download."""
    chosen = choices(experiment)
    needs_files = settings("data", chosen.get("data", "digits")) & {"root", "file", "dataset"}
    words = [f"experiment={experiment}", "duration=3st", "data.batch_size=8", "data.limit=32"]
    if needs_files:
        # Two classes, so that models with one output fit too.
        words += ["data=synthetic", "data.num_classes=2", "data.num_examples=64"]
    if "weights" in settings("model", chosen.get("model", "mlp")):
        words += ["model.weights=null"]
    return words


def needs_another_run(experiment):
    """Whether its model is made from the run of another one; tests/experiments tries these."""
    return any(key.startswith("model.") for key in missing(f"experiment={experiment}"))


def in_its_suite(experiment):
    chosen = choices(experiment)
    model = CONF / "model" / f"{chosen.get('model', 'mlp')}.yaml"
    is_slow = is_large(model) or "weights" in settings("model", model.stem)
    return pytest.param(experiment, marks=[pytest.mark.slow] if is_slow else [])


@pytest.mark.parametrize(
    "experiment", [in_its_suite(e) for e in options("experiment") if not needs_another_run(e)]
)
def test_every_experiment_trains_a_few_steps(experiment, tmp_path):
    written = trained(tmp_path, *on_small_data(experiment))
    assert [row["step"] for row in written if "train/loss" in row] == [1, 2, 3]
    assert "val/loss" in written[-1]


# What an option is tried on: the first that it fits. The others must refuse it in one line.
PROBLEMS = {
    "classes": ["model=mlp", "data.limit=64"],
    "images in [0, 1]": ["model=mlp", "data.limit=64", "data.standardise=none"],
    "two classes, one output": [
        *("data=synthetic", "data.num_classes=2", "data.num_examples=64", "model=mlp"),
        *("model.num_classes=1", "loss=binary_cross_entropy", "metrics=binary"),
    ],
    "yes or no": [
        *("data=toy_table", "augment=none", "model=branched_mlp"),
        *("loss=binary_cross_entropy", "metrics=binary"),
    ],
    "two outputs": [
        *("data=two_inputs", "data.limit=64", "augment=none", "model=two_inputs"),
        *("loss=two_outputs", "metrics=two_outputs"),
    ],
}


@pytest.mark.parametrize(
    ("group", "option"),
    [
        (group, option)
        for group in ("augment", "loss", "metrics", "optimizer", "schedule", "callbacks", "trainer")
        for option in options(group)
    ],
)
def test_every_option_trains_a_few_steps(group, option, tmp_path):
    problems = list(PROBLEMS.values())
    problems += [on_small_data(e) for e in options("experiment") if choices(e).get(group) == option]
    # Pictures would take as long as the steps; the experiments are trained with them.
    chosen = [f"{group}={option}", *(["callbacks=progress"] if group != "callbacks" else [])]
    for number, words in enumerate(problems):
        folder = tmp_path / str(number)
        try:
            written = trained(folder, *words, "duration=2st", *chosen)
        except ValueError as refusal:
            assert "\n" not in str(refusal), refusal
            continue
        assert [row["step"] for row in written if "train/loss" in row] == [1, 2]
        return
    pytest.fail(f"{group}={option} fits none of {', '.join(PROBLEMS)}, and no experiment takes it")


def test_a_metric_gets_the_number_of_classes_of_the_data(tmp_path):
    iou = "+metrics.iou={_target_: keras.metrics.MeanIoU, sparse_y_pred: false}"
    written = trained(tmp_path, "model=mlp", "data.limit=64", "duration=2st", iou)
    assert 0 <= written[-1]["val/iou"] <= 1


@pytest.mark.parametrize("option", options("debug"))
def test_every_debug_setting_is_valid(option):
    composed(f"debug={option}")


def test_overfitting_two_batches_drives_the_loss_to_zero(tmp_path):
    written = trained(tmp_path, "debug=overfit", "model=mlp", "augment=none")
    assert written[-1]["val/loss"] < 0.01


@pytest.mark.parametrize("augment", ["shift", "mixup"])  # the batch is mixed before it is divided
def test_two_replicas_train_as_one_device(augment, tmp_path):
    # XLA draws other numbers, and compiles for one device alone.
    words = ["model=mlp", "duration=5st", f"augment={augment}", "jit=false"]
    one = trained(tmp_path / "one", *words)
    two = trained(tmp_path / "two", *words, "strategy=mirrored", "strategy.num_devices=2")
    assert two[-1]["val/loss"] == pytest.approx(one[-1]["val/loss"], rel=1e-4)


@pytest.mark.parametrize("experiment", options("experiment"))
@pytest.mark.parametrize("turn", range(3))
def test_every_part_of_an_experiment_can_be_exchanged(experiment, turn):
    words = [f"experiment={experiment}"]
    for group in ("augment", "model", "loss", "metrics", "optimizer", "schedule"):
        there = options(group)
        # Another option for each experiment and turn, so that all of them come up.
        k = turn + 3 * options("experiment").index(experiment)
        words.append(f"{group}={there[k % len(there)]}")
    composed(*words)


@pytest.mark.parametrize("experiment", options("experiment"))
def test_experiments_choose_options_and_change_no_values_inside_them(experiment):
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    keys = yaml.safe_load(text).keys() - {"defaults"}
    assert not keys & {path.name for path in CONF.iterdir() if path.is_dir()}
