"""A configuration is data: what Hydra would run by itself is refused before it does."""

import logging
import os
import pickle
import sys
from types import SimpleNamespace

import hydra
import pytest

from trainer.__main__ import CONF, entry
from trainer.compose import compose
from trainer.config import ConfigError

# What Hydra 1.3.8 takes, from `setuptools` to plain file access; {0} is the marker.
TARGETS = {
    "spawn": "_target_: setuptools._distutils.spawn.spawn, cmd: [touch, {0}]",
    "pip": "_target_: pip._internal.utils.subprocess.call_subprocess, cmd: [touch, {0}], "
    "command_desc: x",
    "asyncio": "_target_: asyncio.create_subprocess_shell, cmd: touch {0}",
    "numpy": "_target_: numpy.load, file: {0}.npy, allow_pickle: true",
    "open": "_target_: builtins.open, file: {0}, mode: w",
    "pathlib": "_target_: pathlib.Path.write_text, self: {0}, data: x",
    "makedirs": "_target_: os.makedirs, name: {0}",
    "system": "_target_: os.system, command: touch {0}",
}
# Where Hydra builds by itself: the words, and the file of the configuration folder to put it in.
WORDS = {
    "callback": ["+hydra.callbacks.x={{{0}}}"],
    "callback, forced": ["++hydra.callbacks={{x: {{{0}}}}}"],
    "callback of a sweep": ["-m", "seed=0,1", "+hydra.callbacks.x={{{0}}}"],
    "in the launcher": ["-m", "seed=0,1", "+hydra.launcher.x={{{0}}}"],
    "in the sweeper": ["-m", "seed=0,1", "++hydra.sweeper.x={{{0}}}"],
    "a model": ["model={{{0}}}"],
    "in a model": ["+model.x={{{0}}}"],
}
BASIC = "_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher\n"
EVIL = "+evil={{{0}}}"
FACTORY = """\
version: 1
formatters: {{x: {{"()": {0}, {1}}}}}
handlers: {{x: {{class: logging.StreamHandler, formatter: x}}}}
root: {{handlers: [x]}}
"""


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Undo what Hydra's own logging options do to the process: `disabled` switches off ours."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger in root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture
def started(monkeypatch):
    """The runs that were started, in place of training."""
    runs = []
    run = SimpleNamespace(run=lambda config, run_dir: runs.append(config))
    monkeypatch.setitem(sys.modules, "trainer.run", run)
    return runs


@pytest.fixture
def refused(started, marker, capfd):
    def check(words, *expected):
        assert entry(words) == 2
        error = capfd.readouterr().err
        assert error.count("\n") == 1 and "Traceback" not in error, error
        for text in expected:
            assert text in error
        assert not marker.exists()
        assert not started

    return check


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def write(folder, name, text):
    path = folder / "configs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return ["--config-dir", str(folder / "configs")]


@pytest.mark.filterwarnings("ignore:Callback NoneType")
def test_hydra_itself_runs_such_a_callback(marker, monkeypatch):
    # The control: without the check, the same words do run what they name.
    callback = "{" + TARGETS["makedirs"].format(marker) + "}"
    monkeypatch.setattr(sys, "argv", ["x", f"+hydra.callbacks.x={callback}"])
    hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(lambda cfg: None)()
    assert marker.exists()


@pytest.mark.parametrize(
    ("place", "target"),
    [("callback", target) for target in TARGETS] + [(place, "spawn") for place in WORDS],
)
def test_words_that_name_something_to_run_are_refused(place, target, refused, marker):
    node = TARGETS[target].format(marker)
    expected = ["_target_=" if "callback" not in place else "hydra.callbacks.x: Hydra would run it"]
    if place == "a model":
        expected = []  # a group takes no mapping on the command line: refused by Hydra
    refused([word.format(node) for word in WORDS[place]], *expected)


@pytest.mark.parametrize("target", ["spawn"])
@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("experiment/x.yaml", "hydra: {{callbacks: {{x: {{{0}}}}}}}", ["experiment=x"]),
        ("hydra/launcher/x.yaml", BASIC + "x: {{{0}}}", ["-m", "seed=0,1", "hydra/launcher=x"]),
        (
            "hydra/launcher/x.yaml",
            BASIC + "x: ${{evil}}",
            ["-m", "seed=0,1", "hydra/launcher=x", EVIL],
        ),
        (
            "hydra/launcher/x.yaml",
            BASIC + "x: '${{oc.create:{{{0}}}}}'",
            ["-m", "seed=0,1", "hydra/launcher=x"],
        ),
        ("hydra/launcher/x.yaml", "{{{0}}}", ["-m", "seed=0,1", "hydra/launcher=x"]),
        ("hydra/sweeper/x.yaml", "{{{0}}}", ["-m", "seed=0,1", "hydra/sweeper=x"]),
        ("experiment/x.yaml", "callbacks: {{x: {{{0}}}}}", ["experiment=x"]),
        ("hydra/callbacks/x.yaml", "x: {{{0}}}", ["hydra/callbacks=x"]),
        ("hydra/callbacks/x.yaml", "x: {{{0}}}", ["-m", "seed=0,1", "hydra/callbacks=x"]),
    ],
)
def test_files_that_name_something_to_run_are_refused(
    name, text, words, target, refused, marker, tmp_path
):
    package = "# @package _global_\n" if name.startswith("experiment") else ""
    flags = write(tmp_path, name, package + text.format(TARGETS[target].format(marker)))
    words = [word.format(TARGETS[target].format(marker)) for word in words]
    refused([*flags, *words], "_target_=" if "callbacks" not in text + name else "callbacks.x")


