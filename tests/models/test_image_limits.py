"""Tests of image limits: files with costly segments are refused at once, and all others are counted correctly."""

import struct
import time
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from models.preprocess.errors import InvalidImage
from models.preprocess.image_decoding import decode_image
from models.preprocess.image_limits import MAX_SCANS, MAX_SEGMENTS, count_jpeg_scans
from tests.images import encode, gradient_image, noisy_image, png, png_chunk, progressive_jpeg

PIXELS = 25_000_000
SECONDS = 0.7
"""Of a processor that others may be using too: without a bound these take from two seconds to an hour."""

JPEG = encode(gradient_image(), "JPEG", progressive=True)
PLAIN = encode(gradient_image(), "JPEG")
FIRST_SCAN = JPEG.index(b"\xff\xda")
PROFILE = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000)))


def segment(marker: int, data: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def decoded(file: bytes, max_pixels: int = PIXELS) -> Image.Image:
    return decode_image(file, max_pixels=max_pixels, transparency="white")


def grey_png(before: bytes) -> bytes:
    return png(4, 4, color_type=0, rows=bytes(5 * 4), extra_chunks=before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: progressive_jpeg(Image.new("L", (5_000, 5_000)), 400_000),
        lambda: progressive_jpeg(Image.new("L", (1, 65_500)), 4_000),
        lambda: JPEG[:2] + segment(0xFE) * 4_000_000 + JPEG[2:],
        lambda: JPEG[:-2] + segment(0xFE) * 4_000_000 + JPEG[-2:],
        lambda: JPEG[:2] + b"\xff" * 16_000_000 + JPEG[2:],
        lambda: JPEG[:FIRST_SCAN] + bytes(16_000_000) + JPEG[FIRST_SCAN:],
        lambda: JPEG[:FIRST_SCAN] + b"\xff\xd0" * 8_000_000 + JPEG[FIRST_SCAN:],
        lambda: JPEG[:-2] + b"\xff" * 16_000_000 + JPEG[-2:],
        lambda: JPEG[:2] + b"\xff\xd9" * 8_000_000 + JPEG[2:],
        lambda: JPEG[:2] + segment(0xCC, segment(0xDA)) + bytes(16_000_000) + JPEG[2:],
        lambda: grey_png(png_chunk(b"aaAa") * 1_300_000),
        lambda: grey_png(PROFILE * 16_000),
    ],
    ids=["scans", "thin", "segments", "late", "fill", "between", "restarts", "late-fill", "ends", "two-ways", "chunks",
         "profiles"],
)  # fmt: skip
def test_image_that_costs_more_than_its_pixels_is_refused(make: Callable[[], bytes]) -> None:
    file = make()
    began = time.process_time()
    with pytest.raises(InvalidImage):
        decoded(file)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    ("file", "scans"),
    [
        (PLAIN, 1),
        (JPEG, 10),
        (encode(gradient_image().convert("L"), "JPEG", progressive=True), 6),
        (encode(noisy_image(300, 200), "JPEG", quality=100, restart_marker_blocks=1), 1),
        (PLAIN[:2] + segment(0xE1, JPEG) + PLAIN[2:], 1),
        (PLAIN[:2] + b"\xff\xff" + PLAIN[2:] + JPEG, 1),
        (progressive_jpeg(gradient_image(), 90), 100),
        (PLAIN[:-2], 1),
        (b"\xff\xd8\xff", 0),
    ],
    ids=["plain", "progressive", "gray", "restarts", "thumbnail", "burst", "many", "cut off", "nothing"],
)
def test_scans_are_counted(file: bytes, scans: int) -> None:
    assert count_jpeg_scans(file) == scans


def test_small_image_may_have_many_scans() -> None:
    file = progressive_jpeg(gradient_image(), 90)
    assert decoded(file).size == (48, 32)
    with pytest.raises(InvalidImage, match="100 scans"):
        decoded(file, max_pixels=48 * 32)
    assert decoded(progressive_jpeg(gradient_image(), MAX_SCANS - 10), max_pixels=48 * 32).size == (48, 32)


def test_file_of_many_parts_is_still_one() -> None:
    assert decoded(grey_png(PROFILE + png_chunk(b"aaAa") * 10_000)).size == (4, 4)
    assert decoded(JPEG[:2] + segment(0xFE) * (MAX_SEGMENTS // 2) + JPEG[2:]).size == (48, 32)


def test_tokens_after_the_end_token_are_ignored() -> None:
    """Some cameras fill their files up."""
    for file in (JPEG, PLAIN):
        assert decoded(file + b"\xff" * 100_000).tobytes() == decoded(file).tobytes()
