"""Generated facts: a query, and documents of which one states it.

A fact is who did what. A hard document states nearly the same: one of the three is another's. Training draws its words
from the vocabulary of a tokenizer, so that no word says anything about relevance; the evaluation's are those of
`models.synthetic_corpus`, which training leaves out.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from models.synthetic_corpus import topics

NUM_DOCUMENTS, NUM_HARD = 8, 5
"""Documents per query, the first of which is relevant, and how many of the others state nearly the same."""

NUM_FUNCTION_WORDS = 300
"""Most frequent words, such as "and", which name nothing and are not drawn."""

TOPIC_FRACTION = 0.3
"""Part of the training examples on topics of the corpus."""

_FORMS = (
    "{who} {did} {what}.",
    "{who} {did} {what} {how}.",
    "{how}, {who} {did} {what}.",
    "nobody knew whether {who} {did} {what} {how}.",
    "she said that {who} {did} {what}.",
)
_QUERIES = ("{who} {did} {what}", "was it true that {who} {did} {what}?", "{who} {did} {what} {how}")
_DETERMINERS = ("the", "a", "our", "some", "every", "this")
_PREPOSITIONS = ("for", "to", "about", "with", "past")
_TIMES = ("at", "during", "before", "after", "in")


@dataclass(frozen=True, slots=True)
class Fact:
    who: str
    did: str
    what: str
    how: str

    def say(self, form: str) -> str:
        """Return the fact as a sentence."""
        return form.format(who=self.who, did=self.did, what=self.what, how=self.how)


@dataclass(frozen=True, slots=True)
class Example:
    """A query and `NUM_DOCUMENTS` documents, of which the first states it."""

    query: str
    documents: list[str]


class Phrases(Protocol):
    """Source of the phrases of facts on one topic."""

    def fact(self, rng: random.Random) -> Fact:
        """Draw a fact."""
        ...


class VocabularyPhrases:
    """Phrases of words drawn from a vocabulary, whose first words are its most frequent ones."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    @classmethod
    def for_training(cls, vocabulary: Sequence[str]) -> "VocabularyPhrases":
        """Take the plain words of a tokenizer's vocabulary that no fact of the evaluation has."""
        held_out = {word for split in ("gate",) for topic in topics(split) for field in topic for word in _words(field)}
        return cls([word for word in vocabulary if re.fullmatch("[a-z]{3,12}", word) and word not in held_out])

    def fact(self, rng: random.Random) -> Fact:
        who, what, when = (self._noun(rng) for _ in range(3))
        did = self._word(rng) + (f" {rng.choice(_PREPOSITIONS)}" if rng.random() < 0.2 else "")
        return Fact(who, did, what, f"{rng.choice(_TIMES)} {when}")

    def _noun(self, rng: random.Random) -> str:
        words = [self._word(rng) for _ in range(1 if rng.random() < 0.7 else 2)]
        return " ".join((rng.choice(_DETERMINERS), *words))

    def _word(self, rng: random.Random) -> str:
        """Draw a word, frequent ones more often: uniformly in the logarithm of its rank, as in texts."""
        span = len(self._words) / NUM_FUNCTION_WORDS
        return self._words[int(NUM_FUNCTION_WORDS * span ** rng.random()) - 1]


class TopicPhrases:
    """Phrases of one topic of the corpus."""

    def __init__(self, topic: Sequence[Sequence[str]]) -> None:
        self._topic = topic

    def fact(self, rng: random.Random) -> Fact:
        who, did, what, how = (rng.choice(field) for field in self._topic)
        return Fact(who, did, what, how)


def held_out_topics() -> list[TopicPhrases]:
    """Return the topics of the evaluation."""
    return [TopicPhrases(topic) for topic in topics("gate")]


class TrainingPhrases:
    """The phrases of training: of drawn words, and for a part of the examples those of the corpus' other topics."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._drawn = VocabularyPhrases.for_training(vocabulary)
        self._topics = [TopicPhrases(topic) for topic in topics("calibration")]

    def example(self, rng: random.Random, num_hard: int) -> Example:
        """Draw an example."""
        if rng.random() < TOPIC_FRACTION:
            phrases, others = rng.sample(self._topics, 2)
            return make_example(phrases, others, rng, num_hard)
        return make_example(self._drawn, self._drawn, rng, num_hard)


def make_example(phrases: Phrases, others: Phrases, rng: random.Random, num_hard: int = NUM_HARD) -> Example:
    """Draw a query and its documents, of which `num_hard` are hard; `others` are of another topic."""
    fact, second, third = _distinct(phrases, rng, 3)
    query = fact.say(rng.choice(_QUERIES))
    documents = [_document([fact, third], rng)]
    changes = [rng.choice(("who", "did", "what")) for _ in range(num_hard)]
    for change in changes:
        nearly = replace(fact, **{change: getattr(second, change)})
        documents.append(_document([nearly, third], rng))
    documents += [_document(_distinct(others, rng, 2), rng) for _ in range(NUM_DOCUMENTS - 1 - num_hard)]
    return Example(query, documents)


def _distinct(phrases: Phrases, rng: random.Random, count: int) -> list[Fact]:
    """Draw facts that have no phrase in common."""
    facts: list[Fact] = []
    while len(facts) < count:
        fact = phrases.fact(rng)
        if all(fact.who != each.who and fact.did != each.did and fact.what != each.what for each in facts):
            facts.append(fact)
    return facts


def _document(facts: Sequence[Fact], rng: random.Random) -> str:
    sentences = [fact.say(rng.choice(_FORMS)) for fact in facts]
    rng.shuffle(sentences)
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _words(phrases: Sequence[str]) -> list[str]:
    return re.findall("[a-z]+", " ".join(phrases).lower())
