import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_up_jobs import job
from rich.console import Console

from trainer.sweep import board as board_module
from trainer.sweep.board import ELSEWHERE, Board
from trainer.sweep.job import FAILED, FINISHED, Outcome


def running(seconds_left):
    best = {"best": lambda metric, mode: None, "epoch": 1.0, "share_done": 0.5}
    return SimpleNamespace(seconds_left=seconds_left, **best)


@pytest.mark.parametrize(
    ("num_jobs", "num_workers", "left", "expected"),
    [
        (2, 8, [80.0, 80.0], "0:01:20"),  # six workers have nothing to do
        (2, 2, [10.0, 80.0], "0:01:20"),  # the longer one
        (2, 1, [80.0], None),  # nobody knows of the one to come
        (2, 2, [80.0, None], None),  # nor of one that has just been started
    ],
)
def test_the_time_left_is_that_of_the_jobs_that_there_are(
    num_jobs, num_workers, left, expected, tmp_path, capsys
):
    board = Board(num_jobs, num_workers, "val/accuracy", "max", every_seconds=-1)
    for number, seconds in enumerate(left):
        board.started(job(tmp_path, str(number)), "nowhere", running(seconds))
    board.show()
    total = capsys.readouterr().out.splitlines()[-1]
    assert total.endswith(f"ETA {expected}") if expected else "ETA" not in total


def test_each_job_has_one_line_on_a_terminal_however_long_its_name(tmp_path, monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, height=12)
    monkeypatch.setattr(board_module, "console", console)
    jobs = [replace(job(tmp_path, str(k)), label=f"{k} {'long name ' * 20}") for k in range(4)]
    with Board(4, 1, "val/accuracy", "max", jobs) as board:
        board.started(jobs[0], "nowhere", running(80.0))
        board.started(jobs[1], "nowhere", running(80.0))
        board.ended(jobs[1], Outcome(FAILED, "a reason " * 20, 1.0))
        lines = console.render_lines(board._drawing())
    assert len(lines) == 5
    assert "4 jobs: 1 running, 1 failed, 2 to come" in "".join(s.text for s in lines[-1])


def test_what_other_processes_do_is_counted_and_does_not_hide_the_own(tmp_path, capsys):
    own, done, taken = (job(tmp_path, name) for name in ("own", "done", "taken"))
    others = [(own, ELSEWHERE), (done, FINISHED), (taken, ELSEWHERE)]
    board = Board(4, 1, "val/accuracy", "max", others=lambda: others)
    board.started(own, "nowhere", running(80.0))
    board.ended(own, Outcome(FAILED, "a reason", 5.0))
    total = capsys.readouterr().out.splitlines()[-1]
    assert total == "4 jobs: 1 elsewhere, 1 failed, 1 finished, 1 to come; ETA 0:00:05"
    others[2] = (taken, FINISHED)
    board.ended(own, Outcome(FAILED, "a reason", 5.0))
    assert "1 failed, 2 finished, 1 to come" in capsys.readouterr().out
