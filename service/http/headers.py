"""Headers that are whole numbers."""

from service.errors import InvalidParameter

MOST_DIGITS = 12


def whole(text: str, name: str, what: str) -> int:
    """What a header called `name` counts. Raises InvalidParameter, saying `what` it is to be."""
    if not (text.isascii() and text.isdecimal()) or len(text.lstrip("0")) > MOST_DIGITS:
        raise InvalidParameter(f"the header is {what}", name)
    return int(text.lstrip("0") or "0")
