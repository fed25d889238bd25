"""Drawing: rectangles, texts and images at positions, written as PNG or as SVG.

Everything is laid out once, in px, with the metrics of the packaged font. PNG draws each character where the layout has
it; SVG leaves shaping, direction and missing glyphs to its viewer and only fixes where a text begins and ends.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw

from service.visualization.colormap import BACKGROUND, Color
from service.visualization.font import Font

PHOTO_QUALITY: Final = 90
"""JPEG quality of a photo within an SVG."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Rectangle from `x0`, `y0` to before `x1`, `y1`; an outline of `line_px` lies inside of it."""

    box: tuple[int, int, int, int]
    fill: Color | None = None
    outline: Color | None = None
    line_px: int = 1
    radius_px: int = 0
    opacity: float = 1.0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters drawn together `offset_px` after the start of their text; a `code` is drawn as its code point."""

    offset_px: int
    text: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Text on a baseline from `x` on, `width_px` wide: its glyphs from left to right, and as it is written."""

    x: int
    baseline: int
    glyphs: Sequence[Glyphs]
    written: str
    width_px: int
    font: Font
    ink: Color
    rtl: bool = False


@dataclass(frozen=True, slots=True)
class Raster:
    """Image with its upper left corner at `x`, `y`; a `photo` may lose detail that nobody sees."""

    x: int
    y: int
    image: Image.Image
    photo: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """Another drawing with its upper left corner at `x`, `y`, read from below if `rotated`."""

    x: int
    y: int
    drawing: "Drawing"
    rotated: bool = False


Element = Rectangle | Text | Raster | Placed


@dataclass(slots=True)
class Drawing:
    """Elements on the page's background, later ones over earlier ones."""

    width: int
    height: int
    elements: list[Element] = field(default_factory=list)

    def add(self, element: Element) -> None:
        """Draw over what is there."""
        self.elements.append(element)

    def write(self, x: int, baseline: int, text: str, font: Font, ink: Color) -> None:
        """Draw one line of text from left to right."""
        self.add(Text(x, baseline, (Glyphs(0, text),), text, font.width_px(text), font, ink))


def rasterize(drawing: Drawing) -> Image.Image:
    """Return the drawing as an RGB image."""
    image = Image.new("RGB", (drawing.width, drawing.height), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for element in drawing.elements:
        match element:
            case Rectangle():
                _paint_rectangle(image, draw, element)
            case Text():
                for glyphs in element.glyphs:
                    write = element.font.write_code if glyphs.code else element.font.write
                    write(draw, (element.x + glyphs.offset_px, element.baseline), glyphs.text, element.ink)
            case Raster():
                image.paste(element.image, (element.x, element.y))
            case Placed():
                part = rasterize(element.drawing)
                rotated = part.transpose(Image.Transpose.ROTATE_90) if element.rotated else part
                image.paste(rotated, (element.x, element.y))
    return image


def encode_png(drawing: Drawing) -> bytes:
    """Encode the drawing as PNG."""
    buffer = BytesIO()
    rasterize(drawing).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def encode_svg(drawing: Drawing, title: str) -> bytes:
    """Encode the drawing as SVG 1.1, without scripts or references to other files."""
    size = f'width="{drawing.width}" height="{drawing.height}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size} '
        f'viewBox="0 0 {drawing.width} {drawing.height}" role="img" font-family="DejaVu Sans, sans-serif">'
    )
    background = Rectangle((0, 0, drawing.width, drawing.height), fill=BACKGROUND)
    parts = [head, f"<title>{_xml(title)}</title>", _rectangle_svg(background), *_elements_svg(drawing), "</svg>\n"]
    return "\n".join(parts).encode("utf-8")


def _paint_rectangle(image: Image.Image, draw: ImageDraw.ImageDraw, rectangle: Rectangle) -> None:
    x0, y0, x1, y1 = rectangle.box
    if rectangle.opacity < 1:
        part = image.crop(rectangle.box)
        layer = Image.new("RGB", part.size, rectangle.fill)
        image.paste(Image.blend(part, layer, rectangle.opacity), rectangle.box)
        return
    inclusive = x0, y0, x1 - 1, y1 - 1  # Pillow draws the last px too
    style = {"fill": rectangle.fill, "outline": rectangle.outline, "width": rectangle.line_px}
    if rectangle.radius_px:
        draw.rounded_rectangle(inclusive, radius=rectangle.radius_px, **style)  # type: ignore[arg-type]
    else:
        draw.rectangle(inclusive, **style)  # type: ignore[arg-type]


def _elements_svg(drawing: Drawing) -> Iterator[str]:
    for element in drawing.elements:
        match element:
            case Rectangle():
                yield _rectangle_svg(element)
            case Text():
                yield _text_svg(element)
            case Raster():
                yield _raster_svg(element)
            case Placed():
                turn = f" translate(0 {element.drawing.width}) rotate(-90)" if element.rotated else ""
                yield f'<g transform="translate({element.x} {element.y}){turn}">'
                yield from _elements_svg(element.drawing)
                yield "</g>"


def _rectangle_svg(rectangle: Rectangle) -> str:
    x0, y0, x1, y1 = rectangle.box
    inset = rectangle.line_px / 2 if rectangle.outline else 0
    attributes = (
        f'x="{x0 + inset:g}" y="{y0 + inset:g}" width="{x1 - x0 - 2 * inset:g}" height="{y1 - y0 - 2 * inset:g}"'
    )
    attributes += f' fill="{_hex(rectangle.fill)}"'
    if rectangle.outline:
        attributes += f' stroke="{_hex(rectangle.outline)}" stroke-width="{rectangle.line_px}"'
    if rectangle.radius_px:
        attributes += f' rx="{rectangle.radius_px}"'
    if rectangle.opacity < 1:
        attributes += f' fill-opacity="{rectangle.opacity:g}"'
    return f"<rect {attributes}>{f'<title>{_xml(rectangle.title)}</title>' if rectangle.title else ''}</rect>"


def _text_svg(text: Text) -> str:
    direction = ' direction="rtl" unicode-bidi="embed"' if text.rtl else ""
    x = text.x + text.width_px if text.rtl else text.x  # a text begins on its right if it is read from there
    fit = f' textLength="{text.width_px}" lengthAdjust="spacingAndGlyphs"' if text.width_px else ""
    attributes = f'x="{x}" y="{text.baseline}" font-size="{text.font.size_px}" fill="{_hex(text.ink)}"'
    return f'<text {attributes}{fit}{direction} xml:space="preserve">{_xml(text.written)}</text>'


def _raster_svg(raster: Raster) -> str:
    buffer = BytesIO()
    if raster.photo:
        raster.image.save(buffer, "JPEG", quality=PHOTO_QUALITY)
    else:
        raster.image.save(buffer, "PNG", compress_level=4)
    data = f"data:image/{'jpeg' if raster.photo else 'png'};base64,{b64encode(buffer.getvalue()).decode()}"
    size = f'width="{raster.image.width}" height="{raster.image.height}"'
    return f'<image x="{raster.x}" y="{raster.y}" {size} xlink:href={quoteattr(data)}/>'


def _hex(color: Color | None) -> str:
    return "none" if color is None else "#{:02x}{:02x}{:02x}".format(*color)


def _xml(text: str) -> str:
    """Escape a text; characters that XML lacks become their symbols, or U+FFFD."""
    return escape("".join(character if _is_xml(ord(character)) else _symbol(ord(character)) for character in text))


def _is_xml(code: int) -> bool:
    return 0x20 <= code < 0x7F or 0xA0 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or code > 0xFFFF


def _symbol(code: int) -> str:
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
