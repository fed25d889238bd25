"""A tokenized text, as batching and answers need it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.contract.arrays import Ints
from models.preprocess.prepared import Prepared, content_key

Piece = tuple[str, int, int]
"""A token's text, and where it starts and ends in the caller's string in code points; start == end for what is not of
it: special tokens, a prompt, ids that came without their text."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text's tokens put together: of w words `starts` `[w]` is the first token of each, and `pieces` are their
    texts, as the caller wrote them. What a word is, the tokenizer says: a full stop is one to most. A token that is
    not of the caller's string is one of its own.
    """

    starts: Ints
    pieces: Sequence[Piece]


class Tokens:
    """One text of n tokens, special tokens included.

    `ids` is `[n]`; `truncated` says that the text went on past the model's limit.
    """

    __slots__ = ("_join", "_spell", "_words", "ids", "key", "truncated")

    def __init__(
        self,
        ids: Sequence[int],
        spell: Callable[[], Sequence[Piece]],
        join: Callable[[], Words] | None = None,
        *,
        truncated: bool,
    ) -> None:
        self.ids: Ints = np.array(ids, dtype=np.int64)
        self.key = content_key(self.ids)
        self.truncated = truncated
        self._spell = spell
        self._join = join
        self._words: Words | None = None

    @property
    def data(self) -> Ints:
        return self.ids

    @property
    def positions(self) -> int:
        return len(self.ids)

    @property
    def pieces(self) -> Sequence[Piece]:
        """The tokens as text. Made when asked for: for an embedding nobody does."""
        return self._spell()

    @property
    def words(self) -> Words | None:
        """The same as words, likewise, and once; None where ids came without their text."""
        if self._words is None and self._join:
            self._words = self._join()
        return self._words


def words_of(item: Prepared) -> Words | None:
    """Those of a text, if they are known; a picture has none."""
    return item.words if isinstance(item, Tokens) else None
