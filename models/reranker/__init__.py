"""A small cross-encoder, trained by a recipe on generated facts: `python -m models.reranker`.

It tells a document that states a fact from one that has all of its words in other facts, which the cosine of two
embeddings mostly cannot. Its weights are in `models/weights/facts-reranker`. Neither the service nor the exporter
needs this package.
"""
