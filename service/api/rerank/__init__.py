"""Relevance of documents to a query, in the shapes of the servers whose clients ask for it."""

from service.api.rerank.endpoints import DIALECT

__all__ = ["DIALECT"]
