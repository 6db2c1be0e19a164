"""Where a model looks, and what it makes of a split: `explain`."""

import os
import struct
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from test_predict import trained_of
from test_run import train
from test_writers import events

from trainer import config
from trainer.__main__ import entry
from trainer.build import build
from trainer.config import ConfigError
from trainer.data.transform import Transform
from trainer.disk import RunFolderError
from trainer.report import projector
from trainer.report.folder import report_folder
from trainer.report.grad_cam import choose_map, heat_maps, maps
from trainer.report.grad_cam_pictures import overlaid, shown
from trainer.trained_model import TrainedModel, load_trained

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 6, 8, 3)).astype(np.float32)
INPUT = (6, 8, 3)


def trained_model(model, activation="softmax", num_classes=4):
    spec = {"image": tf.TensorSpec(INPUT, tf.float32)}
    label = {None: tf.TensorSpec([], tf.int32)}
    names = tuple("abcd"[:num_classes])
    return TrainedModel(model, names, spec, Transform(), 0, "", activation, label)


def functional(num_outputs=4):
    keras.utils.set_random_seed(1)
    image = keras.Input(INPUT)
    x = keras.layers.Conv2D(5, 3, activation="relu", name="first")(image)
    x = keras.layers.Conv2D(7, 3, activation="tanh", name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(num_outputs, name="logits")(x), name="net")


