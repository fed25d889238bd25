"""Preprocessed inputs, ready to be batched: the interface that batching sees, and a tokenized text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, Protocol

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


class TextPair(NamedTuple):
    """Two texts that are one input, such as a query and a document."""

    first: str
    second: str


class TokenizedText:
    """One text, or pair of texts, of n tokens, special tokens included.

    `data` is what the graph takes, the ids `[n]`, or `[2, n]` with the token types of a model that embeds them;
    `truncated` says that a text went on past the model's limit.
    """

    __slots__ = ("_get_inputs", "_get_tokens", "_get_words", "_tokens", "_words", "data", "key", "truncated")

    def __init__(
        self,
        ids: Sequence[int],
        get_tokens: Callable[[], Sequence[TokenOffset]],
        get_words: Callable[[], WordOffsets] | None = None,
        *,
        truncated: bool,
        token_types: Sequence[int] | None = None,
        get_inputs: Callable[[], Sequence[int | None]] | None = None,
    ) -> None:
        self.data: Ints = np.array(ids if token_types is None else (ids, token_types), dtype=np.int64)
        self.key = content_key(self.data)
        self.truncated = truncated
        self._get_inputs = get_inputs
        self._get_tokens = get_tokens
        self._get_words = get_words
        self._tokens: Sequence[TokenOffset] | None = None
        self._words: WordOffsets | None = None

    @property
    def ids(self) -> Ints:
        return self.data if self.data.ndim == 1 else self.data[0]

    @property
    def num_tokens(self) -> int:
        return int(self.data.shape[-1])

    @property
    def token_offsets(self) -> Sequence[TokenOffset]:
        """The tokens as text. Made when asked for, and once: for an embedding nobody does."""
        if self._tokens is None:
            self._tokens = self._get_tokens()
        return self._tokens

    @property
    def token_inputs(self) -> Sequence[int | None] | None:
        """Which text of a pair each token is in, `[n]`, None for special tokens; None where there is one text."""
        return self._get_inputs() if self._get_inputs else None

    @property
    def words(self) -> WordOffsets | None:
        """The same as words, likewise, and once; None where ids came without their text."""
        if self._words is None and self._get_words:
            self._words = self._get_words()
        return self._words


def get_word_offsets(item: ModelInput) -> WordOffsets | None:
    """Those of a text, if they are known; an image has none."""
    return item.words if isinstance(item, TokenizedText) else None
