"""Headlight's own: attention that is no part of an embedding's answer."""

from service.api.attention.endpoints import DIALECT

__all__ = ["DIALECT"]
