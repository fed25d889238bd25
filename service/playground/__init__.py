"""Playground: a page that shows embeddings and their attention, with example scenes."""
