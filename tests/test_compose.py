"""The configuration from words, for commands: what training would have, and its errors."""

from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from test_command_line import WRONG

from trainer.compose import CONF, compose
from trainer.config import ConfigError, check

WORDS = ["experiment=cifar_inception", "seed=3", "optimizer=adamw", "optimizer.learning_rate=0.2"]


def test_it_is_what_training_would_have():
    cfg, run_dir = compose(WORDS)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert cfg == check(hydra_compose("config", WORDS))
    assert run_dir.parent == Path("outputs/cifar_inception")


def test_the_run_folder_can_be_chosen():
    assert compose(["hydra.run.dir=/a/b"])[1] == Path("/a/b")


def test_arguments_that_no_yaml_file_lists_need_no_plus():
    cfg, _ = compose(["optimizer=adamw", "optimizer.amsgrad=true"])
    assert cfg.optimizer.amsgrad is True


@pytest.mark.parametrize(
    "words", [w for w in WRONG if not w.startswith("-") and "neither a command" not in WRONG[w]]
)
def test_a_mistake_is_the_line_that_training_answers_with(words):
    with pytest.raises(ConfigError) as raised:
        compose(words.split())
    assert WRONG[words] in str(raised.value)
    assert "\n" not in str(raised.value)


def test_flags_are_refused():
    with pytest.raises(ConfigError, match="-m: no flags are taken here"):
        compose(["-m", "seed=1,2"])
