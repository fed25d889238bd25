"""Comparison of the service's tokenization with that of `transformers`, id by id, before tracing.

`transformers` tokenizes as a source's author does, with its Python classes, truncation and padding; the service reads
one tokenizer.json with `tokenizers`. Whatever else a source's files ask for shows as a text with other ids.
"""
# ruff: noqa: RUF001 - letters that look alike are what is probed

import re
from collections.abc import Callable, Collection, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tokenizers import normalizers

from export.errors import SourceError
from export.tokenizer_files import vocabulary_file
from models.artifact.artifact_files import TOKENIZER_FILE
from models.artifact.specs import TextSpec
from models.filenames import TOKENIZER_CONFIG_FILE
from models.preprocess.model_input import TextPair
from models.preprocess.text import TextPreprocessor
from models.synthetic_corpus import generate_texts

_Result = TypeVar("_Result")

NUM_PROSE_PROBES = 40
"""Texts of prose among the probes."""

MAX_TOKEN_PROBES = 200
"""Maximum added tokens, and words of the vocabulary, that are compared: some vocabularies have thousands unused."""

PROBES = (
    "",
    " ",
    "a",
    "The QUICK Brown Fox, JUMPS Over The Lazy Dog.",
    "Café NAÏVE über Ångström résumé ñandú Œuvre ß ẞ STRASSE",
    "cafe\u0301 au lait, e\u0301\u0327\u0302 zalgo z\u0335\u0321\u031b\u030a",
    "İstanbul ıI DİYARBAKIR ΌΣΟΣ ὈΔΥΣΣΕΎΣ ЁЛКА Й й",
    "日本語のテキスト。中文文本，北京天安门 한국어 텍스트 ｆｕｌｌｗｉｄｔｈ ｶﾀｶﾅ",
    "مرحبا بالعالم مُحَمَّدٌ שלום עוֹלָם \u202eright to left\u202c",
    "தமிழ் ภาษาไทย हिन्दी ខ្មែរ",
    "🙂🚀 emoji 👩\u200d👩\u200d👧\u200d👦 👍🏽 🇩🇪 1️⃣",
    "nul \x00 bell \x07 escape \x1b[0m delete \x7f soft\u00adhyphen zero\u200bwidth \ufeffbom \ufffd",
    "tab\tnewline\ncarriage\r\nreturn\u2028line\u2029paragraph\u0085next",
    "  leading, trailing and   runs    of spaces   ",
    "no-break\u00a0space ideographic\u3000space narrow\u202fspace",
    "3.14159e-10 1,234,567.89 2024-12-01 +49 (0)30 123456 ½ ² Ⅷ ① ٣٤ 五",
    "https://example.org/a?b=c&d=e#f snake_case camelCase x->y != `code` C:\\path $HOME 50% @me #tag",
    "“quoted” ‘it’s’ don't can't «guillemets» — dash… ﬁne oﬃce",
    "[CLS] [SEP] [PAD] [MASK] [UNK] <s> </s> <pad> <mask> <unk> <|endoftext|> <bos> <eos>",
    "[cls] [Sep] <S> a[SEP]b a <mask> b",
    "a" * 300,
    "supercalifragilisticexpialidocious" * 4,
    "𝒳𝔸 𝟙 \U00020000 \U000e0041",
)
"""One text for each thing that normalizers, pre-tokenizers and added tokens treat specially."""


def compare_ids(directory: Path, tokenizer: str, spec: TextSpec, reference: Any, *, lower_case: bool) -> None:
    """Raise SourceError for the first text that `reference`, a tokenizer of `transformers`, tokenizes otherwise.

    `lower_case`: `tokenizer` is to lower case, and `reference` gets its texts lowered.
    """
    before = spec.prompts.get(spec.default_prompt or "", "")
    probes = [(probe, before + probe) for probe in _probes(spec, reference)]
    if lower_case:
        lowering = _Lowering(reference)
        probes = [(probe, lowering(whole)) for probe, whole in probes if lowering.is_the_same(whole)]
    padding = {} if spec.padding_id is None else {"padding": "max_length"}
    path = vocabulary_file(directory)
    found = tokenized(path, lambda: TextPreprocessor(tokenizer, spec)([probe for probe, _ in probes]))
    wanted = tokenized(
        path,
        lambda: reference([whole for _, whole in probes], truncation=True, max_length=spec.max_tokens, **padding),
    )
    for (probe, _), ours, theirs in zip(probes, found, wanted["input_ids"], strict=True):
        if list(map(int, ours.ids)) != theirs:
            config = directory / TOKENIZER_CONFIG_FILE
            shown = probe if len(probe) <= 60 else f"{probe[:60]}..."
            raise SourceError(
                f"{config if config.is_file() else path}: transformers tokenizes {shown!r} differently from what the "
                f"{TOKENIZER_FILE} of an artifact can ({_difference_cause(reference, spec)})"
            )


