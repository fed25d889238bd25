"""Tests of text shaping and direction."""

from service.visualization.bidi import bidi_levels, is_right_to_left, visual_order
from service.visualization.font import has_glyph, printable
from service.visualization.shaping import MAX_MARKS, split_characters


def drawn(text: str) -> list[str]:
    return [one.text for one in split_characters(text)]


def test_code_point_belongs_to_one_character() -> None:
    text = "a\u0301 \U0001f468\u200d\U0001f469\r\n\u05d0\u05b0!"
    found = split_characters(text)
    assert [one.start for one in found[1:]] == [one.end for one in found[:-1]]
    assert (found[0].start, found[-1].end) == (0, len(text))


def test_marks_stand_with_their_letter() -> None:
    assert drawn("a\u0301b") == ["\u00e1", "b"]
    assert len(drawn("Z" + "\u0327" * 500)[0]) <= MAX_MARKS + 1
    assert drawn("\u0301") == ["\u25cc\u0301"]


def test_arabic_letters_join() -> None:
    assert drawn("\u0628\u0628\u0628") == ["\ufe91", "\ufe92", "\ufe90"], "initial, medial, final"
    assert drawn("\u0628") == ["\ufe8f"]
    assert drawn("\u062f\u0628") == ["\ufea9", "\ufe8f"], "nothing joins on to a dal"
    assert drawn("\u0628\u200c\u0628") == ["\ufe8f", "\ufe8f"], "a non-joiner between them"


def test_font_coverage_is_known() -> None:
    assert all(map(has_glyph, "aZ\u00e9\u05d0\ufe91\u21b5"))
    assert not any(map(has_glyph, "\u65e5\U0001f642\x00\U0010ffff\ue000\ufffe"))
    assert printable("a\u65e5") == "aU+65E5"


def order_of(text: str) -> str:
    directions = [one.direction for one in split_characters(text)]
    return "".join(text[i] for i in visual_order(bidi_levels(directions, rtl=is_right_to_left(directions))))


def test_order_on_a_line() -> None:
    assert order_of("lamp 12") == "lamp 12"
    assert order_of("\u05d0\u05d1 \u05d2") == "\u05d2 \u05d1\u05d0"
    assert order_of("a \u05d0\u05d1 b") == "a \u05d1\u05d0 b"
    assert order_of("\u05d0\u05d1 12.5 \u05d2") == "\u05d2 12.5 \u05d1\u05d0"
    assert order_of("\u05d0 lamp \u05d1") == "\u05d1 lamp \u05d0"
    assert order_of("") == ""
