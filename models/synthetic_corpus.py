"""Seeded English prose on many topics: the same seed gives the same texts on every machine, with nothing fetched.

Some topics are for calibration, others for judging what calibration made: a reduced graph is never measured on
texts, or on topics, that it was fitted to; only the forms of sentences are common to both. Texts on one topic are
each other's neighbours, as in a collection that people search, so that the order of neighbours means something.
"""

import random
from collections.abc import Sequence
from typing import Literal

from models.preprocess.model_input import TextPair

CorpusSplit = Literal["calibration", "gate"]
"""Split of the corpus."""

MIN_WORDS, MAX_WORDS = 4, 200
"""Range of words per text."""

DOCUMENTS_PER_QUERY, QUERY_WORDS = 16, 8
"""Documents that a reranker orders, and words of a query."""

ON_TOPIC_FRACTION = 0.7
"""Fraction of a text's sentences on its own topic."""

# A line each: who, did, what, and when or how; parts of one line can all stand with each other.
_TOPICS: dict[CorpusSplit, tuple[str, ...]] = {
    "calibration": (
        """the harbour master, a tired sailor, the pilot boat, our navigator | sighted, signalled to, steered past,
        waited for | the breakwater, a container ship, three fishing boats, the northern buoy | at high tide, in
        thick fog""",
        """the cardiologist, a trainee nurse, every second patient, the clinic | questioned, recorded, prescribed,
        delayed | a low dose of aspirin, the blood test, an irregular heartbeat, surgery | on Monday, after the
        second visit""",
        """the compiler, a junior programmer, the build server, someone on the mailing list | rejected, rewrote,
        optimised, tested | the parser, a recursive function, an unused variable, 14 failing tests | twice, before
        the release""",
        """the central bank, small investors, an auditor, the finance minister | raised, criticised, predicted,
        denied | interest rates of 4.5%, the deficit, a loan to farmers, inflation | last quarter, despite every
        warning""",
        """a violinist, the conductor, the village choir, my piano teacher | rehearsed, performed, recorded, misread
        | the slow movement, a Baroque dance, Schubert's last songs, the final chord | without a score, on stage""",
        """the goalkeeper, both teams, a substitute, the referee | missed, defended, celebrated, disputed | the
        penalty, a late goal, the championship, an unfair decision | in extra time, in front of 40,000 people""",
        """my grandmother, the pastry chef, a hungry student, the baker | kneaded, burned, seasoned, served | the
        sourdough, roasted peppers, a lentil soup, plum jam with cinnamon | before breakfast, over a low flame""",
        """the astronomer, a space probe, two observatories, the telescope | measured, photographed, discovered, lost
        | a distant galaxy, the rings of Saturn, a comet, faint radio waves | during the eclipse, for eleven years""",
        """the landlord, a new tenant, the housing committee, our neighbours | repaired, complained about, inspected,
        painted | the leaking roof, a broken lift, the stairwell, the kitchen window | in winter, at great expense""",
    ),
    "gate": (
        """the botanist, an old gardener, the greenhouse, wild bees | planted, watered, pruned, pollinated | the
        orchids, an apple tree, rows of barley, the rose hedge | in early spring, after the last frost""",
        """the defendant, a famous barrister, the supreme court, two witnesses | appealed, contradicted, dismissed,
        signed | the verdict, a written statement, the contract, a claim for damages | under oath, within thirty
        days""",
        """the mountaineer, our guide, a rescue helicopter, the climbing party | reached, abandoned, crossed, mapped
        | the glacier, base camp, a narrow ridge, the summit at 6,812 metres | at dawn, in heavy snow""",
        """the teacher, a shy pupil, the school board, parents | explained, forgot, praised, graded | the homework,
        long division, a history essay, the new timetable | on the first day of term, with a great deal of
        patience""",
        """the archaeologist, a museum curator, the emperor, medieval monks | excavated, copied, destroyed, preserved
        | a bronze sword, the city walls, an illuminated manuscript, clay tablets | in the third century, by
        candlelight""",
        """the mechanic, a taxi driver, the electric bus, commuters | overtook, replaced, parked, blamed | the
        brakes, a flat tyre, the queue of lorries, a charging station | at rush hour, on the motorway""",
        """the chemist, a laboratory assistant, the reaction, our experiment | dissolved, heated, produced,
        contaminated | the copper sulphate, a yellow crystal, hydrogen, the polymer sample | at 80 degrees, under
        a vacuum""",
        """a stray dog, the veterinarian, the shepherd, two kittens | chased, fed, frightened, guarded | the sheep, a
        squirrel, their empty bowl, the injured crow | behind the barn, all night long""",
        """the novelist, a film critic, the translator, readers everywhere | admired, revised, quoted, misunderstood
        | the opening chapter, a silent film, the villain, her unfinished poems | in Paris, with some irony""",
        """the tourist, a hotel receptionist, the night train, customs officers | booked, missed, searched,
        recommended | a room with a balcony, the connection to Vienna, two suitcases, the beach | in August, at
        short notice""",
        """the candidate, a local newspaper, protesters, the prime minister | announced, opposed, debated, won | the
        election, a tax on fuel, the coalition agreement, a new law on migration | by a narrow margin, on
        television""",
        """heavy rain, the meteorologist, a flood, the weather station | destroyed, forecast, reached, warned of |
        the coastal villages, a hurricane, temperatures below zero, the dry river bed | overnight, for a whole
        week""",
    ),
}

