"""Searches as a user types them: killed, gone on with, joined; and what is refused beforehand."""

import os
import signal
import subprocess
import sys
import time

import optuna
import pytest
from started_sweep import ROOT, start

from trainer.__main__ import entry
from trainer.sweep.search.storage import open_storage
from trainer.sweep_folder import JOURNAL

SMALL = ["experiment=digits", "model=mlp", "data.limit=100", "duration=2ep", "precision=float32"]
RANGES = ["sweep.params=null", "optimizer.learning_rate=tag(log,interval(0.01,0.3))"]
TINY = [*SMALL, "callbacks=progress", *RANGES]


def trials(folder):
    storage = open_storage(None, folder)
    return optuna.load_study(study_name="digits", storage=storage).get_trials()


def wait_until(process, condition):
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_search_is_gone_on_with_by_two_commands_and_ends_with_its_trials(tmp_path):
    folder = tmp_path / "search"
    words = ["sweep=tpe", "sweep.pruner=median", "sweep.n_trials=3", "workers=2"]
    killed = start(folder, *TINY, *words)
    wait_until(killed, lambda: len(list(folder.glob("trial_*/lock"))) == 2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert [t.state.name for t in trials(folder)] == ["RUNNING", "RUNNING"]
    both = [start(folder, *TINY, *words) for _ in range(2)]
    codes = [process.wait(timeout=240) for process in both]
    log = (tmp_path / "sweep.log").read_text()
    assert codes == [0, 0], log
    assert [t.state.name for t in trials(folder)] == ["COMPLETE"] * 3, log
    assert len({t.params["optimizer.learning_rate"] for t in trials(folder)}) == 3
    for trial in trials(folder):
        metrics = folder / f"trial_{trial.number}" / "metrics.jsonl"
        assert metrics.read_text().count('"time/total"') == 2
        assert f'"val/accuracy":{trial.value}' in metrics.read_text()
    before = (folder / JOURNAL).read_text().count('"op_code":4')
    assert entry(["-m", *TINY, f"hydra.sweep.dir={folder}", *words]) == 0
    assert (folder / JOURNAL).read_text().count('"op_code":4') == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["sweep=tpee"], "sweep=tpee: no such option; did you mean tpe?"),
        (
            ["sweep=tpe", "sweep.sampler=tpr"],
            "sweep.sampler=tpr: no such sampler; did you mean tpe",
        ),
        (["sweep=tpe", "seed=0,1,2"], "seed: a search would choose the luckiest"),
        (["sweep=tpe", "sweep.pruner=medain"], "sweep.pruner=medain: no such pruner; did you mean"),
        (["sweep=tpe", "sweep.n_trials=0"], "sweep.n_trials=0: must be a whole number, at least 1"),
        (
            ["sweep=tpe", "sweep.pruner=asha", "sweep.objectives={val/loss:min,num_weights:min}"],
            "sweep.pruner=asha: with several objectives (val/loss, num_weights)",
        ),
        (
            ["sweep=cmaes", "sweep.objectives={val/loss:min,num_weights:min}"],
            "sweep.sampler=cmaes: takes one objective, not 2",
        ),
        (
            ["sweep=tpe", "sweep.pruner=asha", "sweep.objectives={num_weights:min}"],
            "sweep.pruner=asha: num_weights does not tell half-way",
        ),
        (
            ["sweep=tpe", "sweep.objectives={val/acuracy:max}"],
            "sweep.objectives.val/acuracy: no such metric; did you mean val/accuracy?",
        ),
        (
            ["sweep=tpe", "sweep.objectives={val/accuracy:up}"],
            "sweep.objectives.val/accuracy=up: must be max or min",
        ),
        (["sweep=tpe", "sweep.objectives=loss"], "sweep.objectives=loss: must be max or min by"),
        (
            ["sweep=tpe", "sweep.params={seed:interval(0}"],
            "sweep.params={seed:interval(0}: not KEY=VALUE",
        ),
        (
            ["sweep=tpe", "sweep.params={data.batch_size:'intervall(0, 1)'}"],
            "sweep.params.data.batch_size=intervall(0, 1): no range that can be read",
        ),
        (["sweep=tpe", "optimizer.learning_rat=interval(0,1)"], "optimizer.learning_rat"),
        (["sweep=tpe", "optimizer=choice(sgd,adamm)"], "adamm"),
        (["sweep=tpe", "data.batch_size=range(-1,3)"], "data.batch_size=-1: must be a whole"),
        (["sweep=tpe", "sweep.storage=search.db"], "sweep.storage: no URL of a database"),
        (["sweep=tpe", "hydra/launcher=basic"], "hydra/launcher=basic: runs no searches"),
    ],
)
def test_what_cannot_be_searched_is_told_in_one_line_before_anything_starts(
    tmp_path, capfd, words, line
):
    folder = tmp_path / "search"
    assert entry(["-m", *SMALL, f"hydra.sweep.dir={folder}", *words]) == 2
    said = capfd.readouterr()
    assert line in said.err
    assert said.err.count("\n") == 1
    assert not list(folder.glob("*"))


def test_a_search_of_other_settings_does_not_go_on_with_this_one(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("trainer.sweep.search.command._run", lambda *others: None)
    words = ["-m", *TINY, f"hydra.sweep.dir={tmp_path}/search", "sweep=random"]
    entry(words)
    capfd.readouterr()
    assert entry([*words, "seed=1"]) == 2
    assert "begun with other words (seed=1)" in capfd.readouterr().err
    assert entry([*words, "sweep.objectives={val/loss:min}"]) == 2
    assert "begun with the objectives val/accuracy: max" in capfd.readouterr().err
    (tmp_path / "search" / "trial_0").mkdir()
    (tmp_path / "search" / "trial_0" / "config.yaml").touch()
    assert entry(words) == 2
    assert "trial_0: is of a search that its storage does not know" in capfd.readouterr().err


def test_optuna_is_imported_by_searches_alone():
    code = (
        "import sys; from trainer.__main__ import entry; entry(['--help']); entry(['seed=x']);"
        "sys.exit('optuna' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0
    )
