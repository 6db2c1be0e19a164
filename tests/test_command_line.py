import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer import help as help_page
from trainer.__main__ import CONF, entry

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


@pytest.fixture
def runs(monkeypatch):
    """The runs that were started, in place of training."""
    started = []

    def run(config, run_dir):
        started.append(SimpleNamespace(config=config, run_dir=run_dir, argv=list(sys.argv)))
        return 0.5

    monkeypatch.setitem(sys.modules, "trainer.run", SimpleNamespace(run=run))
    return started


def fails_with(monkeypatch, error):
    def run(config, run_dir):
        raise error

    monkeypatch.setitem(sys.modules, "trainer.run", SimpleNamespace(run=run))


def python(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def yaml_file(folder, text):
    path = folder / "configs" / "experiment" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return ["--config-dir", str(folder / "configs"), "experiment=mine"]


# ---- what runs


def test_key_value_words_train_in_the_folder_that_hydra_made(runs, tmp_path):
    assert entry(["experiment=digits", "seed=3", "optimizer.learning_rate=0.2"]) == 0
    (run,) = runs
    assert (run.config.seed, run.config.optimizer.learning_rate) == (3, 0.2)
    assert run.run_dir.parent == tmp_path / "outputs" / "digits"
    assert run.run_dir.is_dir() and run.run_dir.is_absolute()
    assert run.argv == ["trainer", "experiment=digits", "seed=3", "optimizer.learning_rate=0.2"]


def test_the_run_folder_can_be_chosen(runs, tmp_path):
    assert entry([f"hydra.run.dir={tmp_path}/here"]) == 0
    assert runs[0].run_dir == tmp_path / "here"


def test_nothing_is_left_changed_in_the_process(runs):
    before = list(sys.argv), dict(os.environ)
    entry(["seed=1"])
    entry(["sede=1"])
    assert (list(sys.argv), dict(os.environ)) == before


@pytest.mark.parametrize(
    "words",
    [
        ["optimizer=adamw", "optimizer.amsgrad=true"],
        ["optimizer=adamw", "+optimizer.amsgrad=true"],
        ["optimizer=adamw", "optimizer.amsgrad=true", "loss.name=x"],
        ["optimizer=adamw", "optimizer.amsgrad=true", "callbacks.example_images=null"],
    ],
)
def test_arguments_that_no_yaml_file_lists_need_no_plus(runs, words):
    assert entry(words) == 0
    assert runs[0].config.optimizer.amsgrad is True


IN_PROCESS = ["-m", "hydra/launcher=basic"]  # Hydra's own: what is patched here holds in its jobs


def test_a_sweep_runs_every_combination(runs):
    assert entry([*IN_PROCESS, "optimizer=adamw", "seed=0,1", "optimizer.amsgrad=true,false"]) == 0
    found = [(run.config.seed, run.config.optimizer.amsgrad) for run in runs]
    assert sorted(found) == [(0, False), (0, True), (1, False), (1, True)]
    assert len({run.run_dir for run in runs}) == 4


def test_a_sweep_goes_on_after_a_job_that_fails(runs, capfd):
    assert entry([*IN_PROCESS, "seed=0,-1,2"]) == 2
    assert [run.config.seed for run in runs] == [0, 2]
    assert "[seed=-1] seed=-1: must be a whole number" in capfd.readouterr().err


def test_a_sweep_prints_the_traceback_of_each_job(monkeypatch, capfd):
    fails_with(monkeypatch, RuntimeError("the bug"))
    assert entry([*IN_PROCESS, "seed=0,1"]) == 1
    assert capfd.readouterr().err.count("RuntimeError: the bug") == 2


def test_the_configuration_can_be_printed(runs, capfd):
    assert entry(["--cfg", "job", "experiment=digits"]) == 0
    assert "duration: 20ep" in capfd.readouterr().out
    assert not runs


# ---- how it ends


def test_the_exit_code_of_a_stopped_run_is_passed_on(monkeypatch):
    fails_with(monkeypatch, SystemExit(75))
    assert entry(["seed=1"]) == 75
    assert entry([*IN_PROCESS, "seed=1,2"]) == 75


def test_an_error_in_training_keeps_its_traceback(monkeypatch, capfd):
    fails_with(monkeypatch, RuntimeError("the bug"))
    assert entry(["seed=1"]) == 1
    error = capfd.readouterr().err
    assert error.startswith("Traceback") and "in run\n" in error
    assert error.endswith("RuntimeError: the bug\n")


def test_an_interrupt_is_one_line(monkeypatch, capfd):
    fails_with(monkeypatch, KeyboardInterrupt())
    assert entry(["seed=1"]) == 1
    assert capfd.readouterr().err == "interrupted\n"


def test_a_missing_tensorflow_is_one_line(monkeypatch, capfd, tmp_path):
    monkeypatch.delitem(sys.modules, "tensorflow")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "tensorflow" else find_spec(name)
    )
    assert entry(["seed=1", f"hydra.run.dir={tmp_path}/run"]) == 1
    expected = "TensorFlow is not installed; run: pip install -e '.[cpu]' (or '.[gpu]')\n"
    assert capfd.readouterr().err == expected


