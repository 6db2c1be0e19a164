import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from trainer.compare.example_scores import correct, path_of, read_scores
from trainer.split_predictions import SplitPredictions


def rows(*values):
    return np.array(values, np.float32)


def test_class_numbers_are_right_where_the_likeliest_class_is():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 100).astype(np.float32)
    labels = rng.integers(0, 5, 100).astype(np.int32)
    found = correct(labels, probabilities)
    assert set(found) == {0.0, 1.0}
    assert found.mean() == accuracy_score(labels, probabilities.argmax(axis=1))
    np.testing.assert_array_equal(correct(labels[:, None], probabilities), found)


def test_one_probability_is_that_of_class_1():
    labels = np.array([0, 1, 1, 0], np.int32)
    assert correct(labels, rows([0.2], [0.9], [0.4], [0.6])).tolist() == [1, 1, 0, 0]


def test_several_yes_or_no_labels_count_each():
    labels = rows([1, 0, 1, 1], [0, 0, 0, 0])
    found = correct(labels, rows([0.9, 0.1, 0.2, 0.8], [0.1, 0.6, 0.6, 0.6]))
    assert found.tolist() == [0.75, 0.25]


def test_soft_rows_of_class_probabilities_count_as_their_likeliest_class():
    labels = rows([0.8, 0.2], [0.3, 0.7])
    assert correct(labels, rows([0.6, 0.4], [0.9, 0.1])).tolist() == [1, 0]


@pytest.mark.parametrize("labels", [rows([1.5], [2.0]), rows(1.5, 2.0), rows([0], [1])])
def test_values_to_regress_are_neither_right_nor_wrong(labels):
    assert correct(labels, rows([1.4], [-3.0])) is None


def test_means_are_over_the_weights(tmp_path):
    kept = SplitPredictions(
        {None: np.array([0, 1, 0], np.int32)},
        {None: rows([0.9, 0.1], [0.9, 0.1], [0.8, 0.2])},
        rows(0.1, 2.0, 0.2),
        rows(1, 2, 1),
        step=7,
    )
    kept.save(path_of(tmp_path, "test"))
    scores = read_scores(tmp_path / "report" / "predictions_test.npz")
    assert scores.step == 7
    assert scores.metrics() == pytest.approx({"loss": 4.3 / 4, "accuracy": 0.5})


def test_several_outputs_have_losses_alone(tmp_path):
    labels = np.array([0, 1], np.int32)
    predictions = rows([0.9, 0.1], [0.9, 0.1])
    kept = SplitPredictions(
        {"a": labels, "b": labels}, {"a": predictions, "b": predictions}, rows(1, 3), rows(1, 1), 0
    )
    kept.save(tmp_path / "p.npz")
    assert read_scores(tmp_path / "p.npz").metrics() == {"loss": 2.0}


@pytest.mark.parametrize(
    "losses, weight", [(rows(1, 2, 3), rows(1, 1)), (rows([1], [2]), rows(1, 1))]
)
def test_arrays_that_do_not_fit_together_are_refused(tmp_path, losses, weight):
    labels = np.array([0, 1], np.int32)
    kept = SplitPredictions({None: labels}, {None: rows([1, 0], [1, 0])}, losses, weight, 0)
    kept.save(tmp_path / "p.npz")
    with pytest.raises(ValueError, match=r"p\.npz: "):
        read_scores(tmp_path / "p.npz")
