"""A small cross-encoder, trained by a recipe on generated facts: `python -m models.reranker`.

It sets a document that states a fact before those that state nearly the same, more often than the cosine of two
embeddings does. Its weights are in `models/weights/facts-reranker`. Neither the service nor the exporter
needs this package.
"""
