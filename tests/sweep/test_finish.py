import pytest
from made_up_jobs import job

from trainer.report.hparams import EVENT_FILES, HParamsSession
from trainer.sweep.finish import SweepEndedError, finish
from trainer.sweep.job import FAILED, Outcome


def test_what_failed_is_said_where_there_is_no_answer(tmp_path, capsys):
    failed = [(job(tmp_path, "a"), Outcome(FAILED, "no such data"))]
    with pytest.raises(SweepEndedError) as ended:
        finish(tmp_path, failed, None)
    assert ended.value.exit_code == 1
    printed = capsys.readouterr().out
    assert "1 of 1 jobs failed:\n  a: no such data\n" in printed


def test_a_failed_job_is_not_marked_where_a_link_points(tmp_path):
    its, elsewhere = job(tmp_path, "a"), tmp_path / "elsewhere"
    HParamsSession(its.run_dir, {"seed": 1}).close()
    (its.run_dir / "lock").write_text("{}")
    (events,) = its.run_dir.glob(EVENT_FILES)
    content = events.rename(elsewhere).read_bytes()
    events.symlink_to(elsewhere)
    with pytest.raises(SweepEndedError):
        finish(tmp_path, [(its, Outcome(FAILED, "killed"))], None)
    assert elsewhere.read_bytes() == content


def test_a_search_that_others_have_finished_elsewhere_is_no_failure(tmp_path, capsys):
    finish(tmp_path, [], None, tries_again=False)
    assert "no runs in" in capsys.readouterr().out
