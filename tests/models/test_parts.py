"""Files whose parts would cost more than their pixels are refused at once, and all others are counted right."""

import struct
import time
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from models.preprocess.decoding import decode
from models.preprocess.errors import NotAnImage
from models.preprocess.parts import MOST_PARTS, MOST_SCANS, jpeg_scans
from tests.pictures import encoded, png, png_chunk, rough, scanned, scene

PIXELS = 25_000_000
SECONDS = 0.7
"""Of a processor that others may be using too: without a bound these take from two seconds to an hour."""

JPEG = encoded(scene(), "JPEG", progressive=True)
PLAIN = encoded(scene(), "JPEG")
FIRST_SCAN = JPEG.index(b"\xff\xda")
PROFILE = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000)))


def segment(marker: int, data: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def decoded(file: bytes, max_pixels: int = PIXELS) -> Image.Image:
    return decode(file, max_pixels=max_pixels, transparency="white")


def grey_png(before: bytes) -> bytes:
    return png(4, 4, colours=0, rows=bytes(5 * 4), before=before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: scanned(Image.new("L", (5_000, 5_000)), 400_000),
        lambda: scanned(Image.new("L", (1, 65_500)), 4_000),
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
def test_what_costs_more_than_its_pixels_is_no_image(make: Callable[[], bytes]) -> None:
    file = make()
    began = time.process_time()
    with pytest.raises(NotAnImage):
        decoded(file)
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    ("file", "scans"),
    [
        (PLAIN, 1),
        (JPEG, 10),
        (encoded(scene().convert("L"), "JPEG", progressive=True), 6),
        (encoded(rough(300, 200), "JPEG", quality=100, restart_marker_blocks=1), 1),
        (PLAIN[:2] + segment(0xE1, JPEG) + PLAIN[2:], 1),
        (PLAIN[:2] + b"\xff\xff" + PLAIN[2:] + JPEG, 1),
        (scanned(scene(), 90), 100),
        (PLAIN[:-2], 1),
        (b"\xff\xd8\xff", 0),
    ],
    ids=["plain", "progressive", "grey", "restarts", "thumbnail", "burst", "many", "cut off", "nothing"],
)
def test_scans_are_counted(file: bytes, scans: int) -> None:
    assert jpeg_scans(file) == scans


def test_a_small_picture_may_have_many_scans() -> None:
    file = scanned(scene(), 90)
    assert decoded(file).size == (48, 32)
    with pytest.raises(NotAnImage, match="100 scans"):
        decoded(file, max_pixels=48 * 32)
    assert decoded(scanned(scene(), MOST_SCANS - 10), max_pixels=48 * 32).size == (48, 32)


def test_a_file_of_many_parts_is_still_one() -> None:
    assert decoded(grey_png(PROFILE + png_chunk(b"aaAa") * 10_000)).size == (4, 4)
    assert decoded(JPEG[:2] + segment(0xFE) * (MOST_PARTS // 2) + JPEG[2:]).size == (48, 32)


def test_what_stands_behind_the_end_is_not_counted() -> None:
    """Some cameras fill their files up."""
    for file in (JPEG, PLAIN):
        assert decoded(file + b"\xff" * 100_000).tobytes() == decoded(file).tobytes()
