"""Colormap from dark indigo over magenta and orange to pale yellow, as a table.

Its colors lie on a cubic Bezier curve in OKLab (Bjorn Ottosson, "A perceptual color space for image processing", 2020)
at equal distances, with lightness that only rises: who sees no hue still sees the order. The curve is in the tests.
Contrast: W3C, Web Content Accessibility Guidelines 2.2.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
"""sRGB in 8 bits."""

BACKGROUND: Color = (22, 21, 30)
INK: Color = (236, 235, 242)
MUTED: Color = (160, 158, 172)
"""Colors of the page, its text and its secondary text; contrast on the background is 15:1 and 6.9:1."""

LEVELS = 256

COLORMAP: Bytes = np.frombuffer(
    bytes.fromhex(
        "01185a03185b06185c09185e0c185f0f18601118611418621617631817651a17661c17671e176820166921166b23166c"
        "25166d27166e28156f2a15702c15712d15732f147431147532147634137736137837137939127a3a127c3c127d3e127e"
        "3f117f411180421181441082461083471084490f854b0f864c0f874e0e884f0e89510e8a530d8b540d8c560d8d570d8e"
        "590d8f5b0c905c0c915e0c92600c92610c93630c94650c95660c96680c976a0d976b0d986d0d996f0e9a700e9a720e9b"
        "740f9c75109c77109d79119d7a129e7c129f7d139f7f14a08115a08216a08417a18617a18718a28919a28b1aa28c1ba3"
        "8e1da38f1ea3911fa39320a49421a49622a49723a49924a49a26a49c27a49d28a49f29a4a02aa4a22ba4a32da4a52ea4"
        "a62fa4a830a4a932a3aa33a3ac34a3ad35a3ae36a3b038a2b139a2b23aa2b43ba1b53da1b63ea1b83fa0b940a0ba419f"
        "bb439fbc449ebe459ebf469dc0479dc1499cc24a9cc34b9bc44c9bc64d9ac74f9ac85099c95198ca5298cb5397cc5596"
        "cd5696ce5795cf5894d05994d15b93d25c92d35d91d45e91d45f90d5608fd6628ed7638dd8648dd9658cda668bdb678a"
        "db6989dc6a88dd6b88de6c87df6d86df6e85e07084e17183e27282e27381e37480e4757fe4767ee5787de6797ce77a7b"
        "e77b7ae87c79e97e78e97f77ea8076ea8175eb8274ec8373ec8572ed8671ed8770ee886fee896eef8b6df08c6bf08d6a"
        "f18e69f18f68f29167f29266f39364f39463f49562f49761f49860f5995ef59a5df69c5cf69d5bf69e5af79f58f7a157"
        "f8a256f8a354f8a453f9a652f9a751f9a84ffaaa4efaab4dfaac4bfaae4afbaf49fbb047fbb246fbb345fcb444fcb642"
        "fcb741fcb840fcba3efdbb3dfdbd3cfdbe3bfdbf3afdc138fdc237fdc436fdc535fdc634fdc833fdc932fdcb32fdcc31"
        "fdce30fdcf30fdd12ffdd22ffdd42ffdd52ffdd72ffdd82ffdda2ffddb30fcdd30fcde31fce032fce133fce334fbe535"
        "fbe637fbe838fae93afaeb3bfaec3df9ee3ff9ef41f9f143f8f345f8f447f7f649f7f74cf6f94ef6fb50f5fc53f5fe55"
    ),
    dtype=np.uint8,
).reshape(LEVELS, 3)
"""`[256, 3]`: 8-bit sRGB."""


def apply_colormap(fractions: npt.ArrayLike) -> Bytes:
    """Return `[..., 3]`: the colors of values in 0 to 1."""
    return COLORMAP[(np.asarray(fractions, dtype=np.float64) * (LEVELS - 1)).round().astype(np.intp)]


def color_at(fraction: float) -> Color:
    """Return the color of one value."""
    red, green, blue = apply_colormap(fraction).tolist()
    return red, green, blue


def contrast_ratio(first: Color, second: Color) -> float:
    """Return W3C's contrast ratio of two colors, 1 to 21."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=LEVELS)
def contrasting_ink(background: Color) -> Color:
    """Return black or white, the one with the higher contrast on `background`: at least 4.58:1 on any."""
    return max((0, 0, 0), (255, 255, 255), key=lambda ink: contrast_ratio(ink, background))


def _luminance(color: Color) -> float:
    return float(_to_linear(np.array(color) / 255) @ (0.2126, 0.7152, 0.0722))


def _to_linear(srgb: Floats) -> Floats:
    """Convert sRGB in 0 to 1 to linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
