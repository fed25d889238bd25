"""Text to token ids with character offsets, by the artifact's own tokenizer.json.

The file is read as data by `tokenizers`; no code comes with it. Truncation and padding that a training script
left in the file are replaced: the limit is the manifest's, and packing needs no padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from models.contract.arrays import Ints


@dataclass(frozen=True, slots=True)
class Tokens:
    """One tokenized text of n tokens, special tokens included.

    `ids` is `[n]`; `offsets` are `(start, end)` into the caller's string in code points, start == end for
    special tokens; `truncated` says that the text went on past the model's limit.
    """

    ids: Ints
    pieces: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    truncated: bool


class TextPreprocessor:
    """Tokenizes for one model. Safe to share between threads: nothing changes after construction."""

    def __init__(self, tokenizer_file: Path, *, max_tokens: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=max_tokens)

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize each text, cut to the model's limit. Empty strings give their special tokens alone."""
        return [_tokens(encoding) for encoding in self._tokenizer.encode_batch(list(texts))]


def _tokens(encoding: Encoding) -> Tokens:
    return Tokens(
        ids=np.array(encoding.ids, dtype=np.int64),
        pieces=tuple(encoding.tokens),
        offsets=tuple(encoding.offsets),
        truncated=bool(encoding.overflowing),
    )
