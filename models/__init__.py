"""Attention-based encoders, the artifact format, and preprocessing.

`models.artifact` and `models.preprocess` need no torch and are all that the service imports.
Everything else in this package is PyTorch.
"""
