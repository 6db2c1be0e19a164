"""Every experiment, option and debug setting composes, is valid, and trains a few steps."""

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from option_size import model_of, slow_if_large
from test_fit import rows

from trainer import config
from trainer.run import run

CONF = Path(__file__).resolve().parent.parent / "conf"


def options(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def as_written(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def composed(*overrides, given="somewhere"):
    """The configuration; what a user must give (`???`), which is a run folder, is `given`."""
    cfg = as_written(*overrides)
    for key in OmegaConf.missing_keys(cfg):
        OmegaConf.update(cfg, key, str(given))
    return config.check(cfg)


def trained(run_dir, *overrides):
    words = [*overrides, "precision=float32"]
    given = run_dir.with_name(f"{run_dir.name}_given")
    if OmegaConf.missing_keys(as_written(*words)):
        plain = [word for word in words if not word.startswith("trainer=")]
        run(composed(*plain, "trainer=default"), given)
    run(composed(*words, given=given), run_dir)
    return rows(run_dir)


@pytest.mark.parametrize(
    "experiment", [slow_if_large(name, model_of(name)) for name in options("experiment")]
)
def test_every_experiment_trains_a_few_steps(experiment, tmp_path):
    written = trained(
        tmp_path, f"experiment={experiment}", "data=synthetic", "duration=3st", "data.batch_size=8",
        "data.limit=32",
    )  # fmt: skip
    assert [row["step"] for row in written if "train/loss" in row] == [1, 2, 3]
    assert "val/loss" in written[-1]


@pytest.mark.parametrize(
    ("group", "option"),
    [
        (group, option)
        for group in ("augment", "loss", "metrics", "optimizer", "schedule", "callbacks", "trainer")
        for option in options(group)
    ],
)
def test_every_option_trains_a_few_steps(group, option, tmp_path):
    written = trained(tmp_path, "model=mlp", "data.limit=64", "duration=2st", f"{group}={option}")
    assert [row["step"] for row in written if "train/loss" in row] == [1, 2]


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
@pytest.mark.parametrize("group", ["augment", "model", "loss", "metrics", "optimizer", "schedule"])
def test_every_part_of_an_experiment_can_be_exchanged(experiment, group):
    for option in options(group):
        composed(f"experiment={experiment}", f"{group}={option}")


@pytest.mark.parametrize("experiment", options("experiment"))
def test_experiments_choose_options_and_change_no_values_inside_them(experiment):
    text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
    keys = yaml.safe_load(text).keys() - {"defaults"}
    assert not keys & {path.name for path in CONF.iterdir() if path.is_dir()}
