"""Pictures of names that the font lacks are drawn without a word."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from trainer.data.class_distribution import class_distribution, plot_class_distribution
from trainer.event_files import EventFile
from trainer.report.figures import pixels, png
from trainer.report.grad_cam_pictures import Explanation, picture

LACKING = "\N{CJK UNIFIED IDEOGRAPH-732B}"


def named():
    figure = Figure(figsize=(2, 1))
    figure.suptitle(LACKING)
    return figure


def into_an_event_file(folder):
    events = EventFile(folder)
    events.figure("a", 0, named())
    events.close()


def class_sizes(folder):
    splits = {"train": {"label": np.array([0, 1], np.int32)}}
    plot_class_distribution(class_distribution(splits, ["a", LACKING]), folder / "a.png")


def explanation(_):
    image = np.zeros((8, 8, 3), np.uint8)
    picture(Explanation("a.png", LACKING, image, image), "last")


DRAWN = {
    "a file": lambda _: png(named()),
    "pixels": lambda _: pixels(named()),
    "an event file": into_an_event_file,
    "class sizes": class_sizes,
    "explain": explanation,
}


@pytest.mark.parametrize("way", DRAWN)
def test_characters_that_the_font_lacks_are_no_warnings(way, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DRAWN[way](tmp_path)


def test_other_warnings_are_seen():
    figure = named()
    figure.savefig = lambda *_, **__: warnings.warn("of another kind", stacklevel=1)
    with pytest.warns(UserWarning, match="of another kind"):
        png(figure)
