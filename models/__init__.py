"""What is computed: attention-based encoders, their contract with the outside, and their preprocessing.

`models.artifact` and `models.preprocess` need no torch and are all that the service imports.
Everything else in this package is PyTorch.
"""
