import io
import logging
import re

import pytest
from rich.console import Console
from toy import toy_trainer

from trainer.callbacks import progress
from trainer.callbacks.progress import Progress


def test_without_a_terminal_each_evaluation_is_one_plain_line(caplog):
    caplog.set_level(logging.INFO, logger="trainer")
    toy_trainer(callbacks=[Progress()]).fit("2ep")
    lines = [record.message for record in caplog.records]
    assert len(lines) == 2
    pattern = r"epoch 2/2  step 16/16  loss [\d.]+  accuracy .*val_loss [\d.]+.* examples/s$"
    assert re.match(pattern, lines[-1])


def test_lines_come_in_between_where_evaluations_are_rare(caplog):
    caplog.set_level(logging.INFO, logger="trainer")
    toy_trainer(callbacks=[Progress(every_seconds=1e-6)], eval_every=None).fit("4ep")
    assert any("ETA 0:00:" in record.message for record in caplog.records)


def test_on_a_terminal_a_bar_is_drawn_and_taken_away(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=140)
    monkeypatch.setattr(progress, "console", terminal)
    monkeypatch.setattr(progress, "BAR_SECONDS", 0)
    toy_trainer(callbacks=[Progress()]).fit("2ep")
    assert "16/16" in screen.getvalue()
    assert "examples/s" in screen.getvalue()
    assert not terminal._live_stack


def test_a_pause_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"every_seconds=0: above 0"):
        Progress(every_seconds=0)
