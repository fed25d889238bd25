"""Whole numbers in headers and in URLs."""

from service.errors import InvalidParameter

MOST_DIGITS = 12
"""A number of more stands for one that is more than enough."""


def of_header(text: str, name: str, what: str) -> int:
    """What a header called `name` counts. Raises InvalidParameter, saying `what` it is to be."""
    found = _whole(text)
    if found is None:
        raise InvalidParameter(f"the header is {what}", name)
    return found


def of_url(text: str) -> object:
    """A number, below zero too, as JSON would give it; what is none, as it is."""
    found = _whole(text.removeprefix("-"))
    return text if found is None else -found if text.startswith("-") else found


def _whole(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= MOST_DIGITS else 10**MOST_DIGITS