def compare_pairs(directory: Path, tokenizer: str, spec: TextSpec, reference: Any, *, lower_case: bool) -> None:
    """Raise SourceError for the first pair of texts that `reference` tokenizes otherwise, or types otherwise."""
    probes = list(_probes(spec, reference))
    if lower_case:
        lowering = _Lowering(reference)
        probes = [lowering(probe) for probe in probes if lowering.is_the_same(probe)]
    pairs = [TextPair(*pair) for pair in zip(probes, [*probes[7:], *probes[:7]], strict=True)]
    path = vocabulary_file(directory)
    found = tokenized(path, lambda: TextPreprocessor(tokenizer, spec)(pairs))
    first, second = (list(texts) for texts in zip(*pairs, strict=True))
    wanted = tokenized(path, lambda: reference(first, second, truncation=True, max_length=spec.max_tokens))
    types = wanted.get("token_type_ids") if spec.token_types else None
    for i, (pair, ours) in enumerate(zip(pairs, found, strict=True)):
        theirs = [wanted["input_ids"][i], *([types[i]] if types else [])]
        if np.atleast_2d(ours.data).tolist() != theirs:
            raise SourceError(
                f"{path}: transformers tokenizes the pair of {pair.first[:30]!r} and {pair.second[:30]!r} differently "
                f"from what the {TOKENIZER_FILE} of an artifact can ({_difference_cause(reference, spec)})"
            )


def tokenized(path: Path, tokenize: Callable[[], _Result]) -> _Result:
    """Return what `tokenize` returns. Raises SourceError for a vocabulary, read from `path`, that fails on a text."""
    try:
        return tokenize()
    except Exception as error:  # `tokenizers` raises no class of its own
        raise SourceError(f"{path} cannot tokenize: {first_line(error)}; copy it from the original") from error


def first_line(error: Exception) -> str:
    """Return what one line of a message can hold."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class _Lowering:
    """Lower case in Python, independent of the normalizer under test: added tokens are kept as they are."""

    def __init__(self, reference: Any) -> None:
        tokens = list(reference.added_tokens_decoder.values())
        kept = [token.content for token in tokens if not token.normalized and not token.single_word]
        self._kept = _any_of(kept)
        self._others = _any_of({token.content for token in tokens} - set(kept))

    def __call__(self, text: str) -> str:
        return "".join(part if i % 2 else part.lower() for i, part in enumerate(self._kept.split(text)))

    def is_the_same(self, text: str) -> bool:
        """Return False for texts that `tokenizers` lowers otherwise, and with it sentence-transformers 6.2.

        It has no final sigma and the letters of an older Unicode. It lowers behind the search for added tokens, so
        "<S>" never becomes "<s>", and searches for some of them (normalized ones) in what it has lowered.
        """
        lowered = self(text)
        same_letters = normalizers.Lowercase().normalize_str(text) == text.lower()
        same_tokens = self._kept.findall(lowered) == self._kept.findall(text)
        return same_letters and same_tokens and not self._others.search(text)


def _any_of(tokens: Collection[str]) -> re.Pattern[str]:
    """Return a pattern, with one group, of the longest token at a place; without tokens it matches nothing."""
    return re.compile(f"({'|'.join(map(re.escape, sorted(tokens, key=len, reverse=True))) or '(?!)'})")


def _difference_cause(reference: Any, spec: TextSpec) -> str:
    """Return the entry that is known to need more than the file, else the class."""
    if reference.truncation_side != "right":
        return f"truncation_side is {reference.truncation_side!r}; the service keeps the start of a text"
    if spec.padding_id is not None and reference.padding_side != "right":
        return f"padding_side is {reference.padding_side!r}; the service pads at the end"
    if spec.padding_id is not None and reference.pad_token_id != spec.padding_id:
        return f"pad_token is {reference.pad_token!r}, of the id {reference.pad_token_id}, not {spec.padding_id}"
    if reference.split_special_tokens:
        return "split_special_tokens is true"
    return f"its class is {type(reference).__name__}"


def _probes(spec: TextSpec, reference: Any) -> Iterator[str]:
    """Return the probe texts without tokens past the embedding table: the artifact has none, so it reads them as
    ordinary text."""
    past = [token for token, id in reference.get_vocab().items() if id >= spec.vocab_size]
    pattern = re.compile(_any_of(past).pattern, re.IGNORECASE)
    for text in _texts(spec, reference):
        yield pattern.sub(" ", text)


def _texts(spec: TextSpec, reference: Any) -> Iterator[str]:
    yield from PROBES
    yield from generate_texts(NUM_PROSE_PROBES, "gate")
    own = [token for token, id in reference.get_added_vocab().items() if id < spec.vocab_size]
    for token in own[:MAX_TOKEN_PROBES]:
        yield f"before {token} after{token}and {token.upper()}{token.lower()}"
    vocabulary = sorted(reference.get_vocab())
    yield " ".join(vocabulary[:: max(1, len(vocabulary) // MAX_TOKEN_PROBES)])
    words = " ".join(generate_texts(NUM_PROSE_PROBES, "calibration")).split()
    longest = 2 * spec.max_tokens
    yield " ".join(islice(cycle(words), longest))
    yield "x" * longest
