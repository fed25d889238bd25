"""Interface of a preprocessed input to batching."""

from hashlib import blake2b
from typing import Protocol

from models.artifact.arrays import InputArray

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
