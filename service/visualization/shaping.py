"""Shaping of a text: characters with combining marks, and joined Arabic forms."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from service.visualization.font import has_glyph

MAX_MARKS: Final = 3
"""Maximum marks drawn on one character: some texts have hundreds."""

NEWLINES: Final = frozenset("\n\r\v\f\x85\u2028\u2029")

_JOINER, _NON_JOINER, _TATWEEL = "\u200d", "\u200c", "\u0640"
_MARKS: Final = ("Mn", "Me")
_DOTTED_CIRCLE: Final = "\u25cc"
"""Dotted circle, drawn under marks without a base character."""


@dataclass(slots=True)
class Character:
    """`text` is the drawn form of the code points from `start` to before `end`."""

    text: str
    start: int
    end: int

    @property
    def newline(self) -> bool:
        return self.text in NEWLINES

    @property
    def space(self) -> bool:
        return self.text.isspace()

    @property
    def direction(self) -> str:
        """Its class in Unicode's bidirectional algorithm."""
        return unicodedata.bidirectional(self.text[0])


def split_characters(text: str) -> list[Character]:
    """Split a text into visible characters in its order, each with what combines with it."""
    shaped: list[Character] = []
    breaks: list[bool] = []
    for i, code_point in enumerate(text):
        if code_point == "\n" and shaped and text[i - 1] == "\r":
            shaped[-1].end = i + 1
        elif _extends_character(code_point) and shaped and not (shaped[-1].newline or shaped[-1].space):
            last = shaped[-1]
            last.end = i + 1
            breaks[-1] |= code_point == _NON_JOINER
            if _is_mark(code_point) and has_glyph(code_point) and len(last.text) <= MAX_MARKS:
                last.text = _compose(last.text + code_point)
        else:
            shaped.append(
                Character(
                    _DOTTED_CIRCLE + code_point if _is_mark(code_point) and has_glyph(code_point) else code_point,
                    i,
                    i + 1,
                )
            )
            breaks.append(False)
    _apply_joining_forms(shaped, breaks)
    return shaped


def _extends_character(code_point: str) -> bool:
    """Joiners, marks, selectors of variations, and the colors of emoji's skin."""
    joins = code_point in (_JOINER, _NON_JOINER)
    return joins or unicodedata.category(code_point) in _MARKS or "\U0001f3fb" <= code_point <= "\U0001f3ff"


def _is_mark(code_point: str) -> bool:
    """Not so a selector of variations, which has no look of its own."""
    selects = "\ufe00" <= code_point <= "\ufe0f" or "\U000e0100" <= code_point <= "\U000e01ef"
    return unicodedata.category(code_point) in _MARKS and not selects


def _compose(text: str) -> str:
    """Return the composed character of a letter and its marks, if the font has it."""
    composed = unicodedata.normalize("NFC", text)
    return composed if all(map(has_glyph, composed)) else text


def _apply_joining_forms(shaped: list[Character], breaks: list[bool]) -> None:
    """Give Arabic letters the form that stands between their neighbors."""
    bases = [character.text[0] for character in shaped]
    for i, base in enumerate(bases):
        forms = _joining_forms().get(base)
        if forms is None:
            continue
        before = i > 0 and not breaks[i - 1] and _joins_next(bases[i - 1]) and "final" in forms
        after = i + 1 < len(bases) and not breaks[i] and _joins_next(base) and _joins_previous(bases[i + 1])
        form = ("medial" if after else "final") if before else "initial" if after else "isolated"
        shaped[i].text = forms.get(form, base) + shaped[i].text[1:]


def _joins_next(letter: str) -> bool:
    return letter == _TATWEEL or "initial" in _joining_forms().get(letter, {})


def _joins_previous(letter: str) -> bool:
    return letter == _TATWEEL or "final" in _joining_forms().get(letter, {})


@cache
def _joining_forms() -> Mapping[str, Mapping[str, str]]:
    """For each letter its forms, as Unicode's compatibility characters have them."""
    forms: dict[str, dict[str, str]] = {}
    for letter, form, glyph in _compatibility_forms():
        forms.setdefault(letter, {})[form] = glyph
    return forms


def _compatibility_forms() -> Iterator[tuple[str, str, str]]:
    for code in (*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEF5)):
        form, *letters = unicodedata.decomposition(chr(code)).split() or ("",)
        if len(letters) == 1:
            yield chr(int(letters[0], 16)), form.strip("<>"), chr(code)
