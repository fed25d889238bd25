"""Headlight's own API: comparison of two inputs, and images of attention."""

from service.api.attention.endpoints import DIALECT

__all__ = ["DIALECT"]
