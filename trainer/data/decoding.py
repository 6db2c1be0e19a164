"""The bytes of an image file to pixels: the same code whether they are kept or read again.

TensorFlow decodes what is common (JPEG, plain PNG and plain WebP) without Python's interpreter
lock; Pillow decodes the rest. Both use the same libraries, and give the same pixels.

Only the first frame of an animation is read, and an EXIF orientation is not applied (as in Keras).
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")

# Named, because Pillow goes by content: a ".jpg" that is PostScript would start Ghostscript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")

HEAD_SIZE = 26  # bytes that tell the type of an image

VERSION = 1  # to be raised where the same file gives other pixels than before


class ImageHeader(NamedTuple):
    """What a file says of its image: size in pixels, whether it is grey, and whether a JPEG."""

    height: int
    width: int
    grey: bool
    is_jpeg: bool


def read_header(path: str | Path) -> ImageHeader | None:
    """Return the header of an image without decoding it, None if that cannot be read.

    An image is grey by its file's type (1, 8 or 16 bits of grey, with or without alpha), not by its
    pixels; an image with a palette counts as colour.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
            return ImageHeader(image.height, image.width, grey, image.format == "JPEG")
    except MemoryError:
        raise
    # A broken file makes Pillow raise OSError, SyntaxError, ValueError, EOFError, struct.error and
    # more, depending on where it is broken.
    except Exception:
        return None


def decode(
    contents: tf.Tensor, image_size: tuple[int, int], channels: int, uniform: bool = False
) -> tf.Tensor:
    """Decode an image; traced.

    Grey becomes colour by repeating it, colour becomes grey by luma (ITU-R 601-2). What is
    transparent is laid on white, as a viewer would show it. 16-bit grey keeps its upper 8 bits. An
    image of another size is resized, bilinear with antialiasing; its aspect ratio is not kept.

    Args:
        contents: string scalar, the bytes of the file.
        image_size: (height, width) of the result.
        channels: 1 or 3.
        uniform: True where the image is known to be a JPEG of this size. To find it out for each
            takes a third of the time for images of 32x32.

    Returns:
        uint8 [height, width, channels]. An image that cannot be read is an error of the op.
    """

    def jpeg() -> tf.Tensor:
        # The default of dct_method is faster by a few percent, and inaccurate.
        rgb = tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")
        return _in_channels(rgb, channels)

    def png_or_other() -> tf.Tensor:
        # 8 bits, grey or colour: no palette, no alpha. The chunk "tRNS" makes one colour
        # transparent; where these letters turn up in the pixels, Pillow decodes: no harm done.
        is_png = _starts(contents, {0: [b"\x89PNG\r\n\x1a\n"], 24: [b"\x08\x00", b"\x08\x02"]})
        is_plain = is_png & ~tf.strings.regex_full_match(contents, r"\C*tRNS\C*")
        return tf.cond(is_plain, png, webp_or_other)

    def png() -> tf.Tensor:
        return _in_channels(tf.io.decode_png(contents, channels=3), channels)

    def webp_or_other() -> tf.Tensor:
        # "VP8 " is the plain kind: colour without transparency, one frame.
        is_plain = _starts(contents, {0: [b"RIFF"], 8: [b"WEBPVP8 "]})
        return tf.cond(is_plain, webp, other)

    def webp() -> tf.Tensor:
        rgb = tf.raw_ops.DecodeWebP(contents=contents, channels=3)[0]  # its first frame
        return _in_channels(rgb, channels)

    def other() -> tf.Tensor:
        def pixels(contents: bytes) -> np.ndarray:
            return decode_with_pillow(contents, image_size, channels)

        return tf.numpy_function(pixels, [contents], tf.uint8, stateful=False)

    if uniform:
        return tf.ensure_shape(jpeg(), [*image_size, channels])
    is_jpeg = tf.equal(tf.strings.substr(contents, 0, 3), b"\xff\xd8\xff")
    pixels = tf.cond(is_jpeg, jpeg, png_or_other)
    pixels.set_shape([None, None, channels])
    fits = tf.reduce_all(tf.equal(tf.shape(pixels)[:2], image_size))
    pixels = tf.cond(fits, lambda: pixels, lambda: resize(pixels, image_size))
    return tf.ensure_shape(pixels, [*image_size, channels])


def decode_with_pillow(contents: bytes, image_size: tuple[int, int], channels: int) -> np.ndarray:
    """Decode an image of any kind: uint8 [height, width, channels]; see `decode`.

    Raises:
        Exception: of many kinds, where the image cannot be read.
    """
    height, width = image_size
    with Image.open(io.BytesIO(contents), formats=FORMATS) as opened:
        image = _to_mode(opened, "L" if channels == 1 else "RGB")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.array(image).reshape(height, width, channels)


def _starts(contents: tf.Tensor, pattern: dict[int, list[bytes]]) -> tf.Tensor:
    """Whether a file has one of the given parts at each given place near its start."""
    head = tf.strings.substr(contents, 0, HEAD_SIZE)
    padded = tf.strings.join([head, HEAD_SIZE * b"\0"])  # a file may be shorter than that
    found = tf.constant(True)
    for place, choices in pattern.items():
        part = tf.strings.substr(padded, place, len(choices[0]))
        found &= tf.reduce_any(tf.equal(part, choices))
    return found


def _in_channels(rgb: tf.Tensor, channels: int) -> tf.Tensor:
    """Return uint8 [H, W, 3] as it is or, for one channel, as luma in Pillow's integers."""
    if channels == 3:
        return rgb
    luma = tf.reduce_sum(tf.cast(rgb, tf.int32) * [19595, 38470, 7471], axis=2, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(luma + 0x8000, 16), tf.uint8)


def resize(pixels: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Resize an image uint8 [H, W, C], bilinear with antialiasing; traced."""
    resized = tf.image.resize(pixels, image_size, antialias=True)  # float32
    return tf.saturate_cast(tf.round(resized), tf.uint8)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.has_transparency_data:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        image = ground
    return image if image.mode == mode else image.convert(mode)
