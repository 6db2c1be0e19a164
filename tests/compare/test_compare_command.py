import csv
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console
from runs_made_up import keep_predictions, make_run

from trainer.__main__ import entry
from trainer.compare import picture, tables
from trainer.compare.best_command import best_command
from trainer.compare.comparison import compared, read_runs
from trainer.compare.groups import Group
from trainer.compare.past_run import PastRun

LABELS = np.array([0, 1] * 20, np.int32)


@pytest.fixture
def folder(tmp_path):
    for rate, accuracy in ((0.1, 0.9), (0.01, 0.8)):
        for seed in range(3):
            make_run(tmp_path / "all" / f"{rate}_{seed}", accuracy + seed / 100, seed, rate)
    return tmp_path / "all"


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


def test_of_two_that_end_at_the_same_time_one_waits_to_write(folder):
    output = folder / "comparison"
    output.mkdir()
    locked = os.open(output, os.O_RDONLY)
    fcntl.flock(locked, fcntl.LOCK_EX)
    other = threading.Thread(target=entry, args=(["compare", str(folder)],))
    other.start()
    other.join(timeout=3)
    assert other.is_alive() and list(output.iterdir()) == []
    os.close(locked)
    other.join(timeout=60)
    assert (output / "best.yaml").exists()


def test_table_and_files(folder, tmp_path, capsys):
    for k, run in enumerate(sorted(folder.iterdir())):
        classes = LABELS.copy()
        classes[: 9 - k] = 1 - classes[: 9 - k]
        keep_predictions(run, LABELS, classes)
    make_run(folder / "stopped", has_ended=False)
    out, text = tmp_path / "o" / "runs.csv", tmp_path / "o" / "runs.md"
    assert entry(["compare", str(folder), "--csv", str(out), "--markdown", str(text)]) == 0
    printed = lines_of(capsys)
    assert printed[0].startswith("6 of 7 runs of 2 settings; highest val/accuracy first; 20 steps")
    place = next(k for k, line in enumerate(printed) if line.startswith("1"))
    assert printed[place].split() == ["1", "0.1", "0.9100", "0.8750", "-", "3", "8", "s"]
    assert printed[place + 1].split() == ["±", "0.0100", "±", "0.0250"]
    assert any(
        line.endswith("stopped: cut off, step 20 (epoch 2), val/accuracy 0.9000")
        for line in printed
    )
    assert "best     python -m trainer optimizer.learning_rate=0.1" in printed

    rows = list(csv.DictReader(out.open()))
    assert [row["rank"] for row in rows] == ["1"] * 3 + ["2"] * 3 + [""]
    assert [row["state"] for row in rows] == ["finished"] * 6 + ["cut off"]
    assert [float(row["best val/accuracy"]) for row in rows][:3] == [0.9, 0.91, 0.92]
    assert {row["optimizer.learning_rate"] for row in rows} == {"0.1", "0.01"}
    assert [float(row["evaluated test/accuracy"]) for row in rows[:6]] == [
        *(0.85, 0.875, 0.9, 0.775, 0.8, 0.825)
    ]
    assert {float(row["seconds"]) for row in rows} == {7.5}
    markdown = text.read_text()
    assert "| 1 | 0.1 | 0.9100 ± 0.0100 | 0.8750 ± 0.0250 | - | 3 | 8 s |" in markdown
    assert "- not ranked: stopped: cut off" in markdown
    drawn = matplotlib.image.imread(folder / "comparison" / "comparison.png")
    assert drawn.shape[0] > 600 and drawn.shape[1] > 1000


def test_files_are_written_beside_the_runs_and_those_of_other_runs_removed(folder, capsys):
    assert entry(["compare", str(folder)]) == 0
    output = folder / "comparison"
    names = ["best.yaml", "comparison.png", "importance.png", "parallel_coordinates.png"]
    assert sorted(path.name for path in output.iterdir()) == [*names, "runs.csv", "table.md"]
    printed = capsys.readouterr().out
    assert all(str(path) in printed for path in output.iterdir())
    (folder / "0.1_0" / "manifest.json").unlink()
    assert entry(["compare", str(folder / "0.1_0")]) == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "comparison.png",
        "runs.csv",
        "table.md",
    ]
    assert (
        f"best.yaml is not written: {folder}/0.1_0/manifest.json has no" in capsys.readouterr().out
    )