_OPENINGS = ("{who} {did} {what}.", "{who} {did} {what} {how}.", "{how}, {who} {did} {what}.")
"""Openings that name the topic, so that a text of a few words has one too."""

_SENTENCES = (
    *_OPENINGS,
    "nobody knew whether {who} {did} {what} {how}.",
    "was it true that {who} {did} {what}?",
    "{who} {did} {what} because {who2} {did2} {what2}.",
    "although {who} {did} {what}, {who2} {did2} {what2} {how}.",
    '"I heard that {who} {did} {what}," she said; {who2} {did2} {what2}.',
)


def generate_texts(count: int, split: CorpusSplit, *, seed: int = 0) -> list[str]:
    """Generate `count` distinct texts of `MIN_WORDS` to `MAX_WORDS` words, short ones more often than long ones."""
    rng = random.Random(f"{split} {seed}")  # noqa: S311 - nothing secret
    found = topics(split)
    unique_texts: dict[str, None] = {}
    while len(unique_texts) < count:
        unique_texts[_text(rng, found)] = None
    return list(unique_texts)


def generate_pairs(texts: Sequence[str]) -> list[TextPair]:
    """Return a query with each text, `DOCUMENTS_PER_QUERY` neighbors with the same: the opening of one of them."""
    starts = range(0, len(texts), DOCUMENTS_PER_QUERY)
    groups = [texts[start : start + DOCUMENTS_PER_QUERY] for start in starts]
    return [TextPair(" ".join(group[0].split()[:QUERY_WORDS]), text) for group in groups for text in group]


def topics(split: CorpusSplit) -> list[list[list[str]]]:
    """Return the topics: of each the phrases of who, did, what and how."""
    return [[_parse_field(field) for field in topic.split("|")] for topic in _TOPICS[split]]


def _parse_field(field: str) -> list[str]:
    return " ".join(field.split()).split(", ")


def _text(rng: random.Random, topics: list[list[list[str]]]) -> str:
    """Generate a text on one topic, with asides on another."""
    topic, aside = rng.sample(topics, 2)
    num_words = MIN_WORDS + int((MAX_WORDS - MIN_WORDS) * rng.random() ** 4)
    words = _sentence(rng, topic, _OPENINGS).split()
    while len(words) < num_words:
        words += _sentence(rng, topic if rng.random() < ON_TOPIC_FRACTION else aside, _SENTENCES).split()
    return " ".join(words[:num_words])


def _sentence(rng: random.Random, topic: list[list[str]], forms: Sequence[str]) -> str:
    who, did, what, how = (rng.choice(part) for part in topic)
    who2, did2, what2, _ = (rng.choice(part) for part in topic)
    sentence = rng.choice(forms).format(who=who, did=did, what=what, how=how, who2=who2, did2=did2, what2=what2)
    return sentence[0].upper() + sentence[1:]
