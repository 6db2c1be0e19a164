"""Images as the model will see them, with captions for every kind of label."""

import numpy as np
import tensorflow as tf
from PIL import Image

from trainer.data.data import Data
from trainer.describe.training_images import captions, training_images

CLASSES = ("cat", "dog", "bird")


def data(channels=3, **arguments):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 6, 6, channels)).astype("uint8")
    labels = rng.integers(0, 3, 12).astype("int32")
    return Data(train=(images, labels), batch_size=10, class_names=CLASSES, **arguments)


def test_captions_say_classes_shares_and_values():
    batch = {
        "label/kind": tf.constant([2, 0]),
        "label/mixed": tf.constant([[0.3, 0.7, 0.0], [1.0, 0.0, 0.0]]),
        "label/size": tf.constant([1.25, -3.0]),
        "image": tf.zeros([2, 4, 4, 1]),
    }
    assert captions(batch, CLASSES) == ["bird\ndog 0.70, cat 0.30\n1.25", "cat\ncat\n-3"]
    assert captions({"label": tf.constant([[1.0, 0.0, 1.0]])}, CLASSES) == ["cat, bird"]


def test_augmented_images_stand_below_the_stored_ones(tmp_path):
    plain = training_images(data(), tmp_path / "plain.png")
    assert plain.lines == ["6x6x3, not augmented."]
    augment = {"dark": lambda batch, key: {**batch, "image": 0.0 * batch["image"]}}
    section = training_images(
        data(augment=augment, mean=[0.5] * 3, std=[0.25] * 3), tmp_path / "dark.png"
    )
    assert "stored above, augmented below" in section.lines[0]
    assert "minus 0.500, 0.500, 0.500, divided by 0.250" in section.lines[1]
    with Image.open(tmp_path / "dark.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    upper, lower = np.array_split(pixels, 2)
    # Images before they are standardised: black ones are black.
    assert (lower < 10).mean() > 0.5 > (upper < 10).mean()


def test_what_cannot_be_drawn_is_said(tmp_path):
    section = training_images(data(channels=5), tmp_path / "no.png")
    assert section.lines == ["No picture: the images have 5 channels."]
    rows = Data(train=(np.zeros((8, 3), "float32"), np.zeros(8, "int32")), batch_size=4)
    assert training_images(rows, tmp_path / "no.png").lines == ["None: the data has no images."]
    assert not list(tmp_path.iterdir())
