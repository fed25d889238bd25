"""Encoders that others trained: local Hugging Face directories, their own code untouched, their attention ours.

Only safetensors are read, only code that ships with `transformers` is run, and nothing is fetched.
"""
