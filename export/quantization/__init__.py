"""Quantization to reduced precision, and its quality."""
