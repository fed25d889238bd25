"""Checks that a GPU is used well: provider, accuracy, attention kernel, utilization."""
