"""Of how many parts an image file is, counted before a decoder sees it. No decoder bounds their number, nor does the
image's size: each scan of a JPEG goes over all of its blocks again, if it is 40 bytes of nothing.

A JPEG is taken apart here as both Pillow and libjpeg take it apart; what one of them would read differently is refused.
"""

from typing import Final

import numpy as np

from models.artifact.arrays import Ints
from models.preprocess.errors import InvalidImage

MAX_SEGMENTS: Final = 65_536
"""Maximum segments of a JPEG, or chunks of a PNG: Pillow reads them one by one, in Python."""

MAX_STRAY_HEADER_BYTES: Final = 65_536
"""Maximum bytes of a JPEG's header outside of segments: Pillow reads these one by one too."""

MAX_SCANS: Final = 32
"""Maximum scans of a JPEG of any size; encoders write 1 to 15. A small image may have more, at the same total cost."""

MAX_BLOCK_PX: Final = 32
"""Largest block of a JPEG: decoding a smaller side costs as much."""

_FILL_BYTES: Final = bytes([0xFF]) * 65_536
"""Fill bytes, legal before any marker; libjpeg rescans a run from its start with every chunk of the file it gets."""

_SOS, _EOI, _DAC = 0xDA, 0xD9, 0xCC
_SEGMENT_MARKERS: Final = frozenset((*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xF0), 0xFE))
"""Markers followed by a length and that many bytes. libjpeg stops at any other marker except EOI."""


def check_jpeg_scans(scans: int, width: int, height: int, max_pixels: int) -> None:
    """Raise InvalidImage if the scans cost more to decode than `MAX_SCANS` of the largest image."""
    area = (width + MAX_BLOCK_PX - 1) * (height + MAX_BLOCK_PX - 1)
    if scans > MAX_SCANS and scans * area > MAX_SCANS * max_pixels:
        raise InvalidImage(f"the image has {scans} scans, too many to be decoded")


def count_jpeg_scans(data: bytes) -> int:
    """Count the scans of a JPEG. Raises InvalidImage if it has too many segments, or is broken."""
    markers = _marker_offsets(data)
    offset, segments, stray_bytes, scans, end = 2, 0, 0, 0, len(data)
    while (next := int(markers.searchsorted(offset))) < len(markers):
        position = int(markers[next])
        marker = data[position + 1]
        if marker == _EOI and scans:
            end = position  # what some cameras fill the file up with behind it, no decoder reads
            break
        segments += 1
        stray_bytes += 0 if scans else position - offset
        if segments > MAX_SEGMENTS or stray_bytes > MAX_STRAY_HEADER_BYTES:
            raise InvalidImage("the image is of too many parts")
        offset = position + 2 + max(2, int.from_bytes(data[position + 2 : position + 4]))
        # Pillow does not step over arithmetic coding's conditioning: it would find segments there.
        if marker not in _SEGMENT_MARKERS or (marker == _DAC and b"\xff" in data[position + 2 : offset]):
            raise InvalidImage("the image is broken")
        scans += marker == _SOS
    if data.find(_FILL_BYTES, 0, end) >= 0:
        raise InvalidImage("the image is of too many parts")
    return scans


def check_png_chunks(data: bytes) -> None:
    """Raise InvalidImage for a PNG with too many chunks, or several color profiles: each would be unpacked."""
    offset, chunks, profiles = 8, 0, 0
    while offset < len(data):
        chunks += 1
        profiles += data[offset + 4 : offset + 8] == b"iCCP"
        if chunks > MAX_SEGMENTS or profiles > 1:
            raise InvalidImage("the image is of too many parts")
        offset += 12 + int.from_bytes(data[offset : offset + 4])


def _marker_offsets(data: bytes) -> Ints:
    """Return the offsets of possible markers in a JPEG: no stuffed 0xFF, no fill bytes, no restart markers.

    By numpy, which lets other threads run meanwhile.
    """
    values = np.frombuffer(data, dtype=np.uint8)
    after = values[1:]
    found = values[:-1] == 0xFF
    found &= after >= 0xC0
    found &= after != 0xFF
    found &= (after & 0xF8) != 0xD0
    return np.flatnonzero(found)
