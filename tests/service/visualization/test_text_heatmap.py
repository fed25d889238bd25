"""Tests of shaded texts: colors at the tokens, whatever the text consists of."""

import re
import time
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from PIL import Image

from service.visualization.color_norm import ColorNorm
from service.visualization.colorbar import colorbar
from service.visualization.colormap import BACKGROUND, COLORMAP, INK, color_at, contrast_ratio
from service.visualization.drawing import rasterize
from service.visualization.page import MAX_PAGE_PIXELS, Page
from service.visualization.text_heatmap import text_heatmap
from service.visualization.token_spans import Token
from tests.service.visualization.strings import nasty_strings

TEXT = "A lighthouse keeper reads."
CLS, SEP = Token("[CLS]", 0, 0, 0.7), Token("[SEP]", 0, 0, 0.1)


def tokens(text: str, weights: list[float]) -> list[Token]:
    found = [Token(m.group(), m.start(), m.end(), w) for m, w in zip(re.finditer(r"\S+", text), weights, strict=True)]
    return [CLS, *found, SEP]


def draw(text: str, of: list[Token], width_px: int = 800, *, truncated: bool = False) -> Image.Image:
    return rasterize(text_heatmap(text, of, width_px=width_px, caption=["a model"], truncated=truncated))


def where(image: Image.Image, wanted: object) -> np.ndarray:
    """`[n, 2]`: y, x of the px of that color, above the legend."""
    page = Page(image.width)
    under = sum(part.height + page.margin_px for part in colorbar(page, ColorNorm(0, 1), ["a model"]))
    pixels = np.asarray(image)[: -under - page.margin_px]
    return np.argwhere((pixels == np.array(wanted)).all(-1))


@pytest.mark.parametrize("width_px", [200, 400, 800, 4096])
def test_token_ground_has_the_color_of_its_weight(width_px: int) -> None:
    image = draw(TEXT, tokens(TEXT, [1, 16, 4, 10]), width_px)
    assert image.width == width_px
    for place in (0, 1, 0.2, 0.6):
        assert len(where(image, color_at(place))) > 40
    largest, least = where(image, COLORMAP[-1]), where(image, COLORMAP[0])
    assert least[:, 1].max() < largest[:, 1].min() or least[:, 0].max() < largest[:, 0].min()


def test_special_tokens_have_no_part_in_the_scale() -> None:
    of = tokens("one two", [0.01, 0.02])
    assert len(where(draw("one two", of), COLORMAP[-1])) > 40
    of[0] = Token("[CLS]", 0, 0, 0.001)
    assert len(where(draw("one two", of), COLORMAP[0])) > 40


def test_wrapped_lines_fit_the_page() -> None:
    text = " ".join(["lamp"] * 200)
    image = draw(text, tokens(text, [0.1 + i for i in range(200)]), 400)
    margin = Page(400).margin_px
    pixels = np.asarray(image)
    assert image.height > 400
    assert (pixels[:, -margin // 2 :] == np.array(BACKGROUND)).all(), "nothing is drawn past the margin"
    assert len(where(image, COLORMAP[-1]))


def test_newlines_are_kept() -> None:
    one, three = (draw(text, tokens(text, [1, 2])) for text in ("one two", "one\n\ntwo"))
    assert three.height > one.height + 2 * Page(800).font_px


def test_hebrew_stands_from_right_to_left() -> None:
    text = "\u05d0\u05d1\u05d2 \u05d3\u05d4\u05d5"
    image = draw(text, tokens(text, [1, 2]))
    first, second = where(image, COLORMAP[0]), where(image, COLORMAP[-1])
    assert first[:, 1].min() > second[:, 1].max()
    assert first[:, 1].max() > 400, "and ends on the right"


def test_overlapping_tokens_are_shaded_as_one() -> None:
    """Four bytes of an emoji, each a token of byte-level vocabularies."""
    text = "\U0001f642 lamp"
    of = [*(Token("?", 0, 1, 0.1) for _ in range(4)), Token("lamp", 2, 6, 0.3)]
    image = draw(text, of)
    assert where(image, COLORMAP[-1])[:, 1].max() < where(image, COLORMAP[0])[:, 1].min(), (
        "together the four weigh more"
    )


def test_marked_token_has_a_ring() -> None:
    plain, marked = (draw(TEXT, [Token(TEXT, 0, 26, 1.0, marked=marked)]) for marked in (False, True))
    assert len(where(marked, INK)) > len(where(plain, INK)) + 200


def test_truncated_text_is_not_shaded() -> None:
    text = "lamp " * 1000
    seen = [Token("lamp", 5 * i, 5 * i + 4, float(i)) for i in range(5)]
    long, short = draw(text, seen, truncated=True), draw(text[:24], seen)
    assert short.height < long.height < short.height + 400
    assert len(where(long, COLORMAP[-1])) == len(where(short, COLORMAP[-1]))


def test_long_text_is_bounded() -> None:
    began = time.process_time()
    text = "lamp, " * 100_000
    image = draw(text, [Token("lamp", 6 * i, 6 * i + 4, i % 7) for i in range(8_000)], 4096)
    assert image.width * image.height < MAX_PAGE_PIXELS * 1.2
    assert time.process_time() - began < 20


def test_nastiest_strings() -> None:
    source = Random(1)
    began = time.process_time()
    for text in nasty_strings(500):
        cuts = sorted(source.choices(range(len(text) + 1), k=source.randrange(2, 12)))
        of = [Token(text[a:b], a, b, source.random()) for a, b in pairwise(cuts)]
        image = draw(text, [CLS, *of, SEP], 240, truncated=source.random() < 0.3)
        assert image.width == 240
        assert image.width * image.height < MAX_PAGE_PIXELS * 1.2
    assert time.process_time() - began < 120


def test_text_is_legible_on_every_ground() -> None:
    text = " ".join(["HHH"] * 64)
    pixels = np.asarray(draw(text, tokens(text, list(range(64)))))
    for place in np.linspace(0, 1, 64):
        ground = color_at(float(place))
        y, x = where(Image.fromarray(pixels), ground).mean(0).round().astype(int)
        near = pixels[y - 8 : y + 8, x - 12 : x + 12].reshape(-1, 3).tolist()
        assert max(contrast_ratio((r, g, b), ground) for r, g, b in near) >= 4.5
