"""Seeded prose of mixed lengths: the same seed gives the same texts, in the same order, on every machine.

Sentences are put together from common English words; a word is about 1.1 tokens.
"""

import random
from collections.abc import Iterator

_SUBJECTS = (
    "the harbour master", "a quiet engineer", "every second lamp", "the northern road", "her brother", "the committee",
    "an old lighthouse", "the first reviewer", "our neighbour", "the morning train", "a stray dog", "the museum",
)  # fmt: skip
_VERBS = (
    "remembers", "follows", "repairs", "describes", "measures", "paints", "crosses", "questions", "carries", "watches",
    "forgets", "improves",
)  # fmt: skip
_OBJECTS = (
    "the letters", "a broken clock", "the slow river", "three small boats", "the evidence", "a field of barley",
    "the orchestra", "its own shadow", "the price of bread", "an unfinished map", "the winter sky", "a narrow bridge",
)  # fmt: skip
_TAILS = (
    "before dawn", "without much hope", "in the rain", "as agreed last year", "for the second time", "by hand",
    "while the others sleep", "near the station", "and says nothing", "at great cost", "after the storm", "with care",
)  # fmt: skip

SHORT, MIXED, LONG = (6, 18), (5, 120), (200, 227)
"""Ranges of words per text: on average 13, 50 and 235 tokens of the default model, special tokens included."""


def generate_texts(seed: int, word_range: tuple[int, int] = MIXED) -> Iterator[str]:
    """Generate texts without end, with a number of words drawn from `word_range`, short ones more often than long
    ones."""
    rng = random.Random(seed)
    low, high = word_range
    while True:
        count = low + int((high - low) * rng.random() ** 2)
        yield generate_text(rng, count)


def generate_text(rng: random.Random, count: int) -> str:
    """Generate whole sentences, cut after exactly `count` words."""
    words: list[str] = []
    while len(words) < count:
        sentence = " ".join(rng.choice(part) for part in (_SUBJECTS, _VERBS, _OBJECTS, _TAILS))
        words += (sentence.capitalize() + ".").split()
    return " ".join(words[:count])
