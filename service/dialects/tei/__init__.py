"""The contract of text-embeddings-inference."""

from service.dialects.tei.endpoints import DIALECT

__all__ = ["DIALECT"]
