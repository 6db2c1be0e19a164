import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import precision_score, recall_score

from trainer.metrics import PrecisionRecallCurves

RNG = np.random.default_rng(0)


def _counted(labels, probabilities, weight=None, num_thresholds=11):
    metric = PrecisionRecallCurves(probabilities.shape[1], num_thresholds=num_thresholds)
    for half in (slice(0, 30), slice(30, None)):
        metric.update_state(
            labels[half], probabilities[half], None if weight is None else weight[half]
        )
    return metric.curves()


@pytest.mark.parametrize("is_weighted", [False, True])
def test_each_threshold_counts_as_scikit_learn_does(is_weighted):
    labels = RNG.integers(0, 3, 70)
    probabilities = RNG.dirichlet([1, 1, 1], 70).astype("float32")
    weight = RNG.uniform(0, 2, 70).astype("float32") if is_weighted else None
    curves = _counted(labels, probabilities, weight)
    for k in range(3):
        for t, threshold in enumerate(np.arange(11) / 10):
            found = probabilities[:, k] * 10 >= threshold * 10
            asked = {"sample_weight": weight, "zero_division": 1}
            expected = precision_score(labels == k, found, **asked)
            np.testing.assert_allclose(curves[4, k, t], expected, rtol=1e-5)
            expected = recall_score(labels == k, found, **asked)
            np.testing.assert_allclose(curves[5, k, t], expected, rtol=1e-5)
    everything = 70 if weight is None else weight.sum()
    np.testing.assert_allclose(curves[:4].sum(axis=0), everything, rtol=1e-5)


def test_answers_of_yes_and_no_are_counted_one_by_one():
    labels = RNG.integers(0, 2, (70, 2)).astype("float32")
    probabilities = RNG.uniform(size=(70, 2)).astype("float32")
    both = _counted(labels, probabilities)
    for k in range(2):
        alone = _counted(labels[:, [k]], probabilities[:, [k]])
        np.testing.assert_array_equal(both[:, [k]], alone)
    certain = _counted(np.ones((70, 1), "float32"), np.ones((70, 1), "float32"))
    np.testing.assert_array_equal(certain[:2, 0, -1], [70, 0])


def test_together_all_answers_make_one_curve():
    labels, probabilities = RNG.integers(0, 3, 70), RNG.dirichlet([1, 1, 1], 70).astype("float32")
    metric = PrecisionRecallCurves(3, is_together=True, num_thresholds=11)
    metric.update_state(labels, probabilities)
    apart = _counted(labels, probabilities)
    np.testing.assert_allclose(metric.curves()[:4, 0], apart[:4].sum(axis=1), rtol=1e-6)


def test_other_numbers_of_outputs_are_refused():
    with pytest.raises(ValueError, match=r"num_outputs=3, but their shape is \(4, 2\)"):
        PrecisionRecallCurves(3).update_state(np.zeros(4, "int32"), tf.zeros((4, 2)))
    with pytest.raises(ValueError, match="num_thresholds=1: at least 2"):
        PrecisionRecallCurves(3, num_thresholds=1)
