"""Headers that are whole numbers."""

from service.errors import InvalidParameter

MOST_DIGITS = 12


def whole(text: str, name: str, what: str) -> int:
    """What a header called `name` counts, or more than enough. Raises InvalidParameter, saying `what` it is to be."""
    if not (text.isascii() and text.isdecimal()):
        raise InvalidParameter(f"the header is {what}", name)
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= MOST_DIGITS else 10**MOST_DIGITS
