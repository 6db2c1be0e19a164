"""Image files to uint8 arrays, with Pillow on a thread pool.

The result does not depend on the number of threads: every image has its own row. Only the first
frame of an animation is read, and an EXIF orientation is not applied (as in Keras).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")

# Named, because Pillow goes by content: a ".jpg" that is PostScript would start Ghostscript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")

# Handing over one image at a time would cost as much as decoding a small one.
CHUNK = 256

SMALL_IMAGE = 64 * 64  # pixels


class ImageHeader(NamedTuple):
    """What a file says of its image: size in pixels, and whether it is grey."""

    height: int
    width: int
    grey: bool


def read_header(path: Path) -> ImageHeader | None:
    """Return the header of an image without decoding it, None if that cannot be read.

    An image is grey by its file's type (1, 8 or 16 bits of grey, with or without alpha), not by its
    pixels; an image with a palette counts as colour.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            return _header(image)
    except MemoryError:
        raise
    except Exception:  # see decode_images
        return None


def num_threads_for(height: int, width: int) -> int:
    """Return how many threads decode images of this size fastest.

    Pillow leaves Python's interpreter lock only while it decodes. At 32x32 that is so short that
    threads mostly wait for each other (measured on two cores: 145 us an image with one thread, 210
    us with two); from about 64x64 on they gain.
    """
    return 1 if height * width <= SMALL_IMAGE else min(8, os.cpu_count() or 1)


def decode_images(
    paths: Sequence[Path], image_size: tuple[int, int], channels: int, num_threads: int
) -> tuple[np.ndarray, list[ImageHeader], list[str]]:
    """Decode images into one array.

    Grey becomes colour by repeating it, colour becomes grey by luma (ITU-R 601-2). What is
    transparent is laid on white, as a viewer would show it. 16-bit grey keeps its upper 8 bits. An
    image of another size is resized, bilinear with antialiasing; its aspect ratio is not kept.

    Args:
        paths: The files; image k is row k.
        image_size: (height, width) of the result.
        channels: 1 or 3.
        num_threads: At least 1; the result does not depend on it (see `num_threads_for`).

    Returns:
        images: uint8 [N, height, width, channels]; rows of unreadable files are undefined.
        headers: The headers of the files that could be read, in order.
        failures: One text, "path (kind of error)", for each file that could not be read.
    """
    images = np.empty((len(paths), *image_size, channels), np.uint8)

    def decode(rows: range) -> list[ImageHeader | str]:
        results: list[ImageHeader | str] = []
        for k in rows:
            try:
                with Image.open(paths[k], formats=FORMATS) as image:
                    header = _header(image)
                    images[k] = _pixels(image, image_size, channels)
                results.append(header)
            except MemoryError:
                raise
            # A broken file makes Pillow raise OSError, SyntaxError, ValueError, EOFError,
            # struct.error and more, depending on where it is broken.
            except Exception as error:
                results.append(f"{paths[k]} ({type(error).__name__})")
        return results

    chunks = [range(start, min(start + CHUNK, len(paths))) for start in range(0, len(paths), CHUNK)]
    with ThreadPoolExecutor(num_threads) as pool:
        results = [result for chunk in pool.map(decode, chunks) for result in chunk]
    headers = [result for result in results if isinstance(result, ImageHeader)]
    return images, headers, [result for result in results if isinstance(result, str)]


def _header(image: Image.Image) -> ImageHeader:
    grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
    return ImageHeader(image.height, image.width, grey)


def _pixels(image: Image.Image, image_size: tuple[int, int], channels: int) -> np.ndarray:
    height, width = image_size
    image = _to_mode(image, "L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    return image if image.mode == mode else image.convert(mode)