def test_heat_is_as_worked_out_by_hand():
    # Through the average and the dense layer, the gradient at each place is the kernel / (H W).
    model = functional()
    columns = np.array([2, 0, 3])
    found = heat_maps(trained_model(model), "second", tf.constant(IMAGES), None, columns)
    layer = model.get_layer("second")
    maps_ = keras.Model(model.input, layer.output)(IMAGES).numpy()
    kernel = model.get_layer("logits").kernel.numpy()
    weights = kernel[:, columns].T / (maps_.shape[1] * maps_.shape[2])
    expected = np.maximum(0, (weights[:, None, None] * maps_).sum(-1))
    assert found.shape == (3, 2, 4) and found.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_heat_of_an_inner_layer_is_that_of_a_model_cut_there():
    model = functional()
    found = heat_maps(trained_model(model), "first", tf.constant(IMAGES), None, np.ones(3, int))
    map_ = keras.Model(model.input, model.get_layer("first").output)(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(map_)
        x = map_
        for name in ("second", "pool", "logits"):
            x = model.get_layer(name)(x)
        scores = x[:, 1]
    weights = tf.reduce_mean(tape.gradient(scores, map_), axis=(1, 2), keepdims=True)
    expected = tf.nn.relu(tf.reduce_sum(weights * map_, axis=-1))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_class_no_of_one_logit_has_the_heat_of_its_negative():
    model = functional(num_outputs=1)
    binary = trained_model(model, "sigmoid", num_classes=2)
    no, yes = (
        heat_maps(binary, "second", tf.constant(IMAGES), None, np.full(3, k)) for k in (0, 1)
    )
    kernel = model.get_layer("logits").kernel
    kernel.assign(-kernel)
    np.testing.assert_allclose(
        no, heat_maps(binary, "second", tf.constant(IMAGES), None, np.ones(3, int)), atol=1e-6
    )
    assert np.abs(no - yes).max() > 1e-3


class Block(keras.layers.Layer):
    """Two branches, one of them a list within a list."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.branches = [
            [keras.layers.Conv2D(3, 3, padding="same", name="wide")],
            [keras.layers.Conv2D(2, 1, name="narrow")],
        ]

    def call(self, inputs):
        return tf.concat([layers[0](inputs) for layers in self.branches], axis=-1)


class Nested(keras.Model):
    def __init__(self):
        super().__init__(name="nested")
        self.blocks = [Block(name="one"), Block(name="two")]
        self.norm = keras.layers.BatchNormalization(name="norm")
        self.pool = keras.layers.MaxPooling2D(2, name="halve")
        self.head = keras.layers.Dense(4, dtype="float32")

    def call(self, inputs, training=False):
        x = inputs
        for block in self.blocks:
            x = block(x)
        x = self.pool(self.norm(x, training=training))
        return self.head(tf.reshape(x, [-1, 60]))


@pytest.fixture(scope="module")
def nested():
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = Nested()
        model(IMAGES)
    finally:
        keras.config.set_dtype_policy("float32")
    return trained_model(model)


def test_layers_in_lists_are_found_under_the_names_around_them(nested):
    found = maps(nested)
    inner = [f"{block}{layer}" for block in ("one", "two") for layer in ("/wide", "/narrow", "")]
    assert list(found.sizes) == [*inner, "norm", "halve"]
    assert found.sizes["one"] == (6, 8) and found.sizes["halve"] == (3, 4)
    assert found.last == "two/narrow"


def test_by_default_it_is_what_the_last_convolution_ends_in(nested):
    assert choose_map(nested, None) == "norm"
    assert choose_map(trained_model(functional()), None) == "second"


def test_half_precision_gives_heat_in_float32_near_that_of_full(nested):
    full = Nested()
    full(IMAGES)
    full.set_weights(nested.model.get_weights())
    columns = np.array([0, 1, 2])
    for layer in ("one/wide", "two", "norm"):
        half = heat_maps(nested, layer, tf.constant(IMAGES), None, columns)
        expected = heat_maps(trained_model(full), layer, tf.constant(IMAGES), None, columns)
        assert half.dtype == np.float32 and expected.max() > 0
        np.testing.assert_allclose(half, expected, atol=0.05 * expected.max())


def test_watching_leaves_layers_as_they_were(nested):
    call = keras.layers.Layer.__call__
    before = nested.model(IMAGES).numpy()
    heat_maps(nested, "two", tf.constant(IMAGES), None, np.zeros(3, int))
    assert keras.layers.Layer.__call__ is call
    np.testing.assert_array_equal(before, nested.model(IMAGES).numpy())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two/wid", "--layer two/wid: no layer of that name has a map; did you mean two/wide?"),
        ("wide", "--layer wide: several end so: one/wide, two/wide"),
        ("head", "no layer of that name has a map; known: halve, norm, one, "),
    ],
)
def test_a_wrong_layer_is_told_with_the_nearest(nested, name, message):
    with pytest.raises(ConfigError) as caught:
        choose_map(nested, name)
    assert message in str(caught.value)


def test_a_layer_beside_the_way_to_the_output_is_refused():
    def two_ways(x):
        side = keras.layers.Conv2D(1, 1, name="side")(keras.layers.Reshape((1, 1, 3))(x))
        side = keras.layers.UpSampling2D(2, name="up")(side)
        return {"a": x, "b": keras.layers.Flatten()(side)}

    trained = trained_of(two_ways, {"a": "linear", "b": "linear"}, [], None)
    with pytest.raises(ConfigError, match="--layer up: nothing of it goes to the output a"):
        heat_maps(trained, "up", tf.zeros([1, 4, 4, 3]), "a", np.zeros(1, int))


def test_overlays_show_the_place():
    image = shown(np.full((4, 8, 1), 128, np.uint8))
    assert image.shape == (160, 320, 3)
    heat = np.zeros((2, 4), np.float32)
    heat[1, 3] = 5
    brightness = overlaid(image, heat).sum(axis=-1)
    y, x = np.unravel_index(brightness.argmax(), brightness.shape)
    assert y > 80 and x > 240
    assert shown(np.zeros((1000, 500, 3), np.uint8)).shape == (320, 160, 3)


WORDS = ["callbacks.progress=null", "jit=false", "duration=4st", "data.limit=64", "data.test=0.1"]


@pytest.fixture
def cnn(tmp_path, monkeypatch):
    """A run folder whose model is `functional`."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    trained = trained_model(functional())
    monkeypatch.setattr("trainer.trained_model.load_trained", lambda *_: trained)
    return run_dir


@pytest.fixture(scope="module")
def mlp(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("mlp")
    assert train(run_dir, *WORDS) == 0
    return run_dir


def test_explain_writes_pictures_and_goes_on_after_a_broken_file(cnn, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.png", "b.png", "b.bmp"):
        Image.fromarray(RNG.integers(0, 256, (20, 30), np.uint8)).save(images / name)
    (images / "cut.png").write_bytes((images / "a.png").read_bytes()[:-30])
    assert entry(["explain", str(cnn), str(images / "a.png")]) == 0
    capsys.readouterr()
    # The second time over the first.
    assert entry(["explain", str(cnn), "--class", "c", str(images)]) == 1
    printed, errors = capsys.readouterr()
    assert "Grad-CAM of second" in printed and "3 images" in printed
    assert errors.startswith(f"{images}/cut.png: cannot be read: ")
    folder = cnn / "report" / "explain"
    pictures = sorted(path.name for path in folder.glob("*.png"))
    assert pictures == ["a.png", "b.png", "b_2.png"]
    for path in (folder / "a.png", cnn / "report" / "explain.png"):
        with Image.open(path) as picture:
            assert picture.width > 300 and len(picture.getcolors(10**6)) > 100
    tags = events(folder)
    assert set(tags) == {"explain", "explain/a", "explain/b", "explain/b_2"}
    assert len(tags["explain"]) == 1


def with_chunk(path, kind, content, checksum=None):
    """Put a chunk behind the header of a PNG file."""
    png = path.read_bytes()
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    path.write_bytes(png[:33] + chunk + png[33:])


def test_what_tensorflow_alone_reads_is_shown_as_the_model_takes_it(
    cnn, tmp_path, capsys, monkeypatch, recwarn
):
    images = [tmp_path / f"{name}.png" for name in ("checksum", "text", "warned", "large", "good")]
    sides = (8, 8, 15, 30, 8)
    for path, side in zip(images, sides, strict=True):
        Image.fromarray(RNG.integers(0, 256, (side, side, 3), np.uint8)).save(path)
    with_chunk(images[0], b"tEXt", b"Comment\0text", checksum=1)
    with_chunk(images[1], b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**21)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    assert entry(["explain", str(cnn), *map(str, images)]) == 0
    printed, errors = capsys.readouterr()
    assert "5 images" in printed and not errors
    noted = [line for line in printed.splitlines() if "shown in the size" in line]
    assert [line.split()[1] for line in noted] == [f"{path}:" for path in images[:4]]
    assert not [w for w in recwarn if issubclass(w.category, Image.DecompressionBombWarning)]
    assert len(list((cnn / "report" / "explain").glob("*.png"))) == 5


def test_an_error_on_the_way_leaves_the_event_file_closed(cnn, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    closed = []
    monkeypatch.setattr(
        "trainer.report.explain_images.EventFile.close", lambda *_: closed.append(1)
    )
    monkeypatch.setattr("trainer.report.explain_images.picture", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        entry(["explain", str(cnn), str(tmp_path / "a.png")])
    assert len(closed) == 1


def test_a_file_whose_name_is_not_utf8_is_explained(cnn, tmp_path, capsys):
    path = Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"\xff.png"))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    assert entry(["explain", str(cnn), str(path)]) == 0
    assert set(events(cnn / "report" / "explain")) == {"explain", "explain/a\ufffd"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.png"], "none.png: no such file"),
        ([], "explain: give images, or --embeddings SPLIT"),
        (["--embeddings", "val", "a.png"], "a.png: --embeddings takes KEY=VALUE"),
        (["--embeddings", "val", "--layer", "a"], "--layer a: is for images"),
        (["--embeddings", "validation"], "invalid choice: 'validation'"),
        (["a.png", "--limit", "5"], "--limit 5: is for --embeddings, not for images"),
        (["--embeddings", "val", "--limit", "0"], "--limit 0: at least 1"),
        (["--embeddings", "val", "data.rot=x"], "data.rot=x: no such setting"),
    ],
)
def test_wrong_words_are_told_in_one_line(mlp, capsys, words, message):
    assert entry(["explain", str(mlp), *words]) == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.count("\n") == 1


def test_images_of_a_model_without_convolutions_or_of_no_class_are_refused(
    mlp, tmp_path, capsys, request
):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    assert entry(["explain", str(mlp), str(tmp_path / "a.png")]) == 2
    assert "has no convolution that returns a map" in capsys.readouterr().err
    cnn = request.getfixturevalue("cnn")
    assert entry(["explain", str(cnn), str(tmp_path / "a.png"), "--class", "e"]) == 2
    assert "--class e: no such class; known: a, b, c, d" in capsys.readouterr().err


def test_embeddings_are_what_the_last_dense_layer_is_given(mlp, capsys):
    assert entry(["explain", str(mlp), "--embeddings", "val", "--limit", "9"]) == 0
    assert "9 embeddings of 64 numbers, what the layer logits is given" in capsys.readouterr().out
    folder = mlp / "report" / "projector" / "val"
    arrays = build(config.load(mlp), run_dir=None).splits["val"]
    count = len(arrays["label"])
    rows = np.linspace(0, count - 1, 9).round().astype(int)
    trained = load_trained(mlp)
    x = trained.transform.evaluation({"image": arrays["image"][rows]})["image"]
    x = trained.model.flatten(x)
    for layer in trained.model.hidden:
        x = layer(x)
    np.testing.assert_allclose(np.loadtxt(folder / "tensors.tsv"), x, rtol=1e-4, atol=1e-5)

    header, *lines = [line.split("\t") for line in (folder / "metadata.tsv").open()]
    assert header[:3] == ["label", "prediction", "right"]
    best = trained.model.logits(x).numpy().argmax(axis=1)
    for line, label, predicted in zip(lines, arrays["label"][rows], best, strict=True):
        assert line[:2] == [str(label), str(predicted)]
        assert line[2] == ("yes" if label == predicted else "no")

    (embedding,) = text_format.Parse(
        (folder / "projector_config.pbtxt").read_text(), ProjectorConfig()
    ).embeddings
    assert (embedding.tensor_path, embedding.metadata_path) == ("tensors.tsv", "metadata.tsv")
    assert list(embedding.sprite.single_image_dim) == [8, 8]
    with Image.open(folder / embedding.sprite.image_path) as sprite:
        assert sprite.size == (24, 24)  # three by three
        np.testing.assert_array_equal(
            np.asarray(sprite)[8:16, 16:24], arrays["image"][rows[5]][..., 0]
        )
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1, "or TensorBoard sees no run"


def test_pictures_are_small_enough_for_a_browser(monkeypatch):
    monkeypatch.setattr(projector, "_LARGEST_SPRITE", 40)
    content, size = projector._sprite(np.zeros((17, 30, 60, 3), np.uint8))
    assert size == (4, 8)  # five a side
    assert tf.io.decode_png(content).shape == (20, 40, 3)


def test_a_link_in_the_folder_is_not_written_through(tmp_path):
    folder = report_folder(tmp_path / "run", "projector/val")
    assert folder == tmp_path / "run" / "report" / "projector" / "val"
    (folder / "metadata.tsv.partial").symlink_to(tmp_path / "mine")
    with pytest.raises(RunFolderError, match=r"metadata\.tsv\.partial: a link"):
        report_folder(tmp_path / "run", "projector/val")
