import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from trainer.data.decoding import decode, decode_with_pillow

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, size=(13, 22, 3)).repeat(3, 0).repeat(3, 1).astype(np.uint8)
SIZE = PIXELS.shape[:2]
COLOUR = Image.fromarray(PIXELS)
GREY = COLOUR.convert("L")
ALPHA = Image.fromarray(np.dstack([PIXELS, RNG.integers(0, 256, SIZE).astype(np.uint8)]))
DEEP = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256 + 7)


def file_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


FILES = {
    "jpeg": file_of(COLOUR, "JPEG"),
    "jpeg grey": file_of(GREY, "JPEG"),
    "jpeg progressive": file_of(COLOUR, "JPEG", progressive=True, subsampling=1),
    "jpeg cmyk": file_of(COLOUR.convert("CMYK"), "JPEG"),
    "png": file_of(COLOUR, "PNG"),
    "png grey": file_of(GREY, "PNG"),
    "png alpha": file_of(ALPHA, "PNG"),
    "png grey alpha": file_of(ALPHA.convert("LA"), "PNG"),
    "png palette": file_of(COLOUR.convert("P"), "PNG"),
    "png 1 bit": file_of(GREY.convert("1"), "PNG"),
    "png 16 bits": file_of(DEEP, "PNG"),
    "png transparent colour": file_of(
        COLOUR, "PNG", transparency=tuple(int(v) for v in PIXELS[0, 0])
    ),
    "webp": file_of(COLOUR, "WEBP"),
    "webp lossless": file_of(COLOUR, "WEBP", lossless=True),
    "webp alpha": file_of(ALPHA, "WEBP"),
    "gif": file_of(COLOUR, "GIF"),
    "bmp": file_of(COLOUR, "BMP"),
    "bmp palette": file_of(COLOUR.convert("P"), "BMP"),
}


def traced(contents, size, channels, **arguments):
    return tf.function(lambda c: decode(c, size, channels, **arguments))(tf.constant(contents))


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("channels", [1, 3])
def test_decode_gives_the_pixels_of_pillow(kind, channels):
    pixels = traced(FILES[kind], SIZE, channels)
    assert pixels.shape == (*SIZE, channels) and pixels.dtype == tf.uint8
    np.testing.assert_array_equal(pixels, decode_with_pillow(FILES[kind], SIZE, channels))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "png alpha"])
@pytest.mark.parametrize("size", [(17, 20), (50, 90), (39, 20)])
def test_decode_resizes_as_pillow_does_to_within_one_level(kind, size):
    expected = decode_with_pillow(FILES[kind], size, 3).astype(int)
    np.testing.assert_allclose(np.asarray(traced(FILES[kind], size, 3), int), expected, atol=1)


@pytest.mark.parametrize(
    "contents",
    [b"", b"x", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
    + [FILES[kind][: len(FILES[kind]) // 2] for kind in ("jpeg", "png", "webp", "gif")],
)
def test_decode_fails_on_what_is_no_whole_image(contents):
    with pytest.raises(tf.errors.OpError):
        traced(contents, SIZE, 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["jpeg", "jpeg grey", "jpeg cmyk"])
def test_decode_of_what_is_known_to_be_uniform_is_the_same(kind, channels):
    np.testing.assert_array_equal(
        traced(FILES[kind], SIZE, channels, uniform=True), traced(FILES[kind], SIZE, channels)
    )


@pytest.mark.parametrize("kind", ["jpeg", "gif", "webp"])
def test_decode_of_what_is_not_uniform_after_all_fails(kind):
    with pytest.raises(tf.errors.OpError):
        traced(FILES[kind], (5, 5), 3, uniform=True)
