"""APIs that other servers' clients already use, each a translation to one request and one result type; and our own."""

from service.api import attention, bentoml, classify, cohere, oip, ollama, openai, rerank, tei, weaviate

DIALECTS = (
    openai.DIALECT,
    tei.DIALECT,
    rerank.DIALECT,
    classify.DIALECT,
    attention.DIALECT,
    weaviate.DIALECT,
    oip.DIALECT,
    cohere.DIALECT,
    ollama.DIALECT,
    bentoml.DIALECT,
)
"""APIs in the order in which their paths are matched: the busiest first."""
