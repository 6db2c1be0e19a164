import time

import pytest
from test_fit import StopAt
from test_writers import lines
from toy import STEPS_PER_EPOCH, toy_arrays, toy_trainer

from trainer.data.data import Data
from trainer.stopwatch import PARTS, Stopwatch


def test_parts_add_up_and_go_on():
    first = Stopwatch()
    with first.measure("steps"):
        time.sleep(0.02)
    first.move(0.005, "steps", "data")
    seconds = first.seconds()
    assert seconds["steps"] >= 0.015
    assert seconds["data"] == 0.005
    again = Stopwatch(seconds)
    assert again.total >= seconds["total"]
    assert again.seconds()["data"] == 0.005
    assert sum(again.shares().values()) == pytest.approx(1.0, abs=1e-3)


def test_what_takes_more_than_a_tenth_is_named_with_the_remedy():
    watch = Stopwatch({"steps": 70.0, "evaluation": 29.0, "total": 100.0})
    assert watch.warning() == (
        "evaluation took 29% of the time: evaluate less often (a longer eval_every), "
        "or on fewer examples (data.limit)"
    )
    assert watch.in_words().startswith("steps 70.0%, evaluation 29.0%")
    assert Stopwatch({"steps": 95.0, "total": 100.0}).warning() is None


def test_a_run_reports_how_its_time_was_spent(tmp_path):
    toy_trainer(run_dir=tmp_path).fit("2ep")
    row = [row for row in lines(tmp_path) if "val/loss" in row][-1]
    assert {f"time/{part}" for part in (*PARTS, "total")} <= set(row)
    assert all(row[f"time/{part}"] > 0 for part in ("tracing", "steps", "evaluation"))


def test_waiting_for_a_slow_data_set_is_seen():
    import tensorflow as tf

    def slowly(*element):
        tf.py_function(lambda: time.sleep(0.05), [], [])
        return element

    features, labels = toy_arrays(16, 0)
    dataset = tf.data.Dataset.from_tensor_slices((features, labels)).batch(4)
    trainer = toy_trainer(data=Data(train=dataset.map(slowly)))
    trainer.fit("8st")
    assert trainer.stopwatch.seconds()["data"] > 0.2


def test_seconds_go_on_where_a_run_is_taken_up(tmp_path):
    toy_trainer(run_dir=tmp_path, callbacks=[StopAt(3)]).fit("24st")
    trainer = toy_trainer(run_dir=tmp_path)
    trainer.fit("24st")
    totals = [row["time/total"] for row in lines(tmp_path) if "time/total" in row]
    assert totals == sorted(totals)
    assert trainer.step == 24


def test_a_profile_holds_the_steps_asked_for(tmp_path):
    toy_trainer(run_dir=tmp_path, profile="4st").fit(f"{2 * STEPS_PER_EPOCH}st")
    assert list((tmp_path / "train" / "plugins" / "profile").rglob("*.xplane.pb"))
