"""Contracts that clients speak already, each a translation of one request type and one result type."""

from service.dialects import attention, cohere, native, oip, ollama, openai, tei, weaviate

DIALECTS = (
    openai.DIALECT,
    tei.DIALECT,
    weaviate.DIALECT,
    oip.DIALECT,
    cohere.DIALECT,
    ollama.DIALECT,
    native.DIALECT,
    attention.DIALECT,
)
"""In the order in which their paths are looked for: the busiest first."""
