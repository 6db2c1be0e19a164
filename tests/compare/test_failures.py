import pytest
from runs_made_up import make_run

from trainer.__main__ import entry
from trainer.compare.failures import lost_jobs, unranked
from trainer.compare.past_run import read_run
from trainer.log_tail import last_line

ERROR = "2026-01-01 10:00:00,000 ERROR out of memory\n"


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "lr"
    (folder / "logs").mkdir(parents=True)
    (folder / "sweep.json").write_text('{"varied": ["seed"]}')
    return folder


def logged(sweep, name, text):
    (sweep / "logs" / f"{name}.log").write_text(text)
    return sweep / "logs" / f"{name}.log"


@pytest.mark.parametrize(
    "train_log, lock, ending",
    [
        ("", "{}", ", step 3 (epoch 0.3), val/accuracy 0.9000, log LOG ends: Killed process"),
        (ERROR, "", ", step 3 (epoch 0.3), val/accuracy 0.9000, out of memory, log LOG"),
    ],
)
def test_a_run_that_died_names_its_log_and_the_reason_of_the_folder_wins(
    sweep, train_log, lock, ending
):
    folder = make_run(sweep / "seed=0", has_ended=False, step=3)
    (folder / "train.log").write_text(train_log)
    (folder / "lock").write_text(lock)
    log = logged(sweep, "seed=0", "begun\nKilled process\n\n")
    ((found, words),) = unranked([read_run(folder)])
    assert found == folder and words.endswith(ending.replace("LOG", str(log)))


def test_a_run_without_a_log_is_told_as_it_is(sweep):
    folder = make_run(sweep / "seed=0", has_ended=False)
    ((_, words),) = unranked([read_run(folder)])
    assert words == "cut off, step 20 (epoch 2), val/accuracy 0.9000"


def test_a_job_that_left_its_log_alone_is_listed(sweep, tmp_path):
    run = make_run(sweep / "seed=9")
    logged(sweep, "seed=9", "done")
    tenth = logged(sweep, "seed=10", "Traceback\nMemoryError: no room\n")
    second = logged(sweep, "seed=2", "")
    expected = [
        (sweep / "seed=2", f"nothing trained, log {second} is empty"),
        (sweep / "seed=10", f"nothing trained, log {tenth} ends: MemoryError: no room"),
    ]
    for place in (sweep, tmp_path):
        assert lost_jobs([str(place)], [run]) == expected
    (sweep / "logs" / "pipe.log").mkdir()  # or what would be waited for without end
    assert lost_jobs([str(sweep)], [run]) == expected
    assert lost_jobs([str(run)], [run]) == []  # it alone was asked about
    (sweep / "sweep.json").unlink()
    assert lost_jobs([str(sweep)], [run]) == []  # any folder may hold logs


def test_the_command_tells_of_failures_and_of_a_sweep_where_nothing_began(sweep, tmp_path, capsys):
    logged(sweep, "seed=1", "No such data\n")
    line = f"{sweep}/seed=1: nothing trained, log {sweep}/logs/seed=1.log ends: No such data"
    assert entry(["compare", str(sweep)]) == 0
    assert f"  {line}" in capsys.readouterr().out.splitlines()
    make_run(sweep / "seed=0")
    assert entry(["compare", str(sweep)]) == 0
    assert f"  {line}" in capsys.readouterr().out.splitlines()
    table = (sweep / "comparison" / "table.md").read_text()
    assert f"- not ranked: {line.removeprefix(f'{sweep}/')}" in table.splitlines()


@pytest.mark.parametrize(
    "content, line",
    [
        (b"one\ntwo\n \n", "two"),
        (b"\x1b[32mepoch 1\x1b[0m\r\x1b[2Kepoch 2\r", "epoch 2"),
        (b"x" * 50_000 + b"\nend\xff\x07", "end\N{REPLACEMENT CHARACTER}"),
        (b"", ""),
    ],
)
def test_the_last_line_of_a_log(tmp_path, content, line):
    (tmp_path / "x.log").write_bytes(content)
    assert last_line(tmp_path / "x.log").strip() == line
    assert last_line(tmp_path / "none.log") == ""
