"""Figures as files and as pixels, drawn without a display."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LONGEST_NAME = 24  # of a class in a picture, in characters
_LONGEST_SIDE = 1600  # of a picture in an event file, in pixels


def png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    content = io.BytesIO()
    with _silent_about_glyphs():
        figure.savefig(content, format="png")
    return content.getvalue()


def pixels(figure: Figure) -> np.ndarray:
    """Return a figure as uint8 [H, W, 3], as TensorBoard takes it."""
    dpi = figure.dpi
    figure.set_dpi(min(dpi, _LONGEST_SIDE / max(figure.get_size_inches())))
    canvas = FigureCanvasAgg(figure)
    with _silent_about_glyphs():
        canvas.draw()
    figure.set_dpi(dpi)
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def shortened(name: str) -> str:
    """Return a name as it fits beside an axis, and so that matplotlib finds no formula in it."""
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return short.replace("$", r"\$")


@contextmanager
def _silent_about_glyphs() -> Iterator[None]:
    """Let characters that the font lacks, as a class' name may have, be boxes and no warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        yield
