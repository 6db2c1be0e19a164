"""From image files to answers: `predict`, and what it is made of."""

import csv
import io
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console
from test_run import train

from trainer import config
from trainer.__main__ import entry
from trainer.answers import Answer
from trainer.build import build
from trainer.config import ConfigError
from trainer.data.transform import Transform
from trainer.images_on_disk import find_images
from trainer.predict_images import ImagePredictor
from trainer.report.predictions_of_files import PredictionTable, csv_of
from trainer.split_predictions import predict_split
from trainer.trained_model import TrainedModel, find_weights, load_trained

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Of each of three classes, four images to train on and seven others, all of 8x8."""
    root = tmp_path_factory.mktemp("images")
    for split, count in (("train", 4), ("test", 7)):
        for name in ("ant", "bee", "cat"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = RNG.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def run_dir(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    words = ["data=class_folder", f"data.root={images}", "data.batch_size=8", "augment=none"]
    words += ["duration=2ep", "data.limit=null", "precision=float32", "jit=false"]
    assert train(folder, *words, "callbacks.progress=null") == 0
    return folder


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_image_of_the_runs_size_gets_what_evaluate_finds(images, run_dir):
    trained = load_trained(run_dir)
    trainer = build(config.load(run_dir), run_dir=None).trainer
    trainer.load_weights(find_weights(run_dir, "best"))
    paths = find_images([str(images / "test")])
    found = list(ImagePredictor(trained, 8).files(paths))
    assert [row for rows, _, _ in found for row in rows] == list(range(21))
    predicted = np.concatenate([predictions[None] for _, _, predictions in found])
    np.testing.assert_array_equal(predicted, predict_split(trainer, "test").predictions[None])


def saved(folder):
    """The same image as files of many kinds, of which some are broken."""
    pixels = RNG.integers(0, 256, (9, 14, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x112] = 6
    good = {
        "a.jpg": image, "b.png": image, "c.bmp": image, "d.gif": image, "e.webp": image,
        "f.png": image.convert("L"), "g.png": image.convert("P"), "h.png": image.convert("RGBA"),
        "i.png": Image.fromarray(pixels[..., 0].astype(np.uint16) * 256),
        "j.jpg": image.convert("CMYK"), "k.JPEG": image,
    }  # fmt: skip
    for name, one in good.items():
        one.save(folder / name, exif=exif) if name == "k.JPEG" else one.save(folder / name)
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:-20])
    (folder / "empty.png").touch()
    (folder / "text.webp").write_text("not an image")
    (folder / "notes.txt").write_text("left out")
    return sorted(str(folder / name) for name in good)


def test_images_of_any_kind_are_predicted_and_broken_ones_named(run_dir, tmp_path, capsys):
    folder, out = tmp_path / "images", tmp_path / "out" / "found.csv"
    folder.mkdir()
    good = saved(folder)
    capsys.readouterr()
    assert entry(["predict", str(run_dir), str(folder), "--top", "2", "--csv", str(out)]) == 1
    printed, errors = capsys.readouterr()
    rows = rows_of(out)
    assert [row["file"] for row in rows] == good
    names = [f"probability/{name}" for name in ("ant", "bee", "cat")]
    for row in rows:
        probabilities = [float(row[name]) for name in names]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert row["class"] == ("ant", "bee", "cat")[int(np.argmax(probabilities))]
        assert float(row["probability"]) == max(probabilities)
        assert row["file"] in printed
    assert printed.count("next 1") == 1 and "next 2" not in printed
    broken = [line.partition(":")[0] for line in errors.splitlines()]
    assert broken[:3] == [str(folder / name) for name in ("cut.jpg", "empty.png", "text.webp")]
    assert "truncated" in errors and "3 of 14 files could not be read" in errors
    assert [path.name for path in out.parent.iterdir()] == ["found.csv"]


@pytest.mark.parametrize(
    ("views", "of"),
    [
        ("flip", lambda x: [x, x[:, :, ::-1]]),
        (
            "shift",
            lambda x: [
                x,
                np.concatenate([x[:, :1], x[:, :-1]], 1),
                np.concatenate([x[:, 1:], x[:, -1:]], 1),
                np.concatenate([x[:, :, :1], x[:, :, :-1]], 2),
                np.concatenate([x[:, :, 1:], x[:, :, -1:]], 2),
            ],
        ),
    ],
)
def test_augmentation_at_test_time_is_the_mean_over_the_views(run_dir, views, of):
    trained = load_trained(run_dir)
    images = RNG.integers(0, 256, (3, 8, 8, 3), np.uint8)
    plain = ImagePredictor(trained, 3)
    expected = np.mean([plain(view)[None] for view in of(images)], axis=0)
    found = ImagePredictor(trained, 4, views)(images)[None]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found - plain(images)[None]).max() > 1e-4


def test_folders_and_patterns_are_walked_in_order_and_each_file_taken_once(tmp_path):
    names = ["b/2.png", "b/1.JPG", "a.bmp", "b/.hidden.png", ".git/x.png", "c.txt", "d[1].gif"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    expected = [f"{tmp_path}/{name}" for name in ("a.bmp", "b/1.JPG", "b/2.png", "d[1].gif")]
    assert find_images([str(tmp_path)]) == expected
    assert find_images([f"{tmp_path}/*"]) == expected
    assert find_images([f"{tmp_path}/**/*.png"]) == [f"{tmp_path}/b/2.png"]
    again = [f"{tmp_path}/d[1].gif", f"{tmp_path}/c.txt", f"{tmp_path}/./d[1].gif"]
    assert find_images(again) == [f"{tmp_path}/d[1].gif", f"{tmp_path}/c.txt"]


def test_links_to_folders_are_followed_once(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "1.png").touch()
    (tmp_path / "real" / "back").symlink_to(tmp_path / "real")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "cat").symlink_to(tmp_path / "real")
    assert find_images([str(tmp_path / "links")]) == [f"{tmp_path}/links/cat/1.png"]


def test_pipes_in_a_folder_are_left_out_and_broken_links_named(run_dir, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "gone")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "good.png")
    paths = [f"{tmp_path}/broken.png", f"{tmp_path}/good.png"]
    assert find_images([str(tmp_path)]) == paths
    assert entry(["predict", str(run_dir), str(tmp_path)]) == 1
    assert f"{paths[0]}: cannot be read: No such file" in capsys.readouterr().err


TOO_LONG = "x" * 300


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.png"], "none.png: no such file or folder"),
        (["{}"], "no images in this folder"),
        (["{}/*.png"], "no image matches this pattern"),
        (["/dev/null"], "/dev/null: neither a file nor a folder"),
        ([TOO_LONG], "xx: cannot be read (File name too long)"),
        ([f"{TOO_LONG}*"], "xx*: cannot be read (File name too long)"),
        (["~nobody_of_that_name/x.png"], "x.png: cannot be read (Could not determine home"),
        (["x.png", "--csv", TOO_LONG], "xx: cannot be written (File name too long)"),
        (["x.png", "--top", "0"], "--top 0: at least 1"),
        (["x.png", "--batch-size", "0"], "--batch-size 0: at least 1"),
        (["x.png", "--csv", "{}"], "a folder; give the name of a file"),
        (["x.png", "--tta", "turn"], "invalid choice: 'turn'"),
        (["x.png", "--weight", "best"], "no option --weight; did you mean --weights?"),
        ([], "required: IMAGE"),
    ],
)
def test_wrong_words_are_told_in_one_line_before_any_work(
    tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.setattr("trainer.trained_model.load_trained", lambda *_: pytest.fail("too late"))
    words = [word.format(tmp_path) for word in words]
    assert entry(["predict", str(tmp_path), *words]) == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.count("\n") == 1


def trained_of(outputs, activation, names, labels, inputs=(4, 4, 3)):
    """A model of the image's first pixel, whose outputs are a function of it."""
    image = keras.Input(inputs)
    spec = {"image": tf.TensorSpec(inputs, tf.float32)}
    model = keras.Model(image, outputs(image[:, 0, 0]), name="net")
    return TrainedModel(model, tuple(names), spec, Transform(), 0, "", activation, labels)


