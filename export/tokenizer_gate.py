"""Does the service's tokenization equal `transformers`'? Compared id by id before anything is traced.

`transformers` tokenizes as a source's author does, with its Python classes, truncation and padding; the service reads
one tokenizer.json with `tokenizers`. Whatever else a source's files ask for shows as a text with other ids.
"""
# ruff: noqa: RUF001 - letters that look alike are what is probed

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from export.errors import SourceError
from export.precision.prose import texts
from models.contract.artifact import TOKENIZER_FILE
from models.contract.specs import TextSpec
from models.preprocess.text import TextPreprocessor

CONFIG = "tokenizer_config.json"

PROSE = 40
"""Texts of prose among the probes."""

OWN_TOKENS = 200
"""Added tokens, and as many words of the vocabulary, that are probed: some vocabularies have thousands to spare."""

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
"""One text for each thing that normalizers, pre-tokenizers and added tokens treat apart."""


def check(directory: Path, tokenizer: str, spec: TextSpec, reference: Any) -> None:
    """Raises SourceError for the first text that `reference`, a tokenizer of `transformers`, tokenizes otherwise."""
    probes = list(_probes(spec, reference))
    before = spec.prompts.get(spec.default_prompt or "", "")
    padding = {} if spec.padding_id is None else {"padding": "max_length"}
    found = TextPreprocessor(tokenizer, spec)(probes)
    wanted = reference([before + probe for probe in probes], truncation=True, max_length=spec.max_tokens, **padding)
    for probe, ours, theirs in zip(probes, found, wanted["input_ids"], strict=True):
        if list(map(int, ours.ids)) != theirs:
            path = directory / (CONFIG if (directory / CONFIG).is_file() else TOKENIZER_FILE)
            shown = probe if len(probe) <= 60 else f"{probe[:60]}..."
            raise SourceError(
                f"{path}: transformers tokenizes {shown!r} otherwise than the {TOKENIZER_FILE} of an artifact can "
                f"({_cause(reference, spec)})"
            )


def _cause(reference: Any, spec: TextSpec) -> str:
    """The entry that is known to need more than the file, else the class."""
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
    yield from PROBES
    yield from texts(PROSE, "gate")
    own = [token for token, id in reference.get_added_vocab().items() if id < spec.vocabulary_size]
    for token in own[:OWN_TOKENS]:
        yield f"before {token} after{token}and {token.upper()}{token.lower()}"
    vocabulary = sorted(reference.get_vocab())
    yield " ".join(vocabulary[:: max(1, len(vocabulary) // OWN_TOKENS)])
    words = " ".join(texts(PROSE, "calibration")).split()
    longest = 2 * spec.max_tokens
    yield " ".join(islice(cycle(words), longest))
    yield "x" * longest
