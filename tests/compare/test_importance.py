import matplotlib.image
import numpy as np
import pytest
from runs_made_up import make_run

from trainer.compare.axes import axes_of
from trainer.compare.comparison import compared, read_runs
from trainer.compare.groups import Group
from trainer.compare.importance import SEED, draw_importance, importances
from trainer.compare.parallel_coordinates import draw_parallel_coordinates
from trainer.compare.past_run import PastRun

METRIC = "val/accuracy"


def groups_of(settings, values):
    """A group for each mapping of settings, with a run for each of its values."""
    return [
        Group(
            one, [PastRun("x", one, "0", "finished", best={METRIC: v}) for v in np.atleast_1d(of)]
        )
        for one, of in zip(settings, values, strict=True)
    ]


def grid(*names):
    """Five values of each setting, in all combinations."""
    values = np.array(np.meshgrid(*[[1, 2, 3, 4, 5]] * len(names))).reshape(len(names), -1).T
    return values, [dict(zip(names, map(str, row), strict=True)) for row in values]


def test_what_the_metric_depends_on_matters():
    values, settings = grid("much", "little", "nothing")
    groups = groups_of(settings, values[:, 0] + 0.3 * values[:, 1])
    found = importances(axes_of(groups), groups, METRIC)
    # The shares of 1 and 0.3 squared.
    assert found == pytest.approx({"much": 0.917, "little": 0.083, "nothing": 0}, abs=0.03)
    assert importances(axes_of(groups), groups, METRIC) == found


def test_differences_as_small_as_those_of_a_small_loss_count():
    values, settings = grid("much", "little")
    large = groups_of(settings, values[:, 0] + 0.3 * values[:, 1])
    small = groups_of(settings, 1e-9 * (values[:, 0] + 0.3 * values[:, 1]))
    expected = importances(axes_of(large), large, METRIC)
    assert importances(axes_of(small), small, METRIC) == pytest.approx(expected, abs=0.01)


def test_seeds_have_their_share_of_the_variance_and_settings_what_is_left():
    rng = np.random.default_rng(0)
    values, settings = grid("rate")
    noisy = groups_of(settings, [v + rng.normal(0, np.sqrt(2.5), 400) for v in values[:, 0]])
    # The five values have a variance of 2.5 themselves.
    found = importances(axes_of(noisy), noisy, METRIC)
    assert found == pytest.approx({"rate": 0.5, SEED: 0.5}, abs=0.05)
    chance = groups_of(settings, [rng.normal(size=2) for _ in values])
    assert importances(axes_of(chance), chance, METRIC)[SEED] > 0.5


def test_alike_runs_have_no_importance():
    _, settings = grid("rate")
    groups = groups_of(settings, np.ones((5, 2)))
    assert importances(axes_of(groups), groups, METRIC) == {}


def test_numbers_stand_on_a_scale_and_what_has_none_below_it():
    settings = [{"a.rate": "0.001"}, {"a.rate": "0.1"}, {"a.rate": "0.01"}, {"b.kind": "x"}]
    rate, kind = axes_of(groups_of(settings, range(4)))
    assert rate.name == "rate" and rate.categories is None
    assert rate.positions == pytest.approx([0.2, 1, 0.6, 0])
    assert [text for _, text in rate.ticks] == ["-", "0.001", "0.01", "0.1"]
    assert kind.categories == ["-", "-", "-", "x"] and kind.positions.tolist() == [0, 0, 0, 1]


def test_numbers_near_each_other_are_on_a_linear_axis():
    (axis,) = axes_of(groups_of([{"n": "8"}, {"n": "16"}, {"n": "32"}], range(3)))
    assert axis.positions == pytest.approx([0, 1 / 3, 1])


def test_drawn_numbers_have_few_digits_on_the_axis():
    (axis,) = axes_of(groups_of([{"n": "0.24211101842946106"}, {"n": "0.01"}], range(2)))
    assert [text for _, text in axis.ticks] == ["0.01", "0.2421"]


def test_many_values_have_a_few_ticks_that_are_apart():
    settings = [{"p": repr(x), "c": f"c{x}"} for x in np.linspace(1, 2, 60).tolist()]
    for axis in axes_of(groups_of(settings, range(60))):
        positions = [position for position, _ in axis.ticks]
        assert 2 <= len(positions) <= 30 and np.diff(positions).min() >= 0.03


@pytest.mark.parametrize(
    "rates, num_seeds, has_importance, has_lines",
    [((0.1,), 4, False, False), ((0.1, 0.2), 1, False, False), ((0.1, 0.2), 2, True, True),
     ((0.1, 0.2, 0.3), 1, False, True)],
)  # fmt: skip
def test_pictures_are_drawn_where_there_is_something_to_see(
    tmp_path, rates, num_seeds, has_importance, has_lines
):
    folders = [make_run(tmp_path / f"{rate}_{seed}", rate + seed / 100, seed, rate)
               for rate in rates for seed in range(num_seeds)]  # fmt: skip
    comparison = compared(read_runs(folders)[0])
    for draw, is_drawn in (
        (draw_importance, has_importance),
        (draw_parallel_coordinates, has_lines),
    ):
        path = tmp_path / f"{draw.__name__}.png"
        assert draw(comparison, path) == is_drawn == path.exists()
        if is_drawn:
            assert matplotlib.image.imread(path).std() > 0.05


def test_a_diverged_run_is_left_out(tmp_path, capfd):
    accuracies = {0.1: 0.9, 0.2: 0.8, 0.3: 0.7, 0.4: 0.6, 9: float("nan")}
    folders = [make_run(tmp_path / str(r), a, 0, r) for r, a in accuracies.items()]
    comparison = compared(read_runs(folders)[0])
    assert draw_importance(comparison, tmp_path / "a.png")
    assert draw_parallel_coordinates(comparison, tmp_path / "b.png")
    assert capfd.readouterr() == ("", "")
