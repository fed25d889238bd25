"""Attention as pictures, in the shape of errors that OpenAI's clients know."""

from service.dialects.attention.endpoints import DIALECT

__all__ = ["DIALECT"]
