"""The innermost room: the only one that knows ONNX Runtime. Artifact in, arrays out."""
