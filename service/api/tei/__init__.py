"""API of text-embeddings-inference."""

from service.api.tei.endpoints import DIALECT

__all__ = ["DIALECT"]
