"""Visual order of a line's characters with right-to-left text.

Implements Unicode's bidirectional algorithm (UAX 9) for texts without embeddings and isolates, on whole lines; numbers
run from left to right.
"""

from collections.abc import Sequence

MIRRORED = dict(zip("()[]{}<>«»", ")(][}{><»«", strict=True))
"""Characters that are mirrored in right-to-left text."""


def is_right_to_left(directions: Sequence[str]) -> bool:
    """Return the direction of a paragraph, that of its first letter."""
    return next((direction != "L" for direction in directions if direction in ("L", "R", "AL")), False)


def bidi_levels(directions: Sequence[str], *, rtl: bool) -> list[int]:
    """Return the level of each character of a line: even from left to right, odd from right to left."""
    base = "R" if rtl else "L"
    types = _resolved_types(directions, base)
    last, i = base, 0
    while i < len(types):
        if types[i]:
            last = "L" if types[i] == "L" else "R"
            i += 1
            continue
        end = next((j for j in range(i, len(types)) if types[j]), len(types))
        following = base if end == len(types) else "L" if types[end] == "L" else "R"
        types[i:end] = [last if last == following else base] * (end - i)
        i = end
    level_of_type = {"L": 2 if rtl else 0, "R": 1, "N": 2}
    return [level_of_type[kind] for kind in types]


def visual_order(levels: Sequence[int]) -> list[int]:
    """Return the characters' indices from left to right."""
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), 0, -1):
        i = 0
        while i < len(order):
            end = i
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[i:end] = order[i:end][::-1]
            i = end + 1
    return order


def _resolved_types(directions: Sequence[str], base: str) -> list[str]:
    """Return L, R, N for a number in right-to-left text, or an empty string for characters that follow their
    neighbors."""
    types, strong = [], base
    for direction in directions:
        if direction in ("L", "R", "AL"):
            strong = "L" if direction == "L" else "R"
            types.append(strong)
        elif direction in ("EN", "AN"):
            types.append("L" if direction == "EN" and strong == "L" else "N")
        else:
            types.append("")
    for i in range(1, len(types) - 1):
        if directions[i] in ("CS", "ES") and types[i - 1] == types[i + 1] == "N":
            types[i] = "N"
    return types
