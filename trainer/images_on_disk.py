"""Image files that a user names: found in folders and by patterns, read as a run read its own."""

import glob
import io
import math
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from trainer.config import ConfigError
from trainer.data.decoding import FORMATS, SUFFIXES, decode, decode_with_pillow
from trainer.data.image_files import num_threads
from trainer.printable import printable as _printable

_KINDS = "PNG, JPEG, BMP, GIF or WebP"


def find_images(words: Sequence[str]) -> list[str]:
    """Return the image files that words name, each once.

    A file is taken whatever its name; folders are walked with all that are in them, and patterns
    with `*`, `?`, `[...]` or `**` matched, both in sorted order. In these, files whose name does
    not end as an image's does are left out, as is what begins with a dot.

    Args:
        words: files, folders and patterns; `~` is expanded.

    Raises:
        ConfigError: if a word names nothing, or a folder that holds no image.
    """
    found: dict[str, None] = {}
    for word in words:
        try:
            paths = _of_word(word)
        except (OSError, RuntimeError) as error:  # a name too long; no home of `~`
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"{word}: cannot be read ({reason})") from error
        found |= dict.fromkeys(map(os.path.normpath, paths))
    return list(found)


def read_images(
    paths: Sequence[str], image_size: tuple[int, int], channels: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read images in order, a few at a time; those that cannot be read are left out.

    Args:
        paths: of the files.
        image_size: (height, width) that they are resized to.
        channels: 1 or 3.
        batch_size: images at a time.

    Yields:
        int64 [B], places in `paths`, and pixels, uint8 [B, height, width, channels].
    """
    names = tf.constant([os.fsencode(path) for path in paths])

    def read(row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return row, decode(tf.io.read_file(names[row]), image_size, channels)

    images = tf.data.Dataset.range(len(paths)).map(read, num_threads(), deterministic=True)
    yield from images.ignore_errors().batch(batch_size).prefetch(1).as_numpy_iterator()


def why_unreadable(path: str) -> str:
    """Return why an image cannot be read, in a few words."""
    try:
        decode_with_pillow(Path(path).read_bytes(), (1, 1), 3)
    except UnidentifiedImageError:
        return f"no image, or its beginning is damaged ({_KINDS} are read)"
    except Exception as error:  # of many kinds, see decoding.read_header
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return " ".join(reason.split())
    return "damaged, or of a kind that TensorFlow cannot decode"


def pixels_as_they_are(path: str, channels: int) -> np.ndarray:
    """Return an image in its own size: uint8 [H, W, channels].

    Raises:
        Exception: of many kinds, where Pillow cannot read it or finds it too large. It refuses some
            files that TensorFlow reads.
    """
    contents = Path(path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is an error below
        with Image.open(io.BytesIO(contents), formats=FORMATS) as image:
            width, height = image.size
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise ValueError(f"{width} x {height} pixels are too many")
    return decode_with_pillow(contents, (height, width), channels)


def printable(text: str) -> str:
    """Return a file's or a class' name to be shown: no control characters or broken encodings."""
    return _printable(text, instead="\N{REPLACEMENT CHARACTER}")


def _of_word(word: str) -> list[str]:
    path = Path(word).expanduser()
    if path.is_dir():
        inside = _inside(path)
        if not inside:
            raise ConfigError(f"{word}: no images in this folder ({', '.join(SUFFIXES)})")
        return inside
    if path.is_file():
        return [str(path)]
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{word}: neither a file nor a folder")
    if not glob.has_magic(word):
        raise ConfigError(f"{word}: no such file or folder")
    found = []
    # `Path.glob` takes no absolute patterns.
    for match in map(Path, sorted(glob.glob(str(path), recursive=True))):  # noqa: PTH207
        if match.is_dir():
            found += _inside(match)
        elif match.is_file() and _is_image(match.name):
            found.append(str(match))
    if not found:
        raise ConfigError(f"{word}: no image matches this pattern ({', '.join(SUFFIXES)})")
    return found


def _inside(folder: Path) -> list[str]:
    def refuse(error: OSError) -> None:
        raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from error

    found, been = [], set[str]()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # Links to folders are followed, as in `class_folder`, but not round and round.
        if (real := os.path.realpath(parent)) in been:
            folders.clear()
            continue
        been.add(real)
        paths = [f"{parent}/{name}" for name in names if _is_image(name)]
        found += [path for path in paths if not _is_other(path)]
    return sorted(found)


def _is_other(path: str) -> bool:
    """Return whether it is a pipe, which would be waited for, a folder or the like.

    What cannot be looked at, such as a broken link, is none: reading it tells of it.
    """
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
