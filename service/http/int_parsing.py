"""Integers in headers and URLs."""

from service.errors import InvalidParameter

MAX_DIGITS = 12
"""A number of more stands for one that is more than enough."""


def parse_header_int(text: str, name: str, expectation: str) -> int:
    """Parse the integer in the header `name`. Raises InvalidParameter with the `expectation`."""
    number = _parse_digits(text)
    if number is None:
        raise InvalidParameter(f"the header must be {expectation}", name)
    return number


def parse_query_int(text: str) -> object:
    """Parse an integer as JSON would; return other text unchanged."""
    number = _parse_digits(text.removeprefix("-"))
    return text if number is None else -number if text.startswith("-") else number


def _parse_digits(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= MAX_DIGITS else 10**MAX_DIGITS
