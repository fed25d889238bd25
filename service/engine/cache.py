"""LRU cache of embeddings, keyed by model and content, bounded in bytes."""

from collections import OrderedDict

from models.artifact.arrays import Floats

ENTRY_BYTES = 400
"""Overhead of an entry without its vector: two objects, the key, and its place in the order."""

CacheKey = tuple[str, bytes]
"""Model and digest of what its graph is given."""


class EmbeddingCache:
    """LRU cache of at most `max_bytes`; 0 disables it. Not thread-safe: the engine holds its lock around each call."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = 0
        self._embeddings: OrderedDict[CacheKey, Floats] = OrderedDict()

    def get(self, key: CacheKey) -> Floats | None:
        embedding = self._embeddings.get(key)
        if embedding is not None:
            self._embeddings.move_to_end(key)
        return embedding

    def put(self, key: CacheKey, embedding: Floats) -> None:
        """`embedding` must be its own array: a view would keep a batch alive."""
        if key in self._embeddings or _entry_bytes(embedding) > self.max_bytes:
            return
        self._embeddings[key] = embedding
        self._bytes += _entry_bytes(embedding)
        while self._bytes > self.max_bytes:
            _, evicted = self._embeddings.popitem(last=False)
            self._bytes -= _entry_bytes(evicted)


def _entry_bytes(embedding: Floats) -> int:
    return embedding.nbytes + ENTRY_BYTES
