"""Pictures of Grad-CAM: the image beside itself under its heat map."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from trainer.report.figures import png

IN_GRID = 36  # explanations in the picture of them all
_SIDE = 320  # pixels of the longer side of a shown image
_COVER = 0.5  # how much of the colour of the heat is seen, and how much of the image
_GAP = 8  # pixels between the image and its overlay, in the grid


@dataclass(frozen=True)
class Explanation:
    """What there is to see of one image.

    Args:
        file: its name, to be shown.
        title: what was predicted, and for what the heat map speaks.
        image: uint8 [H, W, 3].
        overlay: uint8 [H, W, 3], the same under its heat map.
    """

    file: str
    title: str
    image: np.ndarray
    overlay: np.ndarray


def shown(pixels: np.ndarray) -> np.ndarray:
    """Return an image uint8 [H, W, 1 or 3] as uint8 [H', W', 3] of a size that is good to see.

    Small ones are magnified by whole pixels, so that these are seen.
    """
    longer = max(pixels.shape[:2])
    if longer <= _SIDE:
        factor = max(1, _SIDE // longer)
        pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    else:
        size = [max(1, round(side * _SIDE / longer)) for side in pixels.shape[:2]]
        pixels = np.clip(np.round(tf.image.resize(pixels, size, antialias=True)), 0, 255)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.uint8)


def overlaid(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image under its heat map, uint8 [H, W, 3].

    The colours go from dark blue for none to yellow for the most: brighter is more.

    Args:
        image: uint8 [H, W, 3].
        heat: float32 [h, w], at least 0; without any, all is dark.
    """
    size = image.shape[:2]
    heat = tf.image.resize(heat[..., np.newaxis], size, "bicubic").numpy()[..., 0]
    heat = np.clip(heat, 0, None)
    colours = matplotlib.colormaps["plasma"](heat / max(heat.max(), 1e-30))[..., :3]
    mixed = (1 - _COVER) * image / 255 + _COVER * colours
    return np.round(255 * mixed).astype(np.uint8)


def picture(explanation: Explanation, layer: str) -> bytes:
    """Return a PNG of one image, its overlay beside it.

    Args:
        explanation: of the image.
        layer: whose map it is.
    """
    height, width = explanation.image.shape[:2]
    figure = Figure(figsize=(8, 1.2 + 3.8 * min(2.0, height / width)), dpi=110)
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(explanation.image)
    left.set_title(_cut(explanation.file, 48), fontsize=9, parse_math=False)
    right.imshow(explanation.overlay)
    right.set_title(f"Grad-CAM of {_cut(layer, 40)}", fontsize=9, parse_math=False)
    for axes in (left, right):
        axes.set_axis_off()
    figure.suptitle(_cut(explanation.title, 80), parse_math=False)
    return png(figure)


def grid(explanations: Sequence[Explanation], layer: str) -> bytes:
    """Return a PNG of several images, each beside its overlay.

    Args:
        explanations: at most `IN_GRID` are shown well.
        layer: whose map it is.
    """
    num_columns = max(1, min(4, math.ceil(math.sqrt(len(explanations) / 2))))
    num_rows = math.ceil(len(explanations) / num_columns)
    figure = Figure(figsize=(4.2 * num_columns, 0.6 + 2.5 * num_rows), dpi=90)
    figure.set_layout_engine("constrained")
    cells = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes, explanation in zip(cells, explanations, strict=False):
        gap = np.full((explanation.image.shape[0], _GAP, 3), 255, np.uint8)
        axes.imshow(np.hstack([explanation.image, gap, explanation.overlay]))
        text = f"{_cut(explanation.file, 40)}\n{_cut(explanation.title, 44)}"
        axes.set_title(text, fontsize=8, parse_math=False)
    for axes in cells:
        axes.set_axis_off()
    figure.suptitle(f"Grad-CAM of {_cut(layer, 60)}", fontsize=10, parse_math=False)
    return png(figure)


def _cut(text: str, length: int) -> str:
    # The end tells more than the beginning: the file in its folders, the layer in its blocks.
    return text if len(text) <= length else f"…{text[1 - length :]}"
