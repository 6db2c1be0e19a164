import numpy as np
import pytest
from layouts import written

from trainer.data.table import table

HEADER = ("width", "depth", "red", "kind")
ROWS = [(1, 2.5, "true", "b"), (-3, "1e2", "False", "a"), (0.1, " 7 ", 1, "b")]


def test_numbers_are_features_and_the_label_column_is_classes(tmp_path):
    data_set = table(written(tmp_path / "x.csv", [HEADER, *ROWS]), "kind")
    train = data_set.load()["train"]
    assert data_set.name == "x" and data_set.class_names == ("a", "b")
    np.testing.assert_array_equal(
        train["features"], np.array([[1, 2.5, 1], [-3, 100, 0], [0.1, 7, 1]], np.float32)
    )
    np.testing.assert_array_equal(train["label"], [1, 0, 1])
    assert train["features"].dtype == np.float32 and train["label"].dtype == np.int32


@pytest.mark.parametrize(
    ("columns", "kind", "label", "names"),
    [
        ("size", "auto", [1, 0, 2], ("9", "10", "100")),  # by size, not by letters
        ("age", "auto", [[0.5], [1], [2]], ("age",)),
        ("size", "values", [[10], [9], [100]], ("size",)),
        ("age", "classes", [0, 1, 2], ("0.5", "1", "2")),
        (["yes", "no"], "auto", [[1, 0], [1, 0], [0, 1]], ("yes", "no")),
        (["yes", "no"], "values", [[1, 0], [1, 0], [0, 1]], ("yes", "no")),
        ("yes", "yes_no", [[1], [1], [0]], ("yes",)),
        (["age", "yes"], "auto", [[0.5, 1], [1, 1], [2, 0]], ("age", "yes")),
    ],
)
def test_labels_are_what_their_columns_hold(columns, kind, label, names):
    values = zip((10, 9, 100), (0.5, 1, 2), (1, 1, 0), (0, 0, 1), strict=True)
    rows = [{"x": 0, **dict(zip(("size", "age", "yes", "no"), v, strict=True))} for v in values]
    data_set = table(rows, columns, kind, feature_columns=["x"])
    found = data_set.load()["train"]["label"]
    assert data_set.class_names == names
    assert found.dtype == (np.int32 if np.ndim(label) == 1 else np.float32)
    np.testing.assert_array_equal(found, label)


def test_weights_splits_and_chosen_features(tmp_path):
    header = ("x", "y", "label", "w", "split", "note")
    of_rows = enumerate(["train", "Valid", "train", "val"])
    rows = [(k, -k, k % 2, k / 2, split, "text") for k, split in of_rows]
    splits = table(
        written(tmp_path / "x.csv", [header, *rows]),
        feature_columns=["y", "x"],
        weight_column="w",
    ).load()
    assert list(splits) == ["train", "val"]
    np.testing.assert_array_equal(splits["val"]["features"], [[-1, 1], [-3, 3]])
    np.testing.assert_array_equal(splits["train"]["weight"], [0, 1])


def test_a_file_may_have_another_delimiter_and_a_byte_order_mark(tmp_path):
    for delimiter, given in ((";", ";"), ("\t", "tab")):
        path = tmp_path / "x.csv"
        text = f"x{delimiter}label\n1{delimiter}0\n\n2{delimiter}1\n"
        path.write_text(text, encoding="utf-8-sig")
        train = table(str(path), delimiter=given).load()["train"]
        np.testing.assert_array_equal(train["features"], [[1], [2]])


def one(**cells):
    return [{"x": 1, "label": 0, **cells}, {"x": 2, "label": 1, **cells}]


@pytest.mark.parametrize(
    ("rows", "arguments", "text"),
    [
        (one(colour="red"), {}, "column 'colour' holds 'red' in row 1, and only numbers"),
        (one(x="nan"), {}, "column 'x' holds 'nan' in row 1"),
        (one(x=float("nan")), {}, "column 'x' is empty in row 1"),
        (one(x=1e39), {}, r"column 'x' holds '1e\+39' in row 1"),  # beyond float32
        (one(x=None), {}, "column 'x' is empty in row 1"),
        (one(label=""), {}, "column 'label' is empty in row 1"),
        (one(), {"label_column": "lable"}, "no column 'lable'; did you mean label"),
        (one(), {"label_column": []}, r"data.label_column=\[\]: at least one"),
        (one(), {"label_column": ["x", "label"], "label_kind": "yes_no", "feature_columns": ["x"]},
         "yes/no label 'x' is 2 in row 2; must be 0 or 1"),
        (one(), {"label_column": ["x", "label"], "label_kind": "classes"}, "received 2 .x, label"),
        (one(), {"feature_columns": ["x", "label"]}, "must be columns other than the label's"),
        (one(), {"label_column": ["x", "label"]}, r"feature_columns=\[\]: must be columns"),
        (one(w=-1), {"weight_column": "w"}, "weight -1 in row 1 of column 'w'"),
        (one(), {"weight_column": "w"}, "no column 'w'"),
        ([], {}, "the table: no rows"),
        ([{"x": 1}, {"y": 1}], {}, "rows have different keys"),
        (3, {}, "data.file=3: must be the name of a CSV file or"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(rows, arguments, text):
    with pytest.raises(ValueError, match=text) as info:
        table(rows, **arguments)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        (b"", "no rows"),
        (b"x,label\n", "no rows"),
        (b"x,x\n1,2\n", "two columns are called 'x'"),
        (b"x,label\n1,2\n1\n", "row 2 has 1 cells, the header 2"),
        (b"x;label\n1;2\n", "no column 'label'; did you mean x;label. .*data.delimiter"),
        (b"x,label\n\xff,2\n", "cannot be read as a CSV file in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, contents, text):
    (tmp_path / "x.csv").write_bytes(contents)
    with pytest.raises(ValueError, match=rf"x\.csv: {text}"):
        table(str(tmp_path / "x.csv"))
    with pytest.raises(ValueError, match=r"none.csv: cannot be read .*No such file"):
        table(str(tmp_path / "none.csv"))
    with pytest.raises(ValueError, match=r"data.delimiter=', ': must be one character, or tab"):
        table(str(tmp_path / "x.csv"), delimiter=", ")