@pytest.mark.parametrize("group", ["job_logging", "hydra_logging"])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("setuptools._distutils.spawn.spawn", "cmd: [touch, {0}]"),
        ("os.makedirs", "name: {0}"),
        ("builtins.open", "file: {0}, mode: w"),
    ],
)
def test_logging_that_calls_something_is_refused(
    group, function, arguments, refused, marker, tmp_path
):
    text = FACTORY.format(function, arguments.format(marker))
    flags = write(tmp_path, f"hydra/{group}/evil.yaml", text)
    refused([*flags, f"hydra/{group}=evil"], f"hydra.{group}: logging may call any function")
    indented = text.replace("\n", "\n    ")
    experiment = f"# @package _global_\nhydra:\n  {group}:\n    {indented}\n"
    write(tmp_path, "experiment/x.yaml", experiment)
    refused([*flags, "experiment=x"], f"hydra.{group}: ")
    refused([*flags, "-m", "experiment=digits,x"], f"hydra.{group}: ")


@pytest.mark.parametrize(
    "handler",
    [
        "class: logging.FileHandler, filename: {0}",
        "class: logging.handlers.SocketHandler, host: localhost, port: 9",
        "class: logging.StreamHandler, stream: ext://antigravity",
    ],
)
def test_logging_changed_by_words_is_refused(handler, refused, marker):
    words = [f"+hydra.job_logging.handlers={{x: {{{handler.format(marker)}}}}}"]
    refused(words, "hydra.job_logging: ")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("+hydra.job.env_set.PYTHONSTARTUP=x", "hydra.job.env_set.PYTHONSTARTUP: set environment"),
        ("+hydra.job.env_set.TAPELOOP_TARGETS=os", "hydra.job.env_set.TAPELOOP_TARGETS: set env"),
        ("hydra.output_subdir=.", "hydra.output_subdir=.: must be the name of one folder"),
        ("hydra.output_subdir=../up", "hydra.output_subdir=../up: must be"),
        ("hydra.output_subdir=${name}/../..", "must be the name of one folder"),
    ],
)
def test_other_ways_out_are_refused(word, expected, refused):
    refused([word], expected)


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--experimental", "--e"])
@pytest.mark.parametrize("joined", [False, True])
def test_no_pickled_job_is_run_again(flag, joined, refused, marker, tmp_path):
    job = tmp_path / "config.pickle"
    job.write_bytes(pickle.dumps(Payload(marker)))
    words = [f"{flag}={job}"] if joined else [flag, str(job)]
    refused(words, "runs whatever code is in the file")


def test_commands_compose_under_the_same_rules(marker):
    with pytest.raises(ConfigError, match=r"hydra\.callbacks\.x: Hydra would run it unchecked"):
        compose([f"+hydra.callbacks.x={{{TARGETS['makedirs'].format(marker)}}}"])
    assert not marker.exists()


def test_what_the_user_lists_may_be_built_by_a_plugin(started, monkeypatch, capfd):
    words = ["-m", "seed=0", "+hydra.sweeper.x={_target_: fractions.Fraction}"]
    assert entry(words) == 2
    assert "list it in TAPELOOP_TARGETS" in capfd.readouterr().err
    monkeypatch.setenv("TAPELOOP_TARGETS", "fractions")
    assert entry(words) == 2  # past the check: it is Hydra that finds no use for it
    assert "Error in call to target 'hydra_plugins." in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "num_runs"),
    [
        (["hydra.run.dir=here"], 1),
        (["hydra.verbose=true"], 1),
        (["hydra.output_subdir=.hydra"], 1),
        (["hydra/job_logging=stdout", "hydra/hydra_logging=default"], 1),
        (["hydra/job_logging=default"], 1),
        (["hydra/job_logging=disabled"], 1),
        (["hydra.job.name=mine"], 1),
        (["-m", "seed=0,1", "hydra.sweep.dir=there", "hydra/launcher=basic"], 2),
        (["-m", "seed=0,1", "hydra/launcher=basic", "hydra/sweeper=basic"], 2),
        (["--cfg", "job"], 0),
        (["--cfg", "hydra"], 0),
        (["--info", "defaults"], 0),
        (["--info"], 0),
    ],
)
def test_the_rest_of_hydra_works(words, num_runs, started):
    assert entry(words) == 0
    assert len(started) == num_runs


def test_a_file_may_describe_a_sweep(started, tmp_path):
    text = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}\n"
    words = [*write(tmp_path, "experiment/x.yaml", text), "experiment=x"]
    assert entry([*words, "hydra/launcher=basic"]) == 0
    assert [run.seed for run in started] == [0, 1]
