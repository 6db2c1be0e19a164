from dataclasses import fields
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from trainer.config import (
    COLLECTIONS,
    OBJECTS,
    OF_SWEEPS,
    ConfigError,
    check,
    load,
)
from trainer.settings import (
    DataSettings,
    SearchSettings,
    Settings,
    SweepSettings,
    UpdateSettings,
)

CONF = Path(__file__).resolve().parent.parent / "conf"
OPTIONS = sorted(f"{file.parent.name}={file.stem}" for file in CONF.glob("*/*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def hydra_reads_conf():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(*overrides):
    return compose("config", list(overrides))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_passes_the_checks(option):
    cfg = composed(option)
    for key in OmegaConf.missing_keys(cfg):  # what a user must give
        OmegaConf.update(cfg, key, "somewhere")
    config = check(cfg)
    assert OmegaConf.to_container(config) == OmegaConf.to_container(config, resolve=True)
    assert "hydra" not in config and "???" not in OmegaConf.to_yaml(config)


def test_the_schema_and_config_yaml_have_the_same_settings():
    cfg = composed()
    settings = {f.name for f in fields(Settings)}
    assert set(cfg) == settings | {*OBJECTS, *COLLECTIONS, *OF_SWEEPS, "update"}
    assert set(cfg["update"]) == {f.name for f in fields(UpdateSettings)}
    # The default data set lists what all of them take; what others leave out has its default.
    assert {f.name for f in fields(DataSettings)} <= set(composed("data=digits").data)
    assert set(cfg["sweep"]) == {f.name for f in fields(SweepSettings)}


@pytest.mark.parametrize(
    "sweep", [o for o in OPTIONS if o.startswith("sweep=") and "grid" not in o]
)
def test_a_search_lists_what_every_search_takes(sweep):
    assert set(composed(sweep)["sweep"]) == {f.name for f in fields(SearchSettings)}
    for option in [o for o in OPTIONS if o.startswith("data=")]:
        assert "batch_size" in composed(option).data, option


def test_the_experiment_wins_over_config_yaml_and_the_command_line_over_both():
    yaml = OmegaConf.load(CONF / "config.yaml")
    experiment = OmegaConf.load(CONF / "experiment" / "cifar_inception.yaml")
    assert yaml.duration != experiment.duration
    chosen = ["experiment=cifar_inception"]
    assert composed(*chosen).duration == experiment.duration
    assert composed(*chosen).loss == composed("loss=smoothed_cross_entropy").loss
    assert composed(*chosen, "loss=cross_entropy").loss == composed().loss
    assert composed(*chosen).data._target_.endswith("cifar10")
    assert composed(*chosen, "duration=7st").duration == "7st"
    assert composed(*chosen, "data=digits").data._target_.endswith("digits")
    assert composed(*chosen, "debug=smoke").duration == "5st"
    assert composed(*chosen, "debug=smoke", "duration=6st").duration == "6st"


def test_values_get_the_types_of_the_schema():
    config = check(composed("name=2024", "data.validation=0.25", "eval_every=null"))
    assert (config.name, config.data.validation, config.eval_every) == ("2024", 0.25, None)


def test_a_null_entry_is_switched_off():
    config = check(composed("callbacks.progress=null", "~augment"))
    assert "progress" not in config.callbacks and "example_images" in config.callbacks
    assert config.augment == {}


def test_interpolations_are_resolved():
    assert check(composed("seed=3", "data.split_seed=${seed}")).data.split_seed == 3


def test_an_argument_that_the_yaml_does_not_list_is_accepted_if_the_target_takes_it():
    assert check(composed("optimizer=adamw", "+optimizer.amsgrad=true")).optimizer.amsgrad is True
    assert check(composed("model.num_classes=10")).model.num_classes == 10


@pytest.mark.parametrize(
    "override",
    [
        "augment=mixup",
        "+augment.cutmix={_target_: trainer.data.augment.CutMix}",
        "+metrics.iou={_target_: keras.metrics.MeanIoU, sparse_y_pred: false}",
        "+loss.name={_target_: trainer.data.augment.Mixup, num_classes: null}",
    ],
)
def test_the_number_of_classes_may_be_left_to_the_data_at_any_depth(override):
    cfg = composed(override)
    del cfg.model.num_classes
    check(cfg)


WHOLE = "must be a whole number, at least"
SHARE = "must be auto, test, or the share of the training split"
WRONG = {
    "+foo=1": "foo=1: no such setting; known: augment, ",
    "+durtion=1ep": "durtion=1ep: no such setting; did you mean duration?",
    "+lr=1": "lr=1: no such setting; did you mean optimizer.learning_rate?",
    "~seed": f"seed: not given; it is {WHOLE.removeprefix('must be ')} 0",
    "seed=-1": f"seed=-1: {WHOLE} 0",
    "seed=abc": f"seed=abc: {WHOLE} 0",
    "seed=1.5": f"seed=1.5: {WHOLE} 0",
    "seed=true": f"seed=true: {WHOLE} 0",
    "seed=null": f"seed=null: {WHOLE} 0",
    "seed=${oc.env:NO_SUCH_VARIABLE}": "seed: KeyError raised while resolving interpolation",
    "seed=${nowhere}": "seed: Interpolation key 'nowhere' not found",
    "duration=10": "duration: not a duration: '10'; write a number and a unit such as 20ep",
    "augment_until=0ep": "augment_until=0ep: must be above 0, in st, ep, ex or %, or null",
    "augment_until=1min": "augment_until=1min: must be above 0, in st, ep, ex or %, or null",
    "duration=10%": "duration=10%: must be above 0, in ep, st, ex or min",
    "duration=0ep": "duration=0ep: must be above 0",
    "log_every=1min": "log_every=1min: must be above 0, in st, ep, ex or %",
    "log_every=null": "log_every=null: must be above 0, in st, ep, ex or %",
    "eval_every=often": "eval_every: not a duration: 'often'",
    "checkpoint_every=0st": "checkpoint_every=0st: must be above 0, such as 1ep",
    "precision=float16": "precision=float16: must be one of auto, float32, mixed_bfloat16",
    "keep=0": f"keep=0: {WHOLE} 1",
    "monitor=val/acuracy": "monitor=val/acuracy: no such metric; did you mean val/accuracy?",
    "monitor=accuracy": "monitor=accuracy: no such metric; did you mean val/accuracy?",
    "monitor=train/": "monitor=train/: no such metric; did you mean train/loss?",
    "monitor_mode=mx": "monitor_mode=mx: must be one of auto, min, max",
    "overfit_batches=0": f"overfit_batches=0: {WHOLE} 1, or null",
    "name=a/b": "name=a/b: must be letters, digits and . _ - = only, since it names a folder",
    "name=..": "name=..: must be letters, digits",
    "data=class_folder": "data.root: not given; add data.root=VALUE",
    "data.batch_size=0": f"data.batch_size=0: {WHOLE} 1",
    "data.batch_size=many": f"data.batch_size=many: {WHOLE} 1",
    "~data.batch_size": "data.batch_size: not given; it is a whole number, at least 1",
    "data.limit=0": f"data.limit=0: {WHOLE} 1, or null",
    "data.validation=1.5": f"data.validation=1.5: {SHARE}",
    "data.validation=none": f"data.validation=none: {SHARE}",
    "data.validation=null": f"data.validation=null: {SHARE}",
    "data.split_seed=-1": f"data.split_seed=-1: {WHOLE} 0",
    "data.feed=disk": "data.feed=disk: must be one of auto, resident, streamed",
    "optimizer.learning_rate=0": "optimizer.learning_rate=0: must be a number above 0",
    "optimizer.learning_rate=fast": "optimizer.learning_rate=fast: must be a number above 0",
    "optimizer.learning_rate=null": "optimizer.learning_rate=null: must be a number above 0",
    "optimizer.learning_rate=inf": "optimizer.learning_rate=inf: must be a number above 0",
    "model.num_classes=0": "model.num_classes=0: must be at least 1, or null",
    "+augment.mix={_target_: trainer.data.augment.Mixup, num_classes: x}": (
        "augment.mix.num_classes=x: must be at least 1, or null"
    ),
    "+augment.mix={_target_: trainer.data.augment.Mixp}": "trainer.data.augment has no 'Mixp'; did",
    "+loss.num_classes=10": "trainer.losses.CrossEntropy has no argument 'num_classes'; known: lab",
    "+loss.num_classes=null": "trainer.losses.CrossEntropy has no argument 'num_classes'; known: l",
    "++strategy.num_devices=3": "data.batch_size=32: must be divisible by strategy.num_devices=3",
    "~model": "model=null: an option is needed, model=OPTION;",
    "+metrics.acuracy.name=x": "metrics.acuracy={'name': 'x'}: no _target_ to build; did you mean",
    "model._target_=os.system": "model._target_=os.system: only names in trainer, models, exp",
    "model._target_=models.mini_inception.MiniIncepton": "did you mean MiniInception?",
    "+callbacks.x._target_=keras.callbacks.EarlyStoping": "did you mean EarlyStopping?",
    "+optimizer.learning_rat=1": "trainer.optimizers.SGD has no argument 'learning_rat'; did",
    "+optimizer.amsgrad=true": "trainer.optimizers.SGD has no argument 'amsgrad'; known",
    "+optimizer.clipnorm=1": "optimizer.clipnorm=1: Keras clips before the gradients of the "
    "replicas are added; set update.clip_norm=1",
    "+optimizer.clipvalue=0.5": "are added; set update.clip_value=0.5",
    "+optimizer.global_clipnorm=1.5": "are added; set update.clip_global_norm=1.5",
    "+optimizer.gradient_accumulation_steps=4": "optimizer.gradient_accumulation_steps=4: Keras "
    "advances the schedule at every batch, not at every update; set update.accumulate_steps=4",
    "+optimizer.use_ema=true": "optimizer.use_ema=true: Keras averages at every batch, not at "
    "every update; set update.ema_decay=0.99",
    "+optimizer.ema_momentum=0.9": "set update.ema_decay=0.9",
    "+optimizer.ema_overwrite_frequency=2": "which leaves the training weights alone",
    "+optimizer.loss_scale_factor=8": "optimizer.loss_scale_factor=8: the loss is scaled where",
    "+optimizer.inner={_target_: keras.optimizers.SGD, clipnorm: 2}": "optimizer.inner.clipnorm=2:",
    "optimizer.momentum=much": "trainer.optimizers.SGD takes a number here",
    "model.width=wide": "model.width=wide: models.mini_inception.MiniInception takes a number",
    "schedule.warmup=5": "schedule.warmup=5: trainer.schedules.linear takes text or Dur",
    "+schedule.learning_rate=1": "gets this from the rest of the configuration; leave it out",
    "+trainer.keep=3": "gets this from the rest of the configuration; leave it out",
    "+data.rot=x": "data.rot=x: trainer.data.digits.digits has no argument 'rot'; known: none",
}


@pytest.mark.parametrize("override", WRONG)
def test_what_is_wrong_is_said_in_one_line(override):
    with pytest.raises(ConfigError) as raised:
        check(composed(override))
    assert WRONG[override] in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("optimizer", "optimizer=3: an option is needed, optimizer=OPTION;"),
        ("metrics", "metrics=3: entries are needed, metrics.NAME._target_=..."),
    ],
)
def test_a_group_that_a_file_sets_to_a_plain_value_is_refused(group, expected):
    cfg = composed()
    OmegaConf.update(cfg, group, 3, merge=False)
    with pytest.raises(ConfigError) as raised:
        check(cfg)
    assert str(raised.value).startswith(expected)


def test_cheap_checks_come_before_the_import_of_tensorflow(monkeypatch):
    def must_not_run():
        raise RuntimeError("TensorFlow was imported")

    monkeypatch.setattr("trainer.config.import_tensorflow", must_not_run)
    for override in ("seed=-1", "optimizer.learning_rate=0", "model._target_=os.system"):
        with pytest.raises(ConfigError):
            check(composed(override))
    with pytest.raises(RuntimeError):
        check(composed("model.width=wide"))


def test_a_checked_configuration_can_be_saved_and_loaded(tmp_path):
    config = check(composed("callbacks.progress=null"))
    OmegaConf.save(config, tmp_path / "config.yaml")
    assert load(tmp_path) == config
    assert load(tmp_path, ["data.batch_size=16"]).data.batch_size == 16
    with pytest.raises(ConfigError, match="no run folder"):
        load(tmp_path / "elsewhere")
