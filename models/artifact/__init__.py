"""Artifact format: manifest, files, tensors and the layout of a packed batch.

Knows numpy and pydantic; knows neither torch nor ONNX Runtime. Written by `export`, read by `service`.
"""