CLASS = tf.TensorSpec([], tf.int32)
PIXELS = np.full((1, 4, 4, 3), [51, 102, 255], np.uint8)  # 0.2, 0.4 and 1 of the full range


def sigmoid(x):
    return 1 / (1 + np.exp(-np.array(x)))


KINDS = {
    "one logit tells two classes apart": (
        trained_of(lambda x: x[:, :1], "sigmoid", ["no", "yes"], {None: CLASS}),
        {None: Answer("classes", ("no", "yes"), 1)},
        [1 - sigmoid(0.2), sigmoid(0.2)],
        ["class", "probability", "probability/no", "probability/yes"],
        "yes   0.5498        no 0.4502",
    ),
    "yes or no for each label": (
        trained_of(lambda x: 5 * x - 1.5, "sigmoid", "abc", {None: tf.TensorSpec([3], tf.float32)}),
        {None: Answer("labels", ("a", "b", "c"), 3)},
        sigmoid([-0.5, 0.5, 3.5]),
        ["labels", "probability/a", "probability/b", "probability/c"],
        "b, c     a 0.3775, b 0.6225, c 0.9707",
    ),
    "a value": (
        trained_of(lambda x: 3 * x[:, 1:2], "linear", [], {None: tf.TensorSpec([], tf.float32)}),
        {None: Answer("values", ("value",), 1)},
        [1.2],
        ["value"],
        "1.2",
    ),
    "a value of a run that wrote down no labels": (
        trained_of(lambda x: 3 * x[:, 1:2], "auto", [], None),
        {None: Answer("values", ("value",), 1)},
        [1.2],
        ["value"],
        "1.2",
    ),
    "a value for class numbers, as of a squared error": (
        trained_of(lambda x: -90 * x[:, 1:2], "linear", ["no", "yes"], {None: CLASS}),
        {None: Answer("values", ("value",), 1)},
        [-36],
        ["value"],
        "-36",
    ),
    "one logit for each of three classes": (
        trained_of(lambda x: x, "sigmoid", "abc", {None: CLASS}),
        {None: Answer("classes", ("a", "b", "c"), 3)},
        sigmoid([0.2, 0.4, 1]),
        ["class", "probability", "probability/a", "probability/b", "probability/c"],
        "c       0.7311        b 0.5987   a 0.5498",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_problem_has_its_answer(kind, tmp_path):
    trained, answers, expected, columns, line = KINDS[kind]
    predictor = ImagePredictor(trained, 1)
    assert predictor.answers == answers
    row = {None: predictor(PIXELS)[None][0]}
    np.testing.assert_allclose(row[None], expected, rtol=1e-5)
    with csv_of(tmp_path / "found.csv", answers) as write:
        write("a.png", row)
    (found,) = rows_of(tmp_path / "found.csv")
    assert list(found) == ["file", *columns]
    assert line.split() in words_of(answers, row)


def words_of(answers, row):
    console = Console(file=io.StringIO(), width=200)
    table = PredictionTable(answers, 3)
    table.add("a.png", row)
    table.show(console)
    return [line.split()[1:] for line in console.file.getvalue().splitlines() if "a.png" in line]


FORGED = ("ant\x1b]0;owned\x07", "bee\x1b[2J", "cat\ud800")


@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
def test_names_of_a_forged_run_send_nothing_to_the_terminal(kind):
    file = io.StringIO()
    table = PredictionTable({"out\x1b[1m": Answer(kind, FORGED, 3)}, 3)
    for name in ("a.png", "b\x1b[2J.png"):
        table.add(name, {"out\x1b[1m": np.array([0.2, 0.9, 0.7])})
    table.show(Console(file=file, width=300))
    shown = file.getvalue()
    assert "b�[2J.png" in shown and all(text in shown for text in ("ant�]", "bee�[2J", "cat�"))
    assert shown.replace("\n", "").isprintable()
    assert kind == "values" or "of 2 images" in shown or kind == "labels"


def test_a_csv_file_that_cannot_hold_a_name_is_told_in_one_line(tmp_path):
    answers = {None: Answer("classes", FORGED, 3)}
    with pytest.raises(ConfigError, match="cannot be written"), csv_of(tmp_path / "a", answers):
        pytest.fail("it was opened")
    assert not list(tmp_path.iterdir())


def test_several_outputs_are_told_by_name(tmp_path):
    trained = trained_of(
        lambda x: {"kind": x, "size": x[:, :1]},
        {"kind": "softmax", "size": "linear"},
        "abc",
        {"kind": CLASS, "size": tf.TensorSpec([], tf.float32)},
    )
    predictor = ImagePredictor(trained, 1)
    row = {name: array[0] for name, array in predictor(PIXELS).items()}
    assert row["kind"].sum() == pytest.approx(1) and row["size"] == pytest.approx(0.2)
    with csv_of(tmp_path / "found.csv", predictor.answers) as write:
        write("a.png", row)
    (found,) = rows_of(tmp_path / "found.csv")
    assert (found["kind/class"], found["size/value"]) == ("c", "0.2")
    (line,) = words_of(predictor.answers, row)
    assert (line[0], line[-1]) == ("c", "0.2")


def test_a_model_of_something_else_is_refused():
    spec = {"features": tf.TensorSpec([3], tf.float32)}
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(2)], name="net")
    trained = TrainedModel(model, (), spec, Transform(), 0, "", "linear", None)
    with pytest.raises(ConfigError, match=r"net: takes features \[3\], not an image .* evaluate"):
        ImagePredictor(trained, 1)


def test_maps_as_outputs_are_refused():
    trained = trained_of(lambda x: x[:, None, :], "softmax", "abc", {None: CLASS})
    with pytest.raises(ConfigError, match=r"its output is \[1, 1, 3\], not \[B, K\]"):
        ImagePredictor(trained, 1)


def test_a_csv_file_is_whole_or_not_there(tmp_path):
    answers = {None: Answer("values", ("value",), 1)}
    (tmp_path / "found.csv").write_text("of before")
    with pytest.raises(KeyboardInterrupt), csv_of(tmp_path / "found.csv", answers) as write:
        write("a.png", {None: np.ones(1)})
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of before"]
    with (
        pytest.raises(ConfigError, match="cannot be written"),
        csv_of(tmp_path / "found.csv" / "x.csv", answers),
    ):
        pytest.fail("it was opened")
