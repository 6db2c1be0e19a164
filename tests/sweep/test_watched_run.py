import json

import pytest
from made_up_jobs import CONFIG

from trainer.sweep.watched_run import WatchedRun


def rows(steps, seconds):
    lines = [
        json.dumps({"step": k, "epoch": k, "val/accuracy": k / 10, "time/total": seconds}) + "\n"
        for k in steps
    ]
    return "".join(lines)


@pytest.fixture
def metrics(tmp_path):
    return tmp_path / "metrics.jsonl"


def steps_seen(run):
    run.update()
    return [row["step"] for row in run.evaluations]


@pytest.mark.parametrize("seconds", [123.5, 1.5, 12345.5])
def test_what_a_resume_writes_anew_between_two_looks_is_seen_once(metrics, seconds):
    run = WatchedRun(metrics.parent, CONFIG)
    assert steps_seen(run) == []
    metrics.write_text(rows([1, 2], 123.5))
    assert steps_seen(run) == [1, 2]
    # Back to step 1, and on to more than there was.
    metrics.write_text(rows([1], 123.5) + rows([2, 3], seconds))
    assert steps_seen(run) == [1, 2, 3]
    metrics.write_text(rows([1], 123.5))
    assert run.best("val/accuracy", "max") == 0.3
    assert steps_seen(run) == [1]


def test_a_line_is_taken_when_it_is_whole_and_what_is_no_row_is_not(metrics):
    run = WatchedRun(metrics.parent, CONFIG)
    whole = rows([1], 1.0)
    metrics.write_text(whole[:-5])
    assert steps_seen(run) == []
    metrics.write_text(whole + '{"step": 2, "epoch": "x"}\n{"step": 3, "time/total": "x"}\n[]\n')
    assert steps_seen(run) == [1]
    assert run.share_done < 1


def test_a_folder_in_the_place_of_the_file_is_left_to_the_job_to_tell(metrics):
    metrics.mkdir()
    assert steps_seen(WatchedRun(metrics.parent, CONFIG)) == []
