"""Image files of every kind that a client may send, made in memory."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from models.artifact.arrays import Pixels


def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def to_data_url(file: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


def encode_pixels(pixels: Pixels) -> bytes:
    """`[y, x, 3]` as a PNG file."""
    return encode(Image.fromarray(pixels))


def gradient_image(width: int = 48, height: int = 32) -> Image.Image:
    """An image without symmetry: red to the right, green downwards, a blue corner at top left."""
    pixels: Pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    pixels[: height // 4, : width // 4, 2] = 255
    return Image.fromarray(pixels)


def noisy_image(width: int, height: int) -> Image.Image:
    """The same with noise in it, so that a px to the left, or another filter, is seen."""
    noise = np.random.default_rng(0).integers(0, 128, (height, width, 3))
    return Image.fromarray((np.asarray(gradient_image(width, height)) // 2 + noise).astype(np.uint8))


def png_with_orientation(image: Image.Image, orientation: int) -> bytes:
    """A PNG that holds `image` as it is, and says in EXIF how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, "PNG", exif=exif)


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, color_type: int, rows: bytes, extra_chunks: bytes = b"") -> bytes:
    """A PNG file by hand: of 8 bits, `color_type` as the format numbers its kinds, and other chunks `extra_chunks` its
    rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra_chunks + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""
    return png(width, height, color_type=2, rows=b"\0")


PNG_WITHOUT_PALETTE = png(4, 4, color_type=3, rows=bytes(5 * 4))
"""Indices into a palette that is not there."""


def progressive_jpeg(image: Image.Image, extra_scans: int) -> bytes:
    """A progressive JPEG whose last scan comes `extra_scans` times again: 42 bytes each, over all of the image."""
    file = encode(image, "JPEG", progressive=True)
    last = file[file.rindex(b"\xff\xda") : -2]
    return file[:-2] + extra_scans * last + file[-2:]


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG that claims a size and holds none of it."""
    file = encode(gradient_image(), "JPEG")
    offset = file.index(b"\xff\xc0") + 5  # of the frame: marker, length, precision
    return file[:offset] + struct.pack(">HH", height, width) + file[offset + 4 :]
