"""A search that is killed, wherever, ends as it would have; several processes share one."""

import importlib.util
import math

import pytest
from made_up_search import (
    COMPLETE,
    FAIL,
    RUNNING,
    Journal,
    Killed,
    Search,
    formula_for_values,
)
from optuna.trial import TrialState

from trainer.disk import RunFolderError
from trainer.sweep.job import STOPPED, Outcome
from trainer.sweep.search import samplers, source


@pytest.fixture(autouse=True)
def formula(monkeypatch):
    formula_for_values(monkeypatch)


def points(search):
    return [tuple(params.items()) for _, _, params, *_ in search.facts()]


def work_to_the_end(journal, folder, kill_at, **settings):
    """Begin a search that is killed before its next operation, and go on with a second command."""
    journal.kill_at = kill_at
    for name in ("killed", "next"):
        try:
            search = Search(journal, folder, name, **settings)
            search.work()
        except Killed:
            continue
        return search
    raise AssertionError("it was killed twice")


@pytest.mark.parametrize(
    ("settings", "stride"),
    [
        ({"sampler": "random", "pruner": "asha"}, 1),
        ({"sampler": "random", "pruner": "hyperband", "num_trials": 9}, 3),
        ({"sampler": "tpe", "pruner": "median", "num_trials": 14}, 5),
        ({"sampler": "cmaes", "num_trials": 14}, 7),
        ({"sampler": "nsgaii", "num_trials": 10, "objectives": ("val/accuracy", "x")}, 7),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_a_kill_between_any_two_operations_changes_nothing(tmp_path, monkeypatch, settings, stride):
    if settings["sampler"] == "cmaes" and importlib.util.find_spec("cmaes") is None:
        pytest.skip("cmaes is not installed")
    monkeypatch.setattr(samplers, "_POPULATION", 4)
    whole = Journal()
    expected = work_to_the_end(whole, tmp_path, math.inf, **settings).facts()
    assert len(expected) == settings.get("num_trials", 6)
    for kill_at in range(0, len(whole.lines), stride):
        after = work_to_the_end(Journal(), tmp_path, kill_at, **settings).facts()
        assert after == expected, f"killed after operation {kill_at}"


def test_pruners_stop_some_trials_and_let_the_best_pass(tmp_path):
    for pruner in ("median", "asha", "hyperband"):
        search = Search(Journal(), tmp_path, "a", pruner=pruner, num_trials=12)
        search.work()
        pruned = [t for t in search.facts() if t[1] == "PRUNED"]
        complete = [t for t in search.facts() if t[1] == COMPLETE]
        assert pruned
        assert max(t[3][0] for t in complete) >= max(4 * t[4][1] for t in pruned)
        assert all(len(t[4]) < 4 for t in pruned)
        assert all(list(t[4]) == [1, 2, 3, 4] for t in complete)


def test_the_number_of_trials_is_that_of_all_commands(tmp_path):
    journal = Journal()
    assert len(Search(journal, tmp_path, "a").work(2)) == 2
    second = Search(journal, tmp_path, "b")
    assert second.work() == ["trial_2", "trial_3", "trial_4", "trial_5"]
    assert Search(journal, tmp_path, "c").work() == []
    more = Search(journal, tmp_path, "d", num_trials=8)
    assert more.work() == ["trial_6", "trial_7"]
    assert len(set(points(more))) == 8


def test_two_processes_share_the_trials_and_try_no_point_twice(tmp_path):
    journal = Journal()
    both = [Search(journal, tmp_path, name, living=("a", "b")) for name in ("a", "b")]
    jobs = [[], []]
    while any(found := [search.source.next() for search in both]):
        for search, job, names in zip(both, found, jobs, strict=True):
            if job:
                search.train(job)
                names.append(job.name)
    assert sorted(jobs[0] + jobs[1]) == [f"trial_{k}" for k in range(6)]
    assert jobs[0] and jobs[1]
    assert both[0].states() == [COMPLETE] * 6
    assert len(set(points(both[0]))) == 6


def test_a_trial_begun_beside_the_last_one_does_not_count(tmp_path, monkeypatch):
    journal = Journal()
    first, second = (Search(journal, tmp_path, name, living=("a", "b")) for name in ("a", "b"))
    first.work(5)
    create, rival = second.storage.create_new_trial, []

    def after_the_other(*args, **kwargs):
        if not rival:
            rival.append(first.source.next())  # between the count of `second` and its trial
        return create(*args, **kwargs)

    monkeypatch.setattr(second.storage, "create_new_trial", after_the_other)
    assert second.work() == []
    first.train(rival[0])
    assert first.states() == [COMPLETE] * 6
    raised = Search(journal, tmp_path, "c", num_trials=7)
    assert raised.work() == ["trial_7"]  # 6 is the one that did not count
    assert len(raised.facts()) == 7


def test_a_living_workers_trial_is_left_alone_and_a_dead_ones_is_gone_on_with_first(tmp_path):
    journal = Journal()
    words = list(Search(journal, tmp_path, "a").source.next().words)
    beside = Search(journal, tmp_path, "b", living=("a", "b"))
    assert beside.work(1) == ["trial_1"]
    assert [trial.number for trial in beside.trials.elsewhere()] == [0]
    after = Search(journal, tmp_path, "c", living=("c",))
    job = after.source.next()
    assert (job.name, list(job.words)) == ("trial_0", words)
    after.train(job)
    assert after.states() == [COMPLETE, COMPLETE]


def test_a_trial_that_another_process_has_told_is_not_told_again(tmp_path):
    journal = Journal()
    slow = Search(journal, tmp_path, "slow")
    job = slow.source.next()
    taken = Search(journal, tmp_path, "quick")
    taken.work(1)
    told = taken.facts()
    slow.train(job)
    assert slow.facts() == told


def test_a_failed_job_fails_its_trial_and_a_stopped_one_is_left_for_later(tmp_path):
    journal = Journal()
    search = Search(journal, tmp_path, "a", num_trials=3, living=("a",))
    stopped = search.source.next()
    search.source.ended(stopped, Outcome(STOPPED), None)
    assert search.work(fails=["trial_1"]) == ["trial_1", "trial_2"]
    assert search.states() == [RUNNING, FAIL, COMPLETE]
    assert search.trials.all()[1].user_attrs["reason"] == "it broke"
    assert search.trials.elsewhere() == []
    assert Search(journal, tmp_path, "b", num_trials=3).work() == ["trial_0"]


def test_a_folder_that_cannot_be_read_fails_its_trial_and_not_the_search(tmp_path, monkeypatch):
    def is_finished(job):
        if job.name == "trial_1":
            raise RunFolderError("trial_1/config.yaml: a link")
        return False

    monkeypatch.setattr(source, "is_finished", is_finished)
    search = Search(Journal(), tmp_path, "one", num_trials=3)
    assert search.work() == ["trial_0", "trial_2"]
    assert search.states() == [COMPLETE, FAIL, COMPLETE]
    assert search.source.outcomes[1][1].reason == "trial_1/config.yaml: a link"


def test_a_search_ends_when_every_point_has_been_tried(tmp_path):
    params = {"lr": "choice(0.1, 0.01)", "size": "range(1, 4)"}
    search = Search(Journal(), tmp_path, "a", params=params, num_trials=20, sampler="tpe")
    assert len(search.work()) == 6
    assert search.trials.is_exhausted
    assert len(set(points(search))) == 6
    assert set(search.states()) == {COMPLETE}


def test_params_under_a_condition_exist_where_it_holds(tmp_path):
    params = {"lr": "interval(0.1, 1)", "optimizer": "choice(sgd, adam)"}
    when = {"optimizer=sgd": {"momentum": "interval(0, 1)"}}
    search = Search(
        Journal(), tmp_path, "a", params=params, when=when, sampler="tpe", num_trials=16
    )
    search.work()
    for trial in search.trials.all():
        is_sgd = trial.params["optimizer"] == "sgd"
        assert ("optimizer=sgd: momentum" in trial.params) == is_sgd
        assert any(w.startswith("momentum=") for w in trial.user_attrs["point"]["words"]) == is_sgd
        assert trial.state == TrialState.COMPLETE
    assert len({trial.params["optimizer"] for trial in search.trials.all()}) == 2


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
def test_every_sampler_proposes_and_all_but_one_learn(tmp_path, monkeypatch, sampler):
    package = {"gp": "torch", "cmaes": "cmaes"}.get(sampler)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.setattr(samplers, "_POPULATION", 4)
    search = Search(Journal(), tmp_path, "a", sampler=sampler, num_trials=40)
    search.work()
    assert len(set(points(search))) == 40
    by_chance = Search(Journal(), tmp_path, "a", sampler="random", num_trials=40)
    by_chance.work()
    scores = [sum(facts[3][0] for facts in s.facts()[10:]) for s in (search, by_chance)]
    assert (scores[0] > 1.2 * scores[1]) == (sampler != "random")