def test_again_its_own_picture_is_no_run(folder, capsys):
    assert entry(["compare", str(folder)]) == 0
    first = lines_of(capsys)
    assert entry(["compare", f"{folder}/*"]) == 0
    assert lines_of(capsys) == [f"{folder}/comparison: not a run, and it holds none", *first]


def test_one_run(folder, tmp_path, capsys):
    assert entry(["compare", str(folder / "0.1_0"), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "±" not in printed and "difference" not in printed and "0.1_0" in printed
    assert (tmp_path / "out" / "comparison.png").exists()


def test_only_unfinished_runs_are_listed(tmp_path, capsys):
    make_run(tmp_path / "run", has_ended=False)
    assert entry(["compare", str(tmp_path)]) == 0
    assert "cut off" in capsys.readouterr().out
    assert not (tmp_path / "comparison").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "the following arguments are required: runs"),
        (["nowhere"], "nowhere: no such folder"),
        (["."], "compare: no runs in ."),
        ([".", "--metrc", "x"], "compare: no option --metrc; did you mean --metric"),
        ([".", "--split", "tset"], "invalid choice: 'tset'"),
        ([".", "--baseline", "x"], "x: no such folder; give the folder of a run"),
    ],
)
def test_wrong_words(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert entry(["compare", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_file_that_cannot_be_written_is_named(folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert entry(["compare", str(folder), "--csv", str(tmp_path / "file" / "x.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_tensorflow_is_not_imported(folder):
    code = (
        "import sys; from trainer.__main__ import entry; "
        f"entry(['compare', {str(folder)!r}]); sys.exit('tensorflow' in sys.modules)"
    )
    keep_predictions(folder / "0.1_0", LABELS, LABELS)
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def many(tmp_path, num):
    """Runs that differ in ten settings each, one of them without any room."""
    for k in range(num):
        names = [f"some_setting_{j}" for j in range(8)]
        model = {name: k * j for j, name in enumerate(names)} | {"file": f"{'folder/' * 12}{k}"}
        make_run(tmp_path / "all" / str(k), 0.5 + k / 100, config={"model": model}, step=150)
    return compared(read_runs(sorted((tmp_path / "all").iterdir()))[0])


def test_many_settings_fit_a_narrow_terminal(tmp_path):
    comparison = many(tmp_path, 3)
    console = Console(width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(tables.terminal_table(comparison, console))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for word in ("some_setting_1=2", "0.5200", "-0.0100", "8 s"):
        assert word in text
    assert "…" not in text


def test_control_characters_of_a_run_do_not_reach_the_terminal(tmp_path):
    evil = {"model": {"width": "\x1b[31mred"}}
    folders = [make_run(tmp_path / "a", config=evil), make_run(tmp_path / "b")]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(tables.terminal_table(compared(read_runs(folders)[0]), console))
    assert "\x1b" not in capture.get() and "[31mred" in capture.get()


def test_many_groups_are_drawn(tmp_path):
    comparison = many(tmp_path, 13)
    picture.draw(comparison, tmp_path / "many.png")
    drawn = matplotlib.image.imread(tmp_path / "many.png")
    assert drawn.shape[1] > 1000


def test_mean_curve_is_that_of_what_all_have():
    first = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 4])
    second = np.array([2.0, 3]), np.array([4.0, 8])
    epochs, values = picture.mean_curve([first, second])
    assert epochs.tolist() == [2, 3] and values.tolist() == [3, 5.5]


@pytest.mark.parametrize(
    "command, wanted",
    [
        (
            "python -m trainer model=mlp optimizer.learning_rate=0.1 seed=3 hydra.run.dir='a b'",
            "python -m trainer model=mlp optimizer.learning_rate=0.1",
        ),
        (
            "python -m trainer -m model=mlp optimizer.learning_rate=0.1,0.01 seed=0,1 x=2",
            "python -m trainer model=mlp optimizer.learning_rate=0.01 x=2",
        ),
        (
            "python -m trainer a=1 hydra.mode=RUN hydra.run.dir='x/a=1,seed=0' seed=0 workers=2 "
            "sweep=tpe sweep.n_trials=9",
            "python -m trainer a=1",
        ),
        ("python -m trainer -m model=mlp,mini_inception", None),
        ("python -m trainer 'unclosed", None),
        ("rm -rf /", None),
        (None, None),
    ],
)
def test_the_best_command(command, wanted):
    settings = {"optimizer.learning_rate": "0.01"}
    run = PastRun(Path("x"), settings, "0", "finished", manifest={"command": command})
    assert best_command(Group(settings, [run])) == wanted
