import fcntl
import json

import pytest
from runs_made_up import make_run
from test_run import train

from trainer.compare.past_run import read_run
from trainer.disk import RunFolderError

LINE = "2026-01-01 10:00:00,000 {} {}\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "run"
    words = ["data.limit=64", "duration=4st", "eval_every=2st", "model=mlp", "seed=3"]
    assert train(folder, *words, "callbacks={}", "optimizer.learning_rate=0.001") == 0
    return folder


def test_a_run_that_was_really_trained(trained):
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    evaluations = [row for row in rows if "val/accuracy" in row]
    best = max(evaluations, key=lambda row: row["val/accuracy"])
    run = read_run(trained)
    assert (run.state, run.seed, run.step) == ("finished", "3", 4)
    assert (run.monitor, run.mode, run.best_step) == ("val/accuracy", "max", best["step"])
    assert run.best == {k: v for k, v in best.items() if k.startswith(("val/", "train/"))}
    assert run.final["val/loss"] == evaluations[-1]["val/loss"]
    assert run.seconds == evaluations[-1]["time/total"]
    # Two layers of 64 and one of 10, with their biases, on 64 pixels.
    assert run.num_weights == (64 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 10
    assert run.settings["optimizer.learning_rate"] == "0.001"
    assert len(run.data_fingerprint("val")) == 64


@pytest.mark.parametrize(
    "last_lines, lock, state, reason",
    [
        (LINE.format("ERROR", "out of memory"), "", "failed", "out of memory"),
        (
            LINE.format("INFO", "Stopped by SIGINT at step 20, state saved.\n  go on"),
            "",
            "stopped",
            "",
        ),
        (LINE.format("INFO", "folder: x"), '{"process": 1}', "killed", ""),
        (LINE.format("INFO", "folder: x"), "", "cut off", ""),
    ],
)
def test_states_of_a_run_that_has_not_ended(tmp_path, last_lines, lock, state, reason):
    folder = make_run(tmp_path / "run", has_ended=False)
    (folder / "lock").write_text(lock)
    (folder / "train.log").write_text(LINE.format("ERROR", "of before") + last_lines)
    run = read_run(folder)
    assert (run.state, run.reason) == (state, reason)
    assert run.step == 20 and run.best["val/accuracy"] == 0.9


def test_a_run_that_another_process_holds_is_running(tmp_path):
    folder = make_run(tmp_path / "run", has_ended=False)
    (folder / "lock").write_text("{}")
    with (folder / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert read_run(folder).state == "running"


def test_a_run_with_nothing_but_its_config_has_not_begun(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0\nmonitor: val/loss\n")
    run = read_run(tmp_path)
    assert (run.state, run.step, run.values) == ("not begun", 0, {})


def test_the_best_of_several_best_weights_counts(tmp_path):
    folder = make_run(tmp_path / "run", accuracy=0.7)
    make_run(tmp_path / "other", accuracy=0.8, step=10)
    better = tmp_path / "other" / "checkpoints" / "best_000000010.safetensors"
    better.rename(folder / "checkpoints" / better.name)
    run = read_run(folder)
    assert (run.best_step, run.best["val/accuracy"]) == (10, 0.8)
    assert run.final["val/accuracy"] == 0.7


@pytest.mark.parametrize("step, known", [(20, 0.875), (10, None)])
def test_what_evaluate_found_counts_if_it_is_of_the_best_weights(tmp_path, step, known):
    folder = make_run(tmp_path / "run")
    (folder / "report").mkdir()
    facts = {"test": {"step": step, "metrics": {"accuracy": 0.875, "auc": None}}}
    (folder / "report" / "metrics.json").write_text(json.dumps(facts))
    assert read_run(folder).values.get("test/accuracy") == known


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("config.yaml", "a: *b", "config.yaml cannot be read: line 1: an alias"),
        ("config.yaml", "- 1", "does not hold the settings of a run"),
        ("config.yaml", "a: !!python/object:os.system x", "a tag"),
        ("checkpoints/best_000000020.safetensors", "x", "is damaged"),
        ("checkpoints/step_000000020.safetensors", "x", "is damaged"),
    ],
)
def test_damage_is_named(tmp_path, name, content, message):
    folder = make_run(tmp_path / "run")
    (folder / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_run(folder)


def test_links_are_not_followed(tmp_path):
    folder = make_run(tmp_path / "run")
    (folder / "train.log").symlink_to("/etc/passwd")
    with pytest.raises(RunFolderError, match="a link"):
        read_run(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense\n", b'{"step":1', b'{"step":1e999,"epoch":1}\n', b"[1]\n", b"\xff}\n"],
)
def test_curves_that_cannot_be_read_leave_the_rest(tmp_path, content):
    folder = make_run(tmp_path / "run")
    (folder / "metrics.jsonl").write_bytes(content)
    (folder / "manifest.json").write_bytes(b"[" + content)
    run = read_run(folder)
    assert (run.step, run.final, run.manifest) == (0, {}, {})
    assert run.values["val/accuracy"] == 0.9
