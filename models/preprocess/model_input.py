"""Preprocessed inputs, ready to be batched: the interface that batching sees, and a tokenized text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np

from models.artifact.arrays import InputArray, Ints

KEY_BYTES = 32
"""Digest size for which no two contents with the same key can be found, so that no one gets another's response."""


class ModelInput(Protocol):
    """Item ready for its graph: `data` is the graph's input, `num_tokens` the length of its sequence.

    `key` is the same for the same data of one model. `truncated` says that the caller sent more than the model can
    take.
    """

    @property
    def data(self) -> InputArray: ...

    @property
    def key(self) -> bytes: ...

    @property
    def num_tokens(self) -> int: ...

    @property
    def truncated(self) -> bool: ...


def content_key(data: InputArray) -> bytes:
    """Return a digest of `data`'s values; shape and type are the model's."""
    return blake2b(data.tobytes(), digest_size=KEY_BYTES).digest()


TokenOffset = tuple[str, int, int]
"""A token's text, and its start and end in the caller's string in code points; start == end for tokens outside of it:
special tokens, a prompt, ids without their text."""


@dataclass(frozen=True, slots=True)
class WordOffsets:
    """A text's tokens put together: of w words `first_tokens` `[w]` is the first token of each, and `offsets` are their
    texts, as the caller wrote them. What a word is, the tokenizer says: a full stop is one to most. A token that is
    not of the caller's string is one of its own.
    """

    first_tokens: Ints
    offsets: Sequence[TokenOffset]


class TokenizedText:
    """One text of n tokens, special tokens included.

    `ids` is `[n]`; `truncated` says that the text went on past the model's limit.
    """

    __slots__ = ("_get_tokens", "_get_words", "_words", "ids", "key", "truncated")

    def __init__(
        self,
        ids: Sequence[int],
        get_tokens: Callable[[], Sequence[TokenOffset]],
        get_words: Callable[[], WordOffsets] | None = None,
        *,
        truncated: bool,
    ) -> None:
        self.ids: Ints = np.array(ids, dtype=np.int64)
        self.key = content_key(self.ids)
        self.truncated = truncated
        self._get_tokens = get_tokens
        self._get_words = get_words
        self._words: WordOffsets | None = None

    @property
    def data(self) -> Ints:
        return self.ids

    @property
    def num_tokens(self) -> int:
        return len(self.ids)

    @property
    def token_offsets(self) -> Sequence[TokenOffset]:
        """The tokens as text. Made when asked for: for an embedding nobody does."""
        return self._get_tokens()

    @property
    def words(self) -> WordOffsets | None:
        """The same as words, likewise, and once; None where ids came without their text."""
        if self._words is None and self._get_words:
            self._words = self._get_words()
        return self._words


def get_word_offsets(item: ModelInput) -> WordOffsets | None:
    """Those of a text, if they are known; an image has none."""
    return item.words if isinstance(item, TokenizedText) else None
