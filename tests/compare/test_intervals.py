import numpy as np
import pytest
from scipy.stats import norm, t

from trainer.compare.intervals import LEVEL, NUM_RESAMPLES, paired_bootstrap, welch


def plain_bootstrap(differences, weight, seed):
    """Draw, average, repeat: in a loop."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(NUM_RESAMPLES):
        drawn = rng.integers(0, len(differences), len(differences))
        means.append((differences[drawn] * weight[drawn]).sum() / weight[drawn].sum())
    return np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])


def answers(num, seed=0):
    """Two models that are right on much the same examples."""
    rng = np.random.default_rng(seed)
    ease = rng.uniform(size=num)
    return ((rng.uniform(size=num) < ease).astype(float) for _ in range(2))


@pytest.mark.parametrize("is_weighted", [False, True])
def test_bootstrap_is_that_of_a_plain_loop(is_weighted):
    a, b = answers(400)
    weight = np.random.default_rng(1).uniform(0.5, 2, 400) if is_weighted else np.ones(400)
    found = paired_bootstrap(a, b, weight)
    low, high = plain_bootstrap(a - b, weight, seed=0)
    assert found.value == pytest.approx(np.average(a - b, weights=weight))
    # Two estimates of the same quantiles: a tenth of the width is several standard errors of them.
    assert found.low == pytest.approx(low, abs=(high - low) / 10)
    assert found.high == pytest.approx(high, abs=(high - low) / 10)


def test_bootstrap_is_the_normal_interval_of_the_mean_of_the_pairs():
    a, b = answers(2000)
    half = norm.ppf((1 + LEVEL) / 2) * (a - b).std() / np.sqrt(2000)
    found = paired_bootstrap(a, b, np.ones(2000))
    assert found.low == pytest.approx(found.value - half, abs=half / 10)
    assert found.high == pytest.approx(found.value + half, abs=half / 10)


def test_pairing_makes_the_interval_narrower_where_examples_are_hard_for_both():
    rng = np.random.default_rng(0)
    hardness = rng.normal(size=300)
    a, b = (hardness + 0.1 * rng.normal(size=300) for _ in range(2))
    paired = paired_bootstrap(a, b, np.ones(300))
    unpaired = paired_bootstrap(a, rng.permutation(b), np.ones(300))
    assert paired.high - paired.low < 0.3 * (unpaired.high - unpaired.low)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(120):
        differences = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.7, 0.2], size=200)
        found = paired_bootstrap(differences, np.zeros(200), np.ones(200))
        hits += found.low <= 0.1 <= found.high
    # 95 % of 120 is 114, with a standard deviation of 2.4.
    assert 105 <= hits <= 119


def test_bootstrap_is_the_same_every_time():
    a, b = answers(50)
    assert paired_bootstrap(a, b, np.ones(50)) == paired_bootstrap(a, b, np.ones(50))


def test_examples_of_no_weight_do_not_count():
    found = paired_bootstrap(np.array([1.0, 0, 9]), np.zeros(3), np.array([1.0, 1, 0]))
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("scores", [[1.0], [1.0, np.nan]])
def test_no_interval_where_there_can_be_none(scores):
    found = paired_bootstrap(np.array(scores), np.zeros(len(scores)), np.ones(len(scores)))
    assert found.low is None and found.high is None


def test_no_examples_give_no_difference():
    assert np.isnan(paired_bootstrap(np.ones(2), np.zeros(2), np.zeros(2)).value)


def test_welch_is_the_formula():
    a, b = np.array([0.91, 0.93, 0.92, 0.95]), np.array([0.80, 0.90, 0.70])
    u, v = a.var(ddof=1) / 4, b.var(ddof=1) / 3
    freedom = (u + v) ** 2 / (u**2 / 3 + v**2 / 2)
    half = t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(u + v)
    found = welch(a, b)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


@pytest.mark.parametrize("other", [[0.5], [0.5, 0.5]])
def test_welch_of_one_run_or_of_equal_runs_has_no_interval(other):
    found = welch(np.array([0.7, 0.7]), np.array(other))
    assert found.value == pytest.approx(0.2) and found.low is None
