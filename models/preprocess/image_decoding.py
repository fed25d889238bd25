"""Decoding of image files to upright 8-bit RGB; the bytes determine the format, not a file name.

Only three of Pillow's decoders are used, and only if the size in the header and the cost of decoding it are within the
limit. The first frame of an animation is used. Color profiles are not applied: pixels are assumed to be sRGB.
"""

import struct
import zlib
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.artifact.specs import Transparency
from models.preprocess.errors import InvalidImage, TooManyPixels, UnsupportedImageFormat
from models.preprocess.image_limits import check_jpeg_scans, check_png_chunks, count_jpeg_scans

_PILLOW_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    EOFError,
    AssertionError,
    struct.error,
    zlib.error,
)
"""Errors that Pillow raises for broken files: each decoder has its own."""

_UNSUPPORTED_SIGNATURES: Final = (
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"8BPS",
    b"\0\0\1\0",
    b"\xff\x0a",
    b"<svg",
    b"<?xml",
    b"%PDF",
)
"""Signatures of known formats that are not supported: GIF, BMP, TIFF, PSD, ICO, JPEG XL, SVG."""

_ORIENTATION: Final = 0x0112
_TRANSPOSE_BY_ORIENTATION: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that sets each EXIF orientation upright."""


def decode_image(data: bytes, *, max_pixels: int, transparency: Transparency) -> Image.Image:
    """Decode the image in `data`: upright, RGB, full size. Raises ImageDecodeError.

    A JPEG is never decoded at a fraction of its size, however large: that is up to 11 levels of 255 off.
    """
    decoder = _decoder_for(data)
    scans = count_jpeg_scans(data) if decoder is JpegImageFile else 0
    if decoder is PngImageFile:
        check_png_chunks(data)
    try:
        image = decoder(BytesIO(data))
    except Image.DecompressionBombError as error:
        raise TooManyPixels("the image has too many pixels") from error
    except _PILLOW_ERRORS as error:
        raise InvalidImage("the image header is corrupt") from error
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(f"the image has {width * height} pixels (maximum {max_pixels})")
    check_jpeg_scans(scans, width, height, max_pixels)
    try:
        image.load()
        rgb = _to_rgb(image, transparency)
    except _PILLOW_ERRORS as error:
        raise InvalidImage("the image is corrupt or truncated") from error
    orientation = _exif_orientation(image)
    return rgb.transpose(_TRANSPOSE_BY_ORIENTATION[orientation]) if orientation in _TRANSPOSE_BY_ORIENTATION else rgb


def _decoder_for(data: bytes) -> type[ImageFile]:
    """Return the decoder of the format that `data` starts with.

    Not `Image.open`: it makes a stereo or burst file (MPO) of a JPEG, and has a size limit of its own that is the
    whole process'.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    if data.startswith(_UNSUPPORTED_SIGNATURES) or data[4:8] == b"ftyp":  # HEIC and AVIF
        raise UnsupportedImageFormat("unsupported image format (supported: JPEG, PNG, WebP)")
    raise InvalidImage("the bytes are not an image")


def _to_rgb(image: Image.Image, transparency: Transparency) -> Image.Image:
    if image.mode == "P" and image.palette is None:
        raise ValueError("a PNG of palette indices has no palette")  # Pillow takes it for granted, and asserts it
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits to 8: all but the darkest would be white.
        gray = np.asarray(image, dtype=np.float32) / 257
        return Image.fromarray(gray.round().astype(np.uint8)).convert("RGB")
    if transparency == "white" and image.has_transparency_data:
        return _composite_on_white(image)
    if transparency == "dropped" or isinstance(image.info.get("transparency"), bytes):
        # Pillow warns of a palette's transparency that is lost, which is what was asked for.
        image.info.pop("transparency", None)
    rgb = image if image.mode == "RGB" else image.convert("RGB")  # converting would copy all of a large image
    return _composite_on_white(rgb) if rgb.has_transparency_data else rgb


def _composite_on_white(image: Image.Image) -> Image.Image:
    opaque = Image.new("RGBA", image.size, "white")
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque.convert("RGB")


def _exif_orientation(image: Image.Image) -> int:
    """Return EXIF's orientation; 1 (upright) if there is none that can be read."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _PILLOW_ERRORS:
        return 1
    return found if isinstance(found, int) else 1
