"""What an artifact promises: its manifest, its files, its tensors and the layout of a packed batch.

Knows numpy and pydantic; knows neither torch nor ONNX Runtime. Written by `export`, read by `service`.
"""
