"""Tests of drawings as SVG: the colors and sizes of the PNG, any text, and nothing that a viewer would load or run."""

import re
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from service.visualization.color_norm import ColorNorm
from service.visualization.colormap import color_at
from service.visualization.drawing import Drawing, encode_svg, rasterize
from service.visualization.heatmap import OVERLAY_OPACITY, image_heatmap
from service.visualization.matrix import matrix
from service.visualization.small_multiples import mosaic
from service.visualization.text_heatmap import text_heatmap
from service.visualization.token_spans import Token
from tests.images import gradient_image
from tests.service.visualization.strings import nasty_strings

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"


def parse(drawing: Drawing) -> ElementTree.Element:
    """Parse the SVG: as large as the PNG, and without scripts, styles and references but data."""
    root = ElementTree.fromstring(encode_svg(drawing, "a <model>"))  # noqa: S314 - our own
    assert (int(root.attrib["width"]), int(root.attrib["height"])) == rasterize(drawing).size
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "g", "title", "rect", "text", "image"}
    for element in root.iter():
        assert not any(name.startswith("on") for name in element.attrib)
        assert element.attrib.get(HREF, "data:").startswith("data:")
    return root


def text_svg(text: str, tokens: Sequence[Token], width_px: int = 800) -> ElementTree.Element:
    return parse(text_heatmap(text, tokens, width_px=width_px, caption=["a model"], truncated=False))


def shades(root: ElementTree.Element) -> list[tuple[str, str]]:
    """Fill and title of the rectangles that have a title."""
    found = ((rect.attrib["fill"], rect.findtext(f"{SVG}title")) for rect in root.iter(f"{SVG}rect"))
    return [(fill, title) for fill, title in found if title is not None]


def written(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def hexadecimal(fraction: float) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color_at(fraction))


def test_tokens_have_their_colors_and_weights() -> None:
    tokens = [Token("[CLS]", 0, 0, 0.5), Token("The", 0, 3, 0.1), Token("lamp", 4, 8, 0.3), Token(".", 8, 9, 0.2)]
    root = text_svg("The lamp.", tokens)
    norm = ColorNorm(0.1, 0.3)
    assert shades(root) == [(hexadecimal(float(norm.normalize(w))), f"{w:.3g}") for w in (0.1, 0.3, 0.2)]
    assert written(root)[:4] == ["[CLS] 0.5", "The", "lamp", "."]


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "a & b", "]]>", "\"quoted\" 'text'", "\x00\x1b\x7f\x9f\ufffe"]
)
def test_text_is_never_markup(text: str) -> None:
    shown = "".join(written(text_svg(text, [Token(text, 0, len(text), 1.0)])))
    expected = text.translate({0: "\u2400", 0x1B: "\u241b", 0x7F: "\u2421", 0x9F: "\ufffd", 0xFFFE: "\ufffd"})
    assert expected in shown


def test_right_to_left_text_is_written_in_its_own_order() -> None:
    text = "שלום עולם abc"
    root = text_svg(text, [Token("שלום", 0, 4, 0.1), Token("עולם", 5, 9, 0.3), Token("abc", 10, 13, 0.2)])
    by_text = {element.text: element for element in root.iter(f"{SVG}text")}
    assert by_text["שלום"].attrib["direction"] == "rtl"
    assert "direction" not in by_text["abc"].attrib
    assert float(by_text["שלום"].attrib["x"]) > float(by_text["עולם"].attrib["x"]) > float(by_text["abc"].attrib["x"])


def test_any_text_becomes_well_formed() -> None:
    for text in nasty_strings(120):
        tokens = [Token(text[i : i + 5], i, min(i + 5, len(text)), i + 1.0) for i in range(0, len(text), 5)]
        text_svg(text, tokens or [Token("[CLS]", 0, 0, 1.0)], width_px=400)


def test_long_text_is_complete() -> None:
    text = "The keeper lit the lamp. " * 160
    words = [match.span() for match in re.finditer(r"\w+|\.", text)]
    root = text_svg(text, [Token(text[a:b], a, b, i + 1.0) for i, (a, b) in enumerate(words)])
    assert len(shades(root)) == len(words)


def test_patches_have_their_colors_over_the_image() -> None:
    edges = np.linspace(0, 96, 4)
    boxes = np.array([[edges[j], edges[i], edges[j + 1], edges[i + 1]] for i in range(3) for j in range(3)])
    values = np.arange(9.0)
    root = parse(image_heatmap(gradient_image(96, 96), values, boxes, width_px=400, caption=["m"], marked=4))
    assert shades(root) == [(hexadecimal(value / 8), f"{value:.3g}") for value in values]
    patches = [rect for rect in root.iter(f"{SVG}rect") if "fill-opacity" in rect.attrib]
    assert {rect.attrib["fill-opacity"] for rect in patches} == {f"{OVERLAY_OPACITY:g}"}
    photo = next(root.iter(f"{SVG}image"))
    assert _image(photo).size == (int(photo.attrib["width"]), int(photo.attrib["height"])) == (384, 384)
    assert any(rect.attrib.get("stroke") == "#ffffff" for rect in root.iter(f"{SVG}rect"))


def test_matrix_has_names_as_text_and_cells_as_an_image() -> None:
    names = ["The", "lamp", "warns", "<b>"]
    root = parse(matrix(np.eye(4), names, width_px=400, caption=["m"]))
    assert sorted(written(root)) == sorted([*names, *names, "0", "0.25", "1", "m"])
    assert any("rotate(-90)" in group.attrib["transform"] for group in root.iter(f"{SVG}g"))


def test_small_multiples_have_an_image_a_panel() -> None:
    values = np.random.default_rng(0).random((2, 3, 8, 8))
    drawing = mosaic(values, row_names=["layer 0", "layer 1"], names=["head 0", "head 1", "head 2"], aspect=1,
                     width_px=500, caption=["m"])  # fmt: skip
    root = parse(drawing)
    assert len(list(root.iter(f"{SVG}image"))) == 2 * 3 + 1
    assert {"layer 0", "layer 1", "head 0", "head 1", "head 2"} <= set(written(root))


def _image(element: ElementTree.Element) -> Image.Image:
    return Image.open(BytesIO(b64decode(element.attrib[HREF].partition(",")[2])))