def test_a_folder_made_for_a_run_that_cannot_start_is_removed(runs, tmp_path):
    assert entry(["seed=-1", f"hydra.run.dir={tmp_path}/new"]) == 2
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "metrics.jsonl").touch()
    assert entry(["seed=-1", f"hydra.run.dir={tmp_path}/old"]) == 2
    assert (tmp_path / "old" / "metrics.jsonl").exists()


# ---- what is wrong with a command line

KEY_VALUE = "not KEY=VALUE, such as seed=1"
WRONG = {
    "optimizer=sgdd": "optimizer=sgdd: no such option; did you mean sgd?",
    "optimizer=zebra": "optimizer=zebra: no such option; known: adadelta, adafactor, ",
    "experiment=cifar_inceptoin": "did you mean cifar_inception?",
    "optimiser=adam": "optimiser=adam: no such setting; did you mean optimizer?",
    "experimnt=digits": "experimnt=digits: no such setting; did you mean experiment?",
    "sede=1": "sede=1: no such setting; did you mean seed?",
    "epochs=3": "epochs=3: no such setting; did you mean duration?",
    "lr=0.1": "lr=0.1: no such setting; did you mean optimizer.learning_rate?",
    "learning_rate=0.1": "learning_rate=0.1: no such setting; did you mean optimizer.learning_ra",
    "batch_size=8": "batch_size=8: no such setting; did you mean data.batch_size?",
    "optimizer.lr=0.1": "optimizer.lr=0.1: no such setting; did you mean optimizer.learning_rate?",
    "optimizer.learning_rat=0.1": "optimizer.learning_rat=0.1: no such setting; did you mean opti",
    "optimizer.amsgrad=1": "trainer.optimizers.SGD has no argument 'amsgrad';",
    "callbacks.progres=null": "callbacks.progres=null: no such setting; did you mean callbacks.p",
    "callbacks.zebra.patience=3": "callbacks.zebra.patience=3: no such setting; known: confusion_m",
    "seed.x=1": "seed.x=1: no such setting; seed is a single value",
    "hydra.rnu.dir=x": "hydra.rnu.dir=x: no such setting; did you mean hydra.run?",
    "seed=abc": "seed=abc: must be a whole number, at least 0",
    "data=class_folder": "data.root: not given; add data.root=VALUE",
    "augment=null": "augment=null: a group takes an option; known: affine, colour, cutmix, ",
    "+experiment=digits": "experiment: given twice; write experiment=OPTION without the +",
    "+foo=1": "foo=1: no such setting; known: ",
    "+seed=1": "+seed=1: there already; leave out the +",
    "~foo": "~foo: there is no such setting to leave out",
    "name=a,b": "name=a,b: several values; add -m to try each, or write name=[a,b]",
    "name=[1": f"name=[1: {KEY_VALUE}",
    "seed=1 model": f"model: {KEY_VALUE}",
    "name=${nowhere}": "hydra.run.dir: Interpolation key 'nowhere' not found",
    "-m optimizer.learning_rat=1,2": "optimizer.learning_rat=1,2: no such setting; did you mean",
    "-m --cfg job": "Only one of --run, --multirun, --cfg",
    "--resolve": "The --resolve flag can only be used",
    "--config-dir nowhere": "nowhere' not found",
    "--config-name nowhere": "Cannot find primary config 'nowhere'.",
    "evalute run": "evalute: neither a command nor KEY=VALUE; did you mean evaluate?",
    "seed": "seed: neither a command nor KEY=VALUE; ",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_answered_in_one_line(words, runs, capfd):
    assert entry(words.split()) == 2
    error = capfd.readouterr().err
    assert WRONG[words] in error
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not runs


def test_an_unknown_flag_is_bad_usage(capfd):
    assert entry(["--nonsense"]) == 2
    assert "unrecognized arguments: --nonsense" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# @package _global_\ndurtion: 3ep\n", "durtion=3ep: no such setting; did you mean dur"),
        ("# @package _global_\noptimizer:\n  lerning_rate: 1\n", "did you mean learning_rate?"),
        ("# @package _global_\na: [1\nb: 2\n", 'mine.yaml", line 2, column 4'),
        (
            "# @package _global_\ndefaults:\n  - override /optimizr: adam\n",
            "In 'experiment/mine': Could not override 'optimizr'; did you mean optimizer?",
        ),
        (
            "# @package _global_\ndefaults:\n  - override /optimizer: adm\n",
            "optimizer=adm: no such option; did you mean adam?",
        ),
        (
            "defaults:\n  - override /optimizer: adam\n",
            "the file must begin with `# @package _global_`",
        ),
    ],
)
def test_a_mistake_in_an_experiment_file_is_answered_in_one_line(
    text, expected, runs, capfd, tmp_path
):
    assert entry(yaml_file(tmp_path, text)) == 2
    error = capfd.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_an_experiment_from_another_folder_runs(runs, tmp_path):
    assert entry(yaml_file(tmp_path, "# @package _global_\nseed: 5\n")) == 0
    assert runs[0].config.seed == 5


