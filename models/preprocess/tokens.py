"""A tokenized text, as batching and answers need it."""

from collections.abc import Callable, Sequence

import numpy as np

from models.contract.arrays import Ints
from models.preprocess.prepared import content_key

Piece = tuple[str, int, int]
"""A token's text, and where it starts and ends in the caller's string in code points; start == end for what is not of
it: special tokens, a prompt, ids that came without their text."""


class Tokens:
    """One text of n tokens, special tokens included.

    `ids` is `[n]`; `truncated` says that the text went on past the model's limit.
    """

    __slots__ = ("_spell", "ids", "key", "truncated")

    def __init__(self, ids: Sequence[int], spell: Callable[[], Sequence[Piece]], *, truncated: bool) -> None:
        self.ids: Ints = np.array(ids, dtype=np.int64)
        self.key = content_key(self.ids)
        self.truncated = truncated
        self._spell = spell

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
