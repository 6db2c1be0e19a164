import shutil

import pytest
import yaml
from omegaconf import OmegaConf
from runs_made_up import make_run
from test_run import train

from trainer.__main__ import entry
from trainer.compare.best_experiment import best_experiment, experiment
from trainer.compare.comparison import compared, read_runs
from trainer.compose import compose
from trainer.config import load

RANDOM_FLIP = "trainer.data.augment.random_flip.RandomFlip"


def plain(words):
    return OmegaConf.to_container(compose(words)[0])


@pytest.mark.parametrize(
    "words",
    [
        "",
        "model=mlp optimizer=adam optimizer.learning_rate=1e-3 data.limit=200 name='1e3'",
        "experiment=sam model=mlp model.hidden_units=[32,16] loss=focal",
        "experiment=cifar_inception data=digits augment=shift optimizer.momentum=0.8",
        "model=mlp callbacks.progress=null ~callbacks.learning_curves ~augment",
        "model=mlp debug=overfit eval_every=20st hydra.job.name=x",
        "model=mlp callbacks=[default,histograms] callbacks.histograms.gradients=false",
        f"model=mlp +augment.extra={{_target_:{RANDOM_FLIP}}} update.clip_norm=5",
        "model=mlp optimizer=adam ++optimizer.amsgrad=true optimizer={beta_1:0.8}",
    ],
)
def test_it_composes_to_the_configuration_of_the_run(tmp_path, words):
    config = plain(words.split())
    text = "# @package _global_\n" + experiment(words.split(), config)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "best.yaml").write_text(text)
    assert plain([f"hydra.searchpath=[file://{tmp_path}]", "experiment=best"]) == config


@pytest.mark.parametrize(
    "words, reason",
    [
        ("--config-dir x", "--config-dir cannot be said"),
        ("hydra.searchpath=[x]", "hydra.searchpath=[x] cannot be said"),
        ("~optimizer.momentum", "~optimizer.momentum: an experiment can change settings, not rem"),
        ("model.layers.0=3", "model.layers.0=3: the run's config.yaml has no such setting"),
        ("model@model.inner=mlp", "model@model.inner=mlp cannot be said"),
        ("model='a\nb: c'", "cannot be said"),
    ],
)
def test_what_a_file_cannot_say_is_named(words, reason):
    with pytest.raises(ValueError) as raised:
        experiment(words.split(" "), {"model": {"layers": [1]}})
    assert reason in str(raised.value)


def test_the_header_says_what_it_reached(tmp_path):
    command = "python -m trainer optimizer.learning_rate=0.1 seed=1 hydra.mode=RUN hydra.run.dir=x"
    for seed, accuracy in ((1, 0.9), (2, 0.8)):
        make_run(tmp_path / str(seed), accuracy, seed, command=command)
    text = best_experiment(compared(read_runs([tmp_path / "1", tmp_path / "2"])[0]))
    assert text.startswith("# @package _global_\n#\n")
    assert "# Command:   python -m trainer optimizer.learning_rate=0.1\n" in text
    assert "val/accuracy 0.8500 ± 0.0707 (n=2" in text
    assert yaml.safe_load(text) == {
        "defaults": ["digits", "_self_"],
        "optimizer": {"learning_rate": 0.1},
    }


def test_the_file_of_a_job_that_was_trained_composes_to_its_configuration(tmp_path, capsys):
    run_dir = tmp_path / "sweep" / "optimizer=adam,seed=3"
    words = ["optimizer=adam", "duration=1st", "callbacks={}", "jit=false", "seed=3"]
    assert train(f"'{run_dir}'", *words, "hydra.mode=RUN") == 0
    assert entry(["compare", str(tmp_path / "sweep")]) == 0
    assert "best     python -m trainer model=mlp data.limit=200" in capsys.readouterr().out
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    best = tmp_path / "conf" / "experiment" / "best.yaml"
    shutil.copy(tmp_path / "sweep" / "comparison" / "best.yaml", best)
    assert "seed" not in best.read_text()
    again = plain([f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "experiment=best", "seed=3"])
    assert again == OmegaConf.to_container(load(run_dir))