def test_hydra_full_error_asks_for_the_traceback(monkeypatch, capfd):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="Could not override 'foo'"):
        entry(["foo=1"])
    assert entry(["seed=-1"]) == 2
    assert "Traceback" in capfd.readouterr().err


# ---- commands and the help page


def test_a_first_word_without_equals_sign_is_a_command(monkeypatch):
    received = []
    module = SimpleNamespace(main=lambda arguments: received.append(arguments) or 3)
    monkeypatch.setattr(help_page, "command_names", lambda: ["made_up"])
    monkeypatch.setitem(sys.modules, "trainer.commands.made_up", module)
    assert entry(["made_up", "run", "--help", "a=1"]) == 3
    assert received == [["run", "--help", "a=1"]]


def test_the_page_names_every_option_setting_and_command():
    page = help_page.page()
    for group, names in help_page.group_options(CONF).items():
        for name in names:
            assert f"  {group}={name} " in page
    for setting in ("seed=0 ", "duration=10ep ", "monitor=auto ", "overfit_batches=null "):
        assert f"  {setting}" in page
    for name in help_page.command_names():
        assert f"  {name} " in page
    assert "hydra" not in page.partition("SETTINGS")[2].partition("WHERE")[0]


def test_the_page_fits_a_terminal():
    assert max(map(len, help_page.page().splitlines())) <= 100


def test_the_page_quotes_the_first_sentence_of_a_file(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.yaml").write_text("# @package _global_\n#\n# One\n# two. Three.\n")
    (tmp_path / "model" / "b.yaml").write_text("_target_: models.b.B\n")
    (tmp_path / "config.yaml").write_text("seed: 0   # which one\nhydra:\n  x: 1\n")
    (tmp_path / "judge.py").write_text('"""Judges a run.\n\nAt length."""\n')
    page = help_page.page(tmp_path, tmp_path)
    assert "  model=a  One two.\n  model=b  models.b.B\n" in page
    assert "  seed=0  which one\n" in page
    assert "  judge  Judges a run.\n" in page


def test_help_needs_neither_hydra_nor_tensorflow(tmp_path):
    code = (
        "import sys; from trainer.__main__ import entry; code = entry(['--help']);"
        "print(sorted({'hydra', 'omegaconf', 'tensorflow', 'keras', 'numpy'} & set(sys.modules)));"
        "sys.exit(code)"
    )
    result = python("-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
    assert result.stdout.startswith("TapeLoop")


def test_a_typo_is_answered_before_anything_heavy_is_imported(tmp_path):
    code = (
        "import sys; from trainer.__main__ import entry; code = entry(['optimizer.lr=1']);"
        "print({'tensorflow', 'scipy', 'matplotlib', 'optuna'} & set(sys.modules), code)"
    )
    assert python("-c", code, cwd=tmp_path).stdout == "set() 2\n"


def test_the_module_runs_as_a_program(tmp_path):
    result = python("-m", "trainer", "sede=1", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "sede=1: no such setting; did you mean seed?\n"
    assert not (tmp_path / "outputs").exists()


def test_packages_of_the_same_name_in_the_working_folder_are_noticed(tmp_path):
    for name in ("models", "conf"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    result = python("-m", "trainer", "debug=smoke", cwd=tmp_path)
    assert result.returncode == 2
    assert f"the package models is found in {tmp_path / 'models'}, not in {ROOT}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_console_script_completes_groups_and_options(tmp_path):
    code = "import sys; from trainer.__main__ import entry; sys.exit(entry())"
    command = ["-c", code, "-sc", "query=bash"]
    result = python(*command, cwd=tmp_path, COMP_LINE="trainer optimizer=ada")
    assert {"optimizer=adam", "optimizer=adamw"} <= set(result.stdout.split())
