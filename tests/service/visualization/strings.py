"""Strings that are difficult to draw, the same in every run."""

import random

NASTY = [
    *("", " ", "\n", "\r\n", "\r\n\r\n\t", "\x00", "\x1b[31m", "\ufeff", "\u200b", "\u200d", "\ufe0f", "\u0301"),
    *("a\u0301" * 9, "Z" + "\u0327\u0335\u0301" * 300, "\u0301\u0301", "\u202eabc\u202c", "\u2066x\u2069", "\u20dd"),
    *("\u2028\u2029\x85\v\f", "\U0010ffff", "\ufffe", "\ue000", "\U000e0001", "\U0001f1e9\U0001f1ea"),
    *("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "1\ufe0f\u20e3", "\u0640\u0640"),
    *("שלום (עולם) 3.5, abc", "مرحبا بالعالم ١٢٣", "لا إله", "\u0628\u200c\u0628\u200d", "日本語テキスト", "한국어"),
    *("हिन्दी", "ไทย", "x" * 3000, " " * 3000, "\n" * 3000, "\t" * 500, "\ufdfa" * 50, "\U0001d518\U0001d52b"),
    *("<b>&amp;</b>", "%s%n{}", "\ufb01", "\xad" * 30, "A\n\nB\n", "(((" * 100),
]


def nasty_strings(count: int) -> list[str]:
    """The list above, and what comes of putting parts of it together, with code points from anywhere."""
    source = random.Random(7)
    strings = list(NASTY)
    while len(strings) < count:
        parts = [source.choice(NASTY)[: source.randrange(1, 40)] for _ in range(source.randrange(1, 6))]
        parts += [chr(point) for point in source.choices(range(0x110000), k=6) if not 0xD800 <= point < 0xE000]
        source.shuffle(parts)
        strings.append("".join(parts))
    return strings
